/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "report/json.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "report/escape.h"

static json_t *text_or_null(const char *text)
{
	size_t len, escaped_sz;
	json_t *string;
	char *escaped;

	if (!text)
		return json_null();
	len = strlen(text);
	escaped_sz = ESCAPE_SZ(len);
	escaped = malloc(escaped_sz);
	if (!escaped)
		return NULL;
	escape_json(escaped, escaped_sz, text, len);
	string = json_string(escaped);
	free(escaped);
	return string;
}

static json_t *ms(int64_t ns)
{
	return json_real((double)ns / 1e6);
}

static json_t *ms_or_null(int64_t ns)
{
	return ns < 0 ? json_null() : ms(ns);
}

static json_t *seconds(int64_t ns)
{
	return json_real((double)ns / 1e9);
}

static json_t *line_or_null(int line)
{
	return line > 0 ? json_integer(line) : json_null();
}

/* Addresses do not fit the numbers of JSON's readers (2^53). */
static json_t *address_or_null(uint64_t address)
{
	return address ? json_sprintf("0x%llx", (unsigned long long)address) : json_null();
}

static json_t *json_of_target(const struct run_target *target)
{
	return json_pack("{s:I, s:o, s:o, s:o, s:o}", "pid", (json_int_t)target->pid, "comm",
			 text_or_null(target->comm), "python", text_or_null(target->python), "exe",
			 text_or_null(target->exe), "stripped",
			 target->stripped < 0 ? json_null() : json_boolean(target->stripped));
}

static json_t *json_of_reasons(const char *const *reasons, size_t cnt)
{
	json_t *list = json_array();

	for (size_t i = 0; i < cnt; i++)
		json_array_append_new(list, text_or_null(reasons[i]));
	return list;
}

json_t *json_of_joined(const struct run_joined *joined)
{
	return json_pack("{s:s, s:o, s:o, s:o, s:o}", "type", "joined", "ts",
			 seconds(joined->unix_ns), "target", json_of_target(&joined->target),
			 "parent",
			 joined->parent ? json_integer(joined->parent) : json_null(), "degraded",
			 json_of_reasons(joined->degraded, joined->degraded_cnt));
}

json_t *json_of_start(const struct run_start *start)
{
	json_t *targets = json_array();

	for (size_t i = 0; i < start->target_cnt; i++)
		json_array_append_new(targets, json_of_target(&start->targets[i]));
	return json_pack("{s:s, s:o, s:i, s:s, s:o, s:s, s:o, s:o, s:o}", "type", "start", "ts",
			 seconds(start->unix_ns), "schema", JSON_SCHEMA_VERSION, "version",
			 start->version, "targets", targets, "tier", start->tier, "threshold_ms",
			 ms((int64_t)start->threshold_ns), "kernel", text_or_null(start->kernel),
			 "degraded", json_of_reasons(start->degraded, start->degraded_cnt));
}

static json_t *json_of_causes(uint32_t mask)
{
	json_t *causes = json_array();

	for (int cause = 0; cause < CAUSE_CNT; cause++) {
		if (mask & 1U << cause)
			json_array_append_new(causes, json_string(cause_name(cause)));
	}
	return causes;
}

static json_t *json_of_fd(const struct stall_fd *fd)
{
	if (fd->num < 0 && !fd->path)
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o}", "num",
			 fd->num < 0 ? json_null() : json_integer(fd->num), "kind",
			 text_or_null(fd_kind_name(fd->kind)), "path", text_or_null(fd->path),
			 "peer", text_or_null(fd->peer));
}

static json_t *json_of_holder(const struct stall *stall)
{
	if (!stall->holder_known)
		return json_null();
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "tid",
			 stall->holder_tid ? json_integer(stall->holder_tid) : json_null(),
			 "thread", text_or_null(stall->holder_comm), "func",
			 text_or_null(stall->holder.func), "file", text_or_null(stall->holder.file),
			 "line", line_or_null(stall->holder.line));
}

static json_t *json_of_budget(const struct stall *stall)
{
	json_t *budget;

	if (!stall->budget_known)
		return json_null();
	budget = json_object();
	for (int part = 0; part < PART_CNT; part++)
		json_object_set_new(budget, part_name(part), ms_or_null(stall->budget.ns[part]));
	return budget;
}

static json_t *json_of_parts(uint32_t mask)
{
	json_t *parts = json_array();

	for (int part = 0; part < PART_CNT; part++) {
		if (mask & 1U << part)
			json_array_append_new(parts, json_string(part_name(part)));
	}
	return parts;
}

