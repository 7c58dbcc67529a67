/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The `stack` line of json.h, written without a tree of objects: a recording
 * has up to a million of them, with some thirty frames each.
 *
 * It must never write what jansson would not: the schema and the unit tests
 * hold for both.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "report/escape.h"
#include "report/json.h"
#include "report/selection.h"

#define SHORT_SZ 1024 /* names that need no memory of their own */

/* The character at `text`, which is valid UTF-8 from escape_json(). */
static uint32_t decode(const unsigned char *text, size_t *len)
{
	uint32_t c = text[0];

	*len = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (*len > 1)
		c &= 0x7fU >> *len;
	for (size_t i = 1; i < *len; i++)
		c = c << 6 | (text[i] & 0x3f);
	return c;
}

static void put_character(FILE *out, uint32_t c)
{
	if (c == '"' || c == '\\')
		fprintf(out, "\\%c", (int)c);
	else if (c == '\n')
		fputs("\\n", out);
	else if (c < 0x10000)
		fprintf(out, "\\u%04X", c);
	else
		fprintf(out, "\\u%04X\\u%04X", 0xd7c0 + (c >> 10), 0xdc00 + (c & 0x3ff));
}

/* How many bytes from here on stand for themselves. */
static size_t plain_len(const unsigned char *at)
{
	size_t len = 0;

	while (at[len] >= 0x20 && at[len] < 0x7f && at[len] != '"' && at[len] != '\\')
		len++;
	return len;
}

/* Runs of what stands for itself at once, the rest one by one. */
static void put_escaped(FILE *out, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	putc('"', out);
	while (*at) {
		size_t len = plain_len(at);

		fwrite(at, 1, len, out);
		at += len;
		if (!*at)
			break;
		put_character(out, decode(at, &len));
		at += len;
	}
	putc('"', out);
}

int json_print_string(FILE *out, const char *text)
{
	size_t len = text ? strlen(text) : 0;
	char few[ESCAPE_SZ(SHORT_SZ)], *escaped = few;

	if (!text) {
		fputs("null", out);
	} else if (plain_len((const unsigned char *)text) == len) {
		/* As nearly all are: no copy of three million names. */
		put_escaped(out, text);
	} else {
		if (len > SHORT_SZ)
			escaped = malloc(ESCAPE_SZ(len));
		if (!escaped)
			return -ENOMEM;
		escape_json(escaped, ESCAPE_SZ(len), text, len);
		put_escaped(out, escaped);
		if (escaped != few)
			free(escaped);
	}
	if (ferror(out))
		return errno ? -errno : -EIO;
	return 0;
}

/* `key` comes with what stands before it: ",\"task\":". */
static int put_text(FILE *out, const char *key, const char *text)
{
	fputs(key, out);
	return json_print_string(out, text);
}

/* No double: 15 digits are too few for nanoseconds, and a locale may have a comma. */
static void put_fraction(FILE *out, const char *key, int64_t ns, int64_t unit_ns, int digits)
{
	if (ns < 0)
		ns = 0;
	fprintf(out, "%s%lld.%0*lld", key, (long long)(ns / unit_ns), digits,
		(long long)(ns % unit_ns));
}

static int put_frame(FILE *out, const struct profile_frame *frame)
{
	int err = put_text(out, "{\"func\":", frame->func);

	if (!err)
		err = put_text(out, ",\"file\":", frame->file);
	if (frame->line > 0)
		fprintf(out, ",\"line\":%d,\"kind\":\"", frame->line);
	else
		fputs(",\"line\":null,\"kind\":\"", out);
	fputs(frame_kind_name(frame->kind), out);
	fputs("\"}", out);
	return err;
}

static int put_stack(FILE *out, const struct profile *profile, uint32_t stack)
{
	uint32_t frames[FLAME_STACK_MAX];
	size_t cnt = selection_frames(profile, stack, frames);
	int err = 0;

	fputs(",\"stack\":[", out);
	for (size_t i = 0; i < cnt && !err; i++) {
		if (i)
			putc(',', out);
		err = put_frame(out, &profile->frames[frames[i]]);
	}
	fputs("]}\n", out);
	return err;
}

static int put_task(FILE *out, const struct profile_task *task)
{
	static const struct profile_task none;
	int err = put_text(out, ",\"what\":", task ? stall_kind_name(task->what) : NULL);

	if (!task)
		task = &none;
	if (!err)
		err = put_text(out, ",\"task\":", task->task);
	if (!err)
		err = put_text(out, ",\"coro\":", task->coro);
	return err ? err : put_text(out, ",\"callback\":", task->callback);
}

int json_print_stack(FILE *out, const struct profile *profile, const struct profile_entry *entry)
{
	const struct profile_thread *thread;
	int err;

	if (entry->thread >= profile->thread_cnt ||
	    profile->threads[entry->thread].process >= profile->process_cnt)
		return 0;
	errno = 0;
	thread = &profile->threads[entry->thread];
	put_fraction(out, "{\"type\":\"stack\",\"ts\":", profile->start_unix_ns, 1000000000, 9);
	fprintf(out, ",\"pid\":%u,\"tid\":%u", profile->processes[thread->process].pid,
		thread->tid);
	err = put_text(out, ",\"thread\":", thread->comm);
	/* An address does not fit the numbers of JSON's readers (2^53). */
	if (thread->loop)
		fprintf(out, ",\"loop\":\"0x%llx\"", (unsigned long long)thread->loop);
	else
		fputs(",\"loop\":null", out);
	if (!err)
		err = put_task(out, entry->task < profile->task_cnt ? &profile->tasks[entry->task]
								    : NULL);
	fprintf(out, ",\"kind\":\"%s\",\"cause\":\"%s\"", point_kind_name(entry->kind),
		cause_name(selection_cause(entry)));
	put_fraction(out, ",\"ms\":", entry->ns, 1000000, 6);
	fprintf(out, ",\"count\":%llu,\"sampled\":%s", (unsigned long long)entry->cnt,
		entry->kind == POINT_CPU ? "true" : "false");
	if (!err)
		err = put_stack(out, profile, entry->stack);
	if (!err && ferror(out))
		err = errno ? -errno : -EIO;
	return err;
}
