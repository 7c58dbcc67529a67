/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "report/summary.h"

#include <errno.h>
#include <string.h>

#include "report/words.h"

#define PLACES_SHOWN 20
#define ROOM_MIN     24 /* columns for who and where, at least */

static void say_place(FILE *out, const struct display *display, const struct loop_place *at)
{
	char title[WORDS_TEXT_SZ], place[WORDS_TEXT_SZ], total[WORDS_DURATION_SZ];
	char longest[WORDS_DURATION_SZ], numbers[80];
	size_t room = ROOM_MIN;

	snprintf(numbers, sizeof(numbers), "%6llu %9s %9s  %-9s  ", (unsigned long long)at->cnt,
		 words_duration(at->total_ns, total), words_duration(at->max_ns, longest),
		 cause_name(at->cause));
	if (display->width > 0 && (size_t)display->width > strlen(numbers) + ROOM_MIN)
		room = (size_t)display->width - strlen(numbers);
	words_title(at->kind, at->title, room * 3 / 5, title);
	fprintf(out, "%s%s  %s\n", numbers, title,
		words_place(display, at->file, at->line,
			    words_place_room(display, room, strlen(title)), place));
}

static void say_loop(FILE *out, const struct display *display, const struct loop *loop)
{
	const struct ap_account *account = &loop->account;
	uint64_t polled_ns = account->busy_ns + account->idle_ns;
	char name[WORDS_TEXT_SZ], duration[WORDS_DURATION_SZ];

	fprintf(out, "%sloop of process %u '%s'", words_paint(display, PAINT_BOLD), loop->pid,
		words_text(loop->comm, 32, name));
	if (loop->tid != loop->pid)
		fprintf(out, ", thread %u", loop->tid);
	fprintf(out, "%s%s\n", loop->gone ? " (ended)" : "", words_paint(display, PAINT_OFF));
	if (polled_ns)
		fprintf(out, "  busy %.1f %% of the time",
			100 * (double)account->busy_ns / (double)polled_ns);
	if (loop->has_account)
		fprintf(out, "%s%llu iterations, %llu callbacks\n", polled_ns ? ", " : "  ",
			(unsigned long long)account->iterations,
			(unsigned long long)account_closed_cnt(account));
	/* A loop of another library that runs asyncio's handles, as qasync does. */
	if (loop->has_account && account->polls && !account->iterations &&
	    account_closed_cnt(account))
		fputs("  none of its polls was asyncio's own: its stalls are upper bounds\n", out);
	fprintf(out, "  %llu stall%s", (unsigned long long)loop->stall_cnt,
		loop->stall_cnt == 1 ? "" : "s");
	if (loop->stall_cnt)
		fprintf(out, ", together %s", words_duration(loop->stall_ns, duration));
	if (loop->ongoing_cnt)
		fprintf(out, ", %llu still going on", (unsigned long long)loop->ongoing_cnt);
	fputc('\n', out);

	if (loop->place_cnt)
		fprintf(out, "%s count     total   longest  cause      where%s\n",
			words_paint(display, PAINT_DIM), words_paint(display, PAINT_OFF));
	for (size_t i = 0; i < loop->place_cnt && (i < PLACES_SHOWN || display->verbose); i++)
		say_place(out, display, &loop->places[i]);
	if (loop->place_cnt > PLACES_SHOWN && !display->verbose)
		fprintf(out, "       and %zu more places (-v shows them)\n",
			loop->place_cnt - PLACES_SHOWN);
	if (loop->place_overflow_cnt)
		fprintf(out, "       and %llu stalls at places that found no room\n",
			(unsigned long long)loop->place_overflow_cnt);
}

/* Accounts that do not add up are a fault of ours, and said so. */
static void say_accounts(FILE *out, const struct display *display,
			 const struct run_summary *summary)
{
	const char *red = words_paint(display, PAINT_RED), *off = words_paint(display, PAINT_OFF);
	struct ap_account sum;
	struct run_records records;

	run_account(summary, &sum);
	run_count_records(summary, &records);
	fprintf(out, "callbacks: %llu seen = %llu ended + %llu running + %llu ignored%s%s%s\n",
		(unsigned long long)sum.hits, (unsigned long long)account_closed_cnt(&sum),
		(unsigned long long)sum.open, (unsigned long long)account_ignored_cnt(&sum), red,
		account_holds(&sum) ? "" : "  DOES NOT ADD UP", off);
	if (sum.attach_opened)
		fprintf(out, "           besides %llu that began before asyncprof came\n",
			(unsigned long long)sum.attach_opened);
	if (sum.signal_opened)
		fprintf(out, "           besides %llu signal handlers run while the loop waited\n",
			(unsigned long long)sum.signal_opened);
	if (sum.ignored[AP_IGN_CALLER])
		fprintf(out, "           ignored: %llu run by something else than a loop\n",
			(unsigned long long)sum.ignored[AP_IGN_CALLER]);
	fprintf(out, "records:   %llu made = %llu sent + %llu lost; %llu arrived%s%s%s\n",
		(unsigned long long)records.attempted, (unsigned long long)records.sent,
		(unsigned long long)records.dropped, (unsigned long long)records.received, red,
		records.sent == records.received ? "" : "  DOES NOT ADD UP", off);
	if (summary->events_lost || summary->malformed)
		fprintf(out, "%slost:      %llu events, %llu malformed records%s\n", red,
			(unsigned long long)summary->events_lost,
			(unsigned long long)summary->malformed, off);
	if (summary->evicted_codes || summary->evicted_evidence || summary->evicted_loops)
		fprintf(out,
			"forgotten: %llu code objects, samples of %llu callbacks, %llu threads\n",
			(unsigned long long)summary->evicted_codes,
			(unsigned long long)summary->evicted_evidence,
			(unsigned long long)summary->evicted_loops);
}

static void say_cost(FILE *out, const struct run_summary *summary)
{
	char total[WORDS_DURATION_SZ];

	if (summary->overhead_ns < 0 || summary->duration_ns <= 0) {
		fprintf(out, "cost:      not known\n");
		return;
	}
	fprintf(out, "cost:      about %s of the program's time, %.2f %%",
		words_duration(summary->overhead_ns, total),
		100 * (double)summary->overhead_ns / (double)summary->duration_ns);
	if (summary->hit_ns)
		fprintf(out, " (%llu ns a callback)", (unsigned long long)summary->hit_ns);
	fputc('\n', out);
}

int summary_text(FILE *out, const struct display *display, const struct run_summary *summary)
{
	char duration[WORDS_DURATION_SZ];

	fprintf(out, "%s--- %s %s, %llu stall%s, tier %s%s\n", words_paint(display, PAINT_BOLD),
		summary->interim ? "so far:" : "summary:",
		words_duration(summary->duration_ns, duration), (unsigned long long)summary->stalls,
		summary->stalls == 1 ? "" : "s", summary->tier, words_paint(display, PAINT_OFF));
	for (size_t i = 0; i < summary->loop_cnt; i++)
		say_loop(out, display, summary->loops[i]);
	if (!summary->loop_cnt)
		fprintf(out, "no event loop ran a callback meanwhile\n");
	say_accounts(out, display, summary);
	say_cost(out, summary);
	return fflush(out) || ferror(out) ? -EIO : 0;
}