static json_t *json_of_stack(const struct stall *stall)
{
	json_t *stack = json_array();

	for (size_t i = 0; i < stall->frame_cnt; i++) {
		const struct stall_frame *frame = &stall->frames[i];

		json_array_append_new(stack, json_pack("{s:o, s:o, s:o}", "func",
						       text_or_null(frame->func), "file",
						       text_or_null(frame->file), "line",
						       line_or_null(frame->line)));
	}
	return stack;
}

static json_t *json_of_advice(const struct advice *advice)
{
	if (!advice)
		return json_null();
	return json_pack("{s:s, s:s}", "key", advice->key, "text", advice->text);
}

/* Who and where. */
static json_t *json_of_identity(const struct stall *stall)
{
	return json_pack("{s:s, s:o, s:o, s:I, s:I, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o}",
			 "type", "slow", "ts", seconds(stall->ts_unix_ns), "id",
			 text_or_null(stall->id), "pid", (json_int_t)stall->pid, "tid",
			 (json_int_t)stall->tid, "comm", text_or_null(stall->comm), "loop",
			 address_or_null(stall->loop), "kind", stall_kind_name(stall->kind), "task",
			 text_or_null(stall->task), "coro", text_or_null(stall->coro), "callback",
			 text_or_null(stall->callback), "file", text_or_null(stall->file), "line",
			 line_or_null(stall->line));
}

json_t *json_of_stall(const struct stall *stall)
{
	json_t *slow = json_of_identity(stall), *rest;

	rest = json_pack(
		"{s:o, s:o, s:o, s:o, s:b, s:b, s:b, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o,"
		" s:o, s:o, s:b, s:b, s:o, s:o}",
		"start_ts", stall->at_attach ? json_null() : seconds(stall->start_unix_ns),
		"duration_ms", ms_or_null(stall->duration_ns), "duration_lo_ms",
		ms(stall->duration_lo_ns), "suspended_ms", ms(stall->suspended_ns), "ongoing",
		stall->ongoing, "at_attach", stall->at_attach, "exited", stall->exited, "cause",
		cause_name(stall->cause), "causes", json_of_causes(stall->causes), "syscall",
		text_or_null(stall->syscall), "fd", json_of_fd(&stall->fd), "gil_holder",
		json_of_holder(stall), "budget_ms", json_of_budget(stall), "sampled",
		json_of_parts(stall->sampled), "samples", (json_int_t)stall->samples_cnt, "stack",
		json_of_stack(stall), "stack_at_ms", ms_or_null(stall->stack_at_ns), "stack_reason",
		text_or_null(stall->stack_reason), "exact", stall->exact, "eager", stall->eager,
		"callbacks",
		stall->kind == STALL_ITERATION && stall->inner_cnt ? json_integer(stall->inner_cnt)
								   : json_null(),
		"advice", json_of_advice(stall->advice));
	if (!slow || !rest || json_object_update(slow, rest)) {
		json_decref(slow);
		slow = NULL;
	}
	json_decref(rest);
	return slow;
}

static json_t *json_of_place(const struct loop_place *place)
{
	return json_pack("{s:s, s:o, s:o, s:o, s:s, s:I, s:o, s:o}", "kind",
			 stall_kind_name(place->kind), "title", text_or_null(place->title), "file",
			 text_or_null(place->file), "line", line_or_null(place->line), "cause",
			 cause_name(place->cause), "count", (json_int_t)place->cnt, "total_ms",
			 ms(place->total_ns), "max_ms", ms(place->max_ns));
}

static json_t *count_or_null(bool known, uint64_t cnt)
{
	return known ? json_integer((json_int_t)cnt) : json_null();
}

static json_t *json_of_loop(const struct loop *loop)
{
	const struct ap_account *account = &loop->account;
	uint64_t polled_ns = account->busy_ns + account->idle_ns;
	json_t *places = json_array();
	bool known = loop->has_account;

	for (size_t i = 0; i < loop->place_cnt; i++)
		json_array_append_new(places, json_of_place(&loop->places[i]));
	return json_pack(
		"{s:I, s:I, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:I, s:o, s:I}",
		"pid", (json_int_t)loop->pid, "tid", (json_int_t)loop->tid, "comm",
		text_or_null(loop->comm), "loop", address_or_null(loop->address), "gone",
		loop->gone, "iterations", count_or_null(known, account->iterations), "busy_ratio",
		polled_ns ? json_real((double)account->busy_ns / (double)polled_ns) : json_null(),
		"busy_ms", known ? ms((int64_t)account->busy_ns) : json_null(), "idle_ms",
		known ? ms((int64_t)account->idle_ns) : json_null(), "callbacks",
		count_or_null(known, account_closed_cnt(account)), "stalls",
		(json_int_t)loop->stall_cnt, "stalled_ms", ms(loop->stall_ns), "ongoing",
		(json_int_t)loop->ongoing_cnt, "places", places, "places_overflow",
		(json_int_t)loop->place_overflow_cnt);
}

