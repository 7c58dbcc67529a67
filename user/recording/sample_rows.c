/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Time, on its way into the file: added up by second and by who, where and how,
 * so that a busy second costs as many rows as it had different places.
 */
#include <stdint.h>

#include "recording/writer.h"

#define NS_PER_S 1000000000LL

int sample_rows_move(struct recording *r)
{
	struct writer *w = r->writer;
	struct row row;
	int rc = 0;

	for (uint32_t i = 0; w->sum_cnt && i < SUMS_SLOTS && !rc; i++) {
		struct sum *sum = &w->sums[i];

		if (!sum->point)
			continue;
		row_begin(&row, w->sample);
		row_put(&row, sum->second);
		row_put(&row, sum->point);
		row_put(&row, sum->ns);
		row_put(&row, (int64_t)sum->cnt);
		rc = row_insert(&row);
		*sum = (struct sum){};
	}
	w->sum_cnt = 0;
	return rc;
}

/* The second of the run in which it ended. */
static int32_t second_of(const struct writer *w, int64_t unix_ns)
{
	int64_t ns, second;

	if (__builtin_sub_overflow(unix_ns, w->start_unix_ns, &ns))
		return 0;
	second = ns / NS_PER_S - (ns % NS_PER_S < 0);
	return second < INT32_MIN ? INT32_MIN : second > INT32_MAX ? INT32_MAX : (int32_t)second;
}

static struct sum *find_sum(struct writer *w, uint32_t point, int32_t second)
{
	uint64_t mixed = ((uint64_t)point << 32 | (uint32_t)second) * 0x9e3779b97f4a7c15ULL;
	uint32_t at = (uint32_t)(mixed >> 49) & (SUMS_SLOTS - 1);

	while (w->sums[at].point && (w->sums[at].point != point || w->sums[at].second != second))
		at = (at + 1) & (SUMS_SLOTS - 1);
	return &w->sums[at];
}

static int add(struct recording *r, uint32_t id, const struct point *point)
{
	struct writer *w = r->writer;
	int32_t second = second_of(w, point->unix_ns);
	struct sum *sum = find_sum(w, id, second);
	int64_t ns = point->ns > 0 ? point->ns : 0;
	int err;

	if (!sum->point && w->sum_cnt >= SUMS_SLOTS / 4 * 3) {
		err = recording__commit(r);
		if (err)
			return err;
		/* A reader keeps the commit out. */
		if (w->sum_cnt) {
			w->lost[LOSS_POINTS] += point->cnt;
			return 0;
		}
		sum = find_sum(w, id, second);
	}
	if (!sum->point) {
		*sum = (struct sum){.point = id, .second = second};
		w->sum_cnt++;
	}
	sum->cnt += point->cnt;
	if (__builtin_add_overflow(sum->ns, ns, &sum->ns))
		sum->ns = INT64_MAX;
	return 0;
}

/* The row of who, where and how; 0: no room for it. */
static int64_t point_id(struct recording *r, const struct point *point, int64_t thread,
			int64_t task, int64_t stack, bool cut, uint32_t cnt_max)
{
	struct writer *w = r->writer;
	struct intern_hash hash;
	struct row row;
	bool added;
	int64_t id;
	int err;

	intern_hash_begin(&w->points, &hash);
	intern_hash_number(&hash, (uint64_t)thread << 32 | (uint64_t)task);
	intern_hash_number(&hash, (uint64_t)stack << 32 | (uint64_t)point->kind << 16 |
					  (uint64_t)point->cause << 1 | cut);
	id = intern_id(&w->points, &hash, cnt_max, &added);
	if (!added)
		return id;
	writer_stage(r, TABLE_POINTS, &row);
	row_put(&row, id);
	row_put(&row, thread);
	row_put_if(&row, task, task);
	row_put_if(&row, stack, stack);
	row_put_text(&row, point_kind_name(point->kind));
	row_put_text(&row, cause_name(point->cause));
	row_put(&row, cut);
	err = writer_staged(r, &row);
	return err ? err : id;
}

int recording__point(struct recording *r, const struct point *point)
{
	struct writer *w = r->writer;
	int64_t thread, task = 0, stack, id;

	if (!w || w->finished)
		return 0;
	if (w->err)
		return w->err;
	thread = known_thread(r, point);
	if (thread > 0 && !point->plain)
		task = known_task(r, point);
	stack = known_point_stack(r, point);
	if (thread < 0 || task < 0 || stack < 0)
		return writer_fail_errno(r, (int)(thread < 0 ? thread : task < 0 ? task : stack));
	if (!thread) {
		w->lost[LOSS_POINTS] += point->cnt;
		return 0;
	}
	/* Time without its stack is better than no time. */
	w->lost[LOSS_STACKS] += !stack && point->frame_cnt ? point->cnt : 0;
	id = point_id(r, point, thread, task, stack, point->cut || (!stack && point->frame_cnt),
		      POINTS_MAX / 4 * 3);
	if (!id) {
		w->lost[LOSS_STACKS] += stack ? point->cnt : 0;
		id = point_id(r, point, thread, 0, 0, true, POINTS_MAX);
	}
	if (id < 0)
		return writer_fail_errno(r, (int)id);
	if (!id) {
		w->lost[LOSS_POINTS] += point->cnt;
		return 0;
	}
	return add(r, (uint32_t)id, point);
}
