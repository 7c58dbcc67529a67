/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "cli/values.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIME_MAX_NS (365 * 86400 * NS_PER_S)

struct shown value_show(const char *word)
{
	struct shown shown;
	size_t i;

	for (i = 0; word[i] && i < sizeof(shown.text) - 1; i++)
		shown.text[i] = word[i] >= ' ' && word[i] <= '~' ? word[i] : '?';
	if (word[i])
		memcpy(shown.text + i - 3, "...", 3);
	shown.text[i] = '\0';
	return shown;
}

/*
 * Reads DIGITS[.DIGITS] as a number of `1 / scale`; returns where it ends, or
 * NULL when it is no such number or too large. By hand, since strtod() depends
 * on the locale, takes "nan" and "0x1p3", and rounds.
 */
static const char *parse_decimal(const char *text, uint64_t scale, uint64_t *value)
{
	uint64_t whole = 0, part = 0;

	if (*text < '0' || *text > '9')
		return NULL;
	for (; *text >= '0' && *text <= '9'; text++) {
		whole = whole * 10 + (*text - '0');
		if (whole > TIME_MAX_NS)
			return NULL;
	}
	if (*text == '.') {
		uint64_t unit = scale;

		text++;
		if (*text < '0' || *text > '9')
			return NULL;
		for (; *text >= '0' && *text <= '9'; text++) {
			unit /= 10;
			part += unit * (*text - '0');
		}
	}
	if (whole > (TIME_MAX_NS - part) / scale)
		return NULL;
	*value = whole * scale + part;
	return text;
}

int value_time(const char *text, bool seconds, uint64_t *ns, struct refusal *why)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{"ns", 1},	 {"us", 1000},		 {"\xc2\xb5s", 1000},	 {"ms", 1000000},
		{"s", NS_PER_S}, {"min", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S},
	};
	static const char remedy[] = "write a number and its unit: 250us, 100ms, 1.5s";
	struct shown shown = value_show(text);
	const char *unit;
	uint64_t value;
	size_t i;

	unit = parse_decimal(text, NS_PER_S, &value);
	if (!unit)
		return refuse(why, EXIT_USAGE, remedy, "'%s' is not a time", shown.text);
	if (!*unit && seconds) {
		*ns = value;
		return 0;
	}
	if (!*unit)
		return refuse(why, EXIT_USAGE, remedy, "'%s' has no unit", shown.text);
	for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(unit, units[i].name))
			continue;
		if (!parse_decimal(text, units[i].ns, ns))
			return refuse(why, EXIT_USAGE, remedy, "'%s' is too long", shown.text);
		return 0;
	}
	return refuse(why, EXIT_USAGE, remedy, "'%s' is not a time", shown.text);
}

int options_parse_time(const char *text, uint64_t *ns, struct refusal *why)
{
	return value_time(text, false, ns, why);
}

int value_count(const char *option, const char *text, uint64_t max, uint64_t *value,
		struct refusal *why)
{
	const char *at = text;

	*value = 0;
	for (; *at >= '0' && *at <= '9'; at++) {
		*value = *value * 10 + (*at - '0');
		if (*value > max)
			break;
	}
	if (at == text || *at || !*value)
		return refuse(why, EXIT_USAGE, "",
			      "%s wants a whole number from 1 to %llu, not '%s'", option,
			      (unsigned long long)max, value_show(text).text);
	return 0;
}

int value_id(const char *name, const char *text, uint32_t *id, struct refusal *why)
{
	uint64_t value = 0;

	/* (uid_t)-1 means "leave it as it is" to the system calls. */
	if (strcmp(text, "0") && value_count(name, text, UINT32_MAX - 1, &value, why))
		return refuse(why, EXIT_USAGE, "run it through sudo again, or give --as-root",
			      "%s in the environment is no id: '%s'", name, value_show(text).text);
	*id = (uint32_t)value;
	return 0;
}

int value_add_pid(struct options *options, const char *text, struct refusal *why)
{
	uint64_t value;
	size_t i;
	pid_t *pid;

	if (value_count("--pid", text, INT_MAX, &value, why)) {
		snprintf(why->remedy, sizeof(why->remedy),
			 "find it with: pgrep -af python; several: -p 1 -p 2");
		return -1;
	}
	for (i = 0; i < options->pid_cnt; i++)
		if ((uint64_t)options->pid[i] == value)
			return 0;
	pid = reallocarray(options->pid, options->pid_cnt + 1, sizeof(*pid));
	if (!pid)
		return refuse(why, EXIT_FAILED, "", "out of memory");
	pid[options->pid_cnt++] = (pid_t)value;
	options->pid = pid;
	return 0;
}

int value_add_string(struct string_list *list, const char *option, const char *text,
		     struct refusal *why)
{
	const char **item;

	if (!*text)
		return refuse(why, EXIT_USAGE, SEE_HELP, "--%s is empty", option);
	item = reallocarray(list->item, list->cnt + 1, sizeof(*item));
	if (!item)
		return refuse(why, EXIT_FAILED, "", "out of memory");
	item[list->cnt++] = text;
	list->item = item;
	return 0;
}

int value_add_place(struct string_list *list, const char *option, const char *text,
		    struct refusal *why)
{
	const char *colon = strchr(text, ':');

	if (!strcmp(text, ":") || (colon && strchr(colon + 1, ':')))
		return refuse(why, EXIT_USAGE,
			      "write MODULE:FUNCTION, FUNCTION or MODULE:, such as app.db:fetch",
			      "--%s '%s' names no function", option, value_show(text).text);
	return value_add_string(list, option, text, why);
}
