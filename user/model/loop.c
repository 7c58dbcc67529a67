/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "model/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static struct loop_place *find_place(struct loop *loop, const struct stall *stall,
				     const struct stall_frame *at)
{
	for (size_t i = 0; i < loop->place_cnt; i++) {
		struct loop_place *place = &loop->places[i];

		if (place->line == at->line && place->cause == stall->cause &&
		    place->kind == stall->kind && same_text(place->file, at->file) &&
		    same_text(place->title, stall_title(stall)))
			return place;
	}
	return NULL;
}

static int add_place(struct loop *loop, const struct stall *stall, const struct stall_frame *at,
		     struct loop_place **added)
{
	struct loop_place *grown, place = {
					  .line = at->line,
					  .kind = stall->kind,
					  .cause = stall->cause,
				  };

	*added = NULL;
	if (loop->place_cnt == LOOP_PLACES_MAX) {
		loop->place_overflow_cnt++;
		return 0;
	}
	place.title = strdup(stall_title(stall));
	if (at->file)
		place.file = strdup(at->file);
	grown = realloc(loop->places, (loop->place_cnt + 1) * sizeof(*grown));
	if (grown)
		loop->places = grown;
	if (!grown || !place.title || (at->file && !place.file)) {
		free(place.title);
		free(place.file);
		return -ENOMEM;
	}
	*added = &grown[loop->place_cnt++];
	**added = place;
	return 0;
}

/* A forged record may claim centuries: sums stop at the end of what they can say. */
static int64_t add_ns(int64_t sum_ns, int64_t ns)
{
	int64_t out;

	return __builtin_add_overflow(sum_ns, ns, &out) ? INT64_MAX : out;
}

int loop_add_stall(struct loop *loop, const struct stall *stall)
{
	/* What was open when we came has no duration: what was seen of it is certain. */
	int64_t ns = stall->duration_ns >= 0 ? stall->duration_ns : stall->duration_lo_ns;
	const struct stall_frame whole = {.file = stall->file, .line = stall->line};
	const struct stall_frame *at = stall_blame(stall) ? stall_blame(stall) : &whole;
	struct loop_place *place = find_place(loop, stall, at);
	int err = 0;

	loop->stall_cnt++;
	loop->stall_ns = add_ns(loop->stall_ns, ns);
	if (!place)
		err = add_place(loop, stall, at, &place);
	if (!place)
		return err;
	place->cnt++;
	place->total_ns = add_ns(place->total_ns, ns);
	if (ns > place->max_ns)
		place->max_ns = ns;
	return 0;
}

void account_add(struct ap_account *sum, const struct ap_account *more)
{
	__u64 *to = (__u64 *)sum;
	const __u64 *from = (const __u64 *)more;

	_Static_assert(sizeof(*sum) % sizeof(*to) == 0, "an account is made of counters only");
	for (size_t i = 0; i < sizeof(*sum) / sizeof(*to); i++)
		to[i] += from[i];
}

uint64_t account_closed_cnt(const struct ap_account *account)
{
	uint64_t cnt = 0;

	for (int end = 0; end < AP_END_CNT; end++)
		cnt += account->closed[end];
	return cnt;
}

uint64_t account_ignored_cnt(const struct ap_account *account)
{
	uint64_t cnt = 0;

	for (int why = 0; why < AP_IGN_CNT; why++)
		cnt += account->ignored[why];
	return cnt;
}

bool account_holds(const struct ap_account *account)
{
	return account->hits ==
	       account_closed_cnt(account) + account_ignored_cnt(account) + account->open;
}

void loop_set_account(struct loop *loop, const struct ap_account *account)
{
	if (loop->fresh) {
		loop->past = loop->account;
		loop->fresh = false;
		loop->gone = false;
	}
	loop->account = loop->past;
	account_add(&loop->account, account);
	loop->has_account = true;
}

static int by_total(const void *a, const void *b)
{
	const struct loop_place *left = a, *right = b;

	return (left->total_ns < right->total_ns) - (left->total_ns > right->total_ns);
}

void loop_sort(struct loop *loop)
{
	if (loop->place_cnt)
		qsort(loop->places, loop->place_cnt, sizeof(*loop->places), by_total);
}

void loop_clear(struct loop *loop)
{
	for (size_t i = 0; i < loop->place_cnt; i++) {
		free(loop->places[i].title);
		free(loop->places[i].file);
	}
	free(loop->places);
	*loop = (struct loop){};
}