static json_t *json_of_accounting(const struct run_summary *summary)
{
	struct ap_account sum;
	json_t *ignored;

	run_account(summary, &sum);
	ignored =
		json_pack("{s:I, s:I, s:I, s:I}", "caller", (json_int_t)sum.ignored[AP_IGN_CALLER],
			  "unreadable", (json_int_t)sum.ignored[AP_IGN_UNREADABLE], "full",
			  (json_int_t)sum.ignored[AP_IGN_FULL], "no_thread",
			  (json_int_t)sum.ignored[AP_IGN_NO_THREAD]);
	return json_pack("{s:I, s:I, s:o, s:I, s:b, s:I, s:I, s:I}", "hits", (json_int_t)sum.hits,
			 "closed", (json_int_t)account_closed_cnt(&sum), "ignored", ignored, "open",
			 (json_int_t)sum.open, "holds", account_holds(&sum), "open_at_attach",
			 (json_int_t)sum.attach_opened, "closed_at_attach",
			 (json_int_t)sum.attach_closed, "signals", (json_int_t)sum.signal_opened);
}

static json_t *json_of_records(const struct run_summary *summary)
{
	struct run_records sum;

	run_count_records(summary, &sum);
	return json_pack("{s:I, s:I, s:I, s:I, s:b}", "attempted", (json_int_t)sum.attempted,
			 "dropped", (json_int_t)sum.dropped, "sent", (json_int_t)sum.sent,
			 "received", (json_int_t)sum.received, "holds", sum.sent == sum.received);
}

static json_t *json_of_overhead(const struct run_summary *summary)
{
	if (summary->overhead_ns < 0 && !summary->hit_ns)
		return json_null();
	return json_pack(
		"{s:o, s:o, s:o}", "hit_ns",
		summary->hit_ns ? json_real((double)summary->hit_ns) : json_null(), "total_ms",
		ms_or_null(summary->overhead_ns), "ratio",
		summary->overhead_ns >= 0 && summary->duration_ns > 0
			? json_real((double)summary->overhead_ns / (double)summary->duration_ns)
			: json_null());
}

json_t *json_of_summary(const struct run_summary *summary)
{
	json_t *loops = json_array(), *forgotten;

	for (size_t i = 0; i < summary->loop_cnt; i++)
		json_array_append_new(loops, json_of_loop(summary->loops[i]));
	forgotten = json_pack("{s:I, s:I, s:I}", "codes", (json_int_t)summary->evicted_codes,
			      "callbacks", (json_int_t)summary->evicted_evidence, "loops",
			      (json_int_t)summary->evicted_loops);
	return json_pack("{s:s, s:o, s:b, s:o, s:s, s:I, s:o, s:o, s:o, s:I, s:I, s:o, s:o}",
			 "type", "summary", "ts", seconds(summary->unix_ns), "interim",
			 summary->interim, "duration_s", seconds(summary->duration_ns), "tier",
			 summary->tier, "stalls", (json_int_t)summary->stalls, "loops", loops,
			 "accounting", json_of_accounting(summary), "records",
			 json_of_records(summary), "events_lost", (json_int_t)summary->events_lost,
			 "malformed", (json_int_t)summary->malformed, "forgotten", forgotten,
			 "overhead_estimated", json_of_overhead(summary));
}

/* DEL is the one control character that JSON lets stand; it is only ever inside a string. */
static int write_escaped(const char *buffer, size_t size, void *ctx)
{
	FILE *out = ctx;
	const char *del;

	for (; (del = memchr(buffer, 0x7f, size)); buffer = del + 1) {
		fwrite(buffer, 1, (size_t)(del - buffer), out);
		fputs("\\u007f", out);
		size -= (size_t)(del - buffer) + 1;
	}
	return fwrite(buffer, 1, size, out) == size ? 0 : -1;
}

static int print(FILE *out, json_t *object)
{
	int err;

	if (!object)
		return -ENOMEM;
	/* 15 digits: 17 would show the noise of binary fractions, as in 100.00000000000001. */
	err = json_dump_callback(object, write_escaped, out,
				 JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15));
	json_decref(object);
	if (err || fputc('\n', out) == EOF || fflush(out))
		return -EIO;
	return 0;
}

int json_print_start(FILE *out, const struct run_start *start)
{
	return print(out, json_of_start(start));
}

int json_print_joined(FILE *out, const struct run_joined *joined)
{
	return print(out, json_of_joined(joined));
}

int json_print_stall(FILE *out, const struct stall *stall)
{
	return print(out, json_of_stall(stall));
}

int json_print_summary(FILE *out, const struct run_summary *summary)
{
	return print(out, json_of_summary(summary));
}
