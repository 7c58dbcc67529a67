/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "model/filter.h"

#include <stdlib.h>
#include <string.h>

#include <utlist.h>

struct pattern {
	struct pattern *next;
	char *module, *func; /* "" : any */
	char text[];
};

struct filter {
	struct pattern *only, *exclude, *task;
	uint32_t causes; /* mask of 1 << enum cause; 0: all */
};

struct filter *filter__new(void)
{
	return calloc(1, sizeof(struct filter));
}

static void free_patterns(struct pattern *list)
{
	struct pattern *pattern, *next;

	LL_FOREACH_SAFE(list, pattern, next)
	free(pattern);
}

void filter__free(struct filter *filter)
{
	if (!filter)
		return;
	free_patterns(filter->only);
	free_patterns(filter->exclude);
	free_patterns(filter->task);
	free(filter);
}

/* One character of `pattern` against c; *len: bytes of the pattern it took. */
static bool match_one(const char *pattern, char c, size_t *len)
{
	const char *p = pattern + 1;
	bool inverted, found = false;

	*len = 1;
	if (*pattern == '\\' && *p) {
		*len = 2;
		return *p == c;
	}
	if (*pattern == '?')
		return true;
	if (*pattern != '[')
		return *pattern == c;

	inverted = *p == '!' || *p == '^';
	p += inverted;
	do {
		unsigned char low = (unsigned char)*p;

		if (!low)
			return c == '['; /* never closed: a bracket like any other */
		if (p[1] == '-' && p[2] && p[2] != ']') {
			found |= (unsigned char)c >= low && (unsigned char)c <= (unsigned char)p[2];
			p += 3;
		} else {
			found |= *p == c;
			p++;
		}
	} while (*p != ']');
	*len = (size_t)(p - pattern) + 1;
	return found != inverted;
}

/*
 * Names come from the target, so the time must not explode: only the last '*'
 * is ever tried again, which is enough for shell patterns.
 */
bool filter_glob(const char *pattern, const char *text)
{
	const char *star = NULL, *again = NULL;
	size_t len;

	while (*text) {
		if (*pattern == '*') {
			star = ++pattern;
			again = text;
		} else if (*pattern && match_one(pattern, *text, &len)) {
			pattern += len;
			text++;
		} else if (star) {
			pattern = star;
			text = ++again;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}

static int add_pattern(struct pattern **list, const char *text, bool split, struct refusal *why)
{
	struct pattern *pattern = calloc(1, sizeof(*pattern) + strlen(text) + 1);
	char *colon;

	if (!pattern)
		return refuse(why, EXIT_FAILED, NULL, "out of memory");
	strcpy(pattern->text, text);
	pattern->module = pattern->text + strlen(text);
	pattern->func = pattern->text;
	colon = split ? strchr(pattern->text, ':') : NULL;
	if (colon) {
		*colon = 0;
		pattern->module = pattern->text;
		pattern->func = colon + 1;
	}
	if (!*text || (colon && !*pattern->module && !*pattern->func)) {
		free(pattern);
		return refuse(why, EXIT_USAGE, "write MODULE:FUNCTION, FUNCTION or MODULE:",
			      "an empty pattern would match everything");
	}
	LL_APPEND(*list, pattern);
	return 0;
}

int filter__only(struct filter *filter, const char *pattern, struct refusal *why)
{
	return add_pattern(&filter->only, pattern, true, why);
}

int filter__exclude(struct filter *filter, const char *pattern, struct refusal *why)
{
	return add_pattern(&filter->exclude, pattern, true, why);
}

int filter__task(struct filter *filter, const char *pattern, struct refusal *why)
{
	return add_pattern(&filter->task, pattern, false, why);
}

int filter__cause(struct filter *filter, const char *cause, struct refusal *why)
{
	int found = cause_from_name(cause);

	if (found < 0)
		return refuse(why, EXIT_USAGE,
			      "one of: cpu gc gil lock sleep socket dns pipe file flock child poll "
			      "fault runqueue throttled steal loop other",
			      "no such cause");
	filter->causes |= 1U << found;
	return 0;
}

/* Does the dotted pattern match the end of the path, from a '/' on? */
static bool match_module(const char *pattern, const char *file)
{
	static const char init[] = "/__init__.py", extension[] = ".py";
	char dotted[AP_FILE_SZ * 3 + 8];
	size_t len = strlen(file);

	if (!*pattern)
		return true;
	if (len >= sizeof(dotted))
		return false;
	memcpy(dotted, file, len + 1);
	if (len >= sizeof(init) && !strcmp(dotted + len - (sizeof(init) - 1), init))
		dotted[len - (sizeof(init) - 1)] = 0;
	else if (len >= sizeof(extension) &&
		 !strcmp(dotted + len - (sizeof(extension) - 1), extension))
		dotted[len - (sizeof(extension) - 1)] = 0;
	for (char *c = dotted; *c; c++) {
		if (*c == '/')
			*c = '.';
	}
	for (const char *at = dotted; at; at = strchr(at, '.')) {
		at += *at == '.';
		if (filter_glob(pattern, at))
			return true;
	}
	return false;
}

static bool match_func(const char *pattern, const char *func)
{
	const char *last;

	if (!*pattern)
		return true;
	if (!func)
		return false;
	last = strrchr(func, '.');
	return filter_glob(pattern, func) || (last && filter_glob(pattern, last + 1));
}

static bool match_stall(const struct pattern *pattern, const struct stall *stall)
{
	for (size_t i = 0; i < stall->frame_cnt; i++) {
		const struct stall_frame *frame = &stall->frames[i];

		if ((!*pattern->module || frame->file) &&
		    match_module(pattern->module, frame->file ? frame->file : "") &&
		    match_func(pattern->func, frame->func))
			return true;
	}
	/* Names of the loop's callee have no file of their own. */
	return !*pattern->module && (match_func(pattern->func, stall->coro) ||
				     match_func(pattern->func, stall->callback));
}

static bool match_any(const struct pattern *list, const struct stall *stall)
{
	const struct pattern *pattern;

	LL_FOREACH(list, pattern)
	{
		if (match_stall(pattern, stall))
			return true;
	}
	return false;
}

bool filter_match(const struct filter *filter, const struct stall *stall)
{
	const struct pattern *pattern;
	bool found = !filter->task;

	if (filter->causes && !(filter->causes & 1U << stall->cause))
		return false;
	LL_FOREACH(filter->task, pattern)
	{
		if (stall->task && filter_glob(pattern->text, stall->task))
			found = true;
	}
	if (!found || (filter->only && !match_any(filter->only, stall)))
		return false;
	return !match_any(filter->exclude, stall);
}
