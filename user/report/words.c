/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "report/words.h"

#include <stdio.h>
#include <string.h>

#include "report/escape.h"

#define CUT "..."

const char *words_paint(const struct display *display, enum paint paint)
{
	static const char *const sequence[] = {
		[PAINT_OFF] = "\033[0m",    [PAINT_DIM] = "\033[2m",	 [PAINT_BOLD] = "\033[1m",
		[PAINT_RED] = "\033[1;31m", [PAINT_YELLOW] = "\033[33m", [PAINT_GREEN] = "\033[32m",
		[PAINT_CYAN] = "\033[36m",
	};

	return display->colour ? sequence[paint] : "";
}

char *words_duration(int64_t ns, char out[WORDS_DURATION_SZ])
{
	double ms = (double)ns / 1e6;

	if (ms < 0.9995)
		snprintf(out, WORDS_DURATION_SZ, "%.0f us", ms * 1e3);
	else if (ms < 9.995)
		snprintf(out, WORDS_DURATION_SZ, "%.2f ms", ms);
	else if (ms < 999.5)
		snprintf(out, WORDS_DURATION_SZ, "%.0f ms", ms);
	else if (ms < 99995)
		snprintf(out, WORDS_DURATION_SZ, "%.2f s", ms / 1e3);
	else
		snprintf(out, WORDS_DURATION_SZ, "%.0f s", ms / 1e3);
	return out;
}

char *words_clock(const struct display *display, int64_t unix_ns, char out[WORDS_CLOCK_SZ])
{
	int64_t day = 24 * 60 * 60;
	int64_t second = (unix_ns / 1000000000 + display->utc_offset_s) % day;

	if (second < 0)
		second += day;
	snprintf(out, WORDS_CLOCK_SZ, "%02d:%02d:%02d", (int)(second / 3600),
		 (int)(second / 60 % 60), (int)(second % 60));
	return out;
}

char *words_text(const char *text, size_t max, char out[WORDS_TEXT_SZ])
{
	if (!text)
		text = "?";
	if (max >= WORDS_TEXT_SZ)
		max = WORDS_TEXT_SZ - 1;
	escape_terminal(out, max + 1, text, strlen(text));
	return out;
}

/* Columns that the character at `text` takes once escaped; *len: its bytes. */
static size_t escaped_len(const char *text, size_t *len)
{
	char piece[ESCAPE_SZ(4)];

	*len = 1;
	while (*len < 4 && (text[*len] & 0xc0) == 0x80)
		++*len;
	return escape_terminal(piece, sizeof(piece), text, *len);
}

char *words_tail(const char *text, size_t max, char out[WORDS_TEXT_SZ])
{
	size_t total = 0, len;

	if (!text)
		text = "?";
	if (max >= WORDS_TEXT_SZ)
		max = WORDS_TEXT_SZ - 1;
	for (const char *c = text; *c; c += len)
		total += escaped_len(c, &len);
	if (total <= max || max <= strlen(CUT))
		return words_text(text, max, out);
	for (; total > max - strlen(CUT); text += len)
		total -= escaped_len(text, &len);
	strcpy(out, CUT);
	escape_terminal(out + strlen(CUT), total + 1, text, strlen(text));
	return out;
}

char *words_title(enum stall_kind kind, const char *title, size_t max, char out[WORDS_TEXT_SZ])
{
	if (kind == STALL_ITERATION)
		return words_text(title, max, out);
	if (max > WORDS_TEXT_SZ - 1)
		max = WORDS_TEXT_SZ - 1;
	words_text(title, max > 2 ? max - 2 : 0, out);
	strcat(out, "()");
	return out;
}

/* The last two components: one alone is `views.py` or `__init__.py` too often. */
static const char *short_file(const char *file)
{
	const char *last = NULL, *before = NULL;

	for (const char *c = file; *c; c++) {
		if (*c == '/') {
			before = last;
			last = c + 1;
		}
	}
	return before ? before : file;
}

char *words_place(const struct display *display, const char *file, int line, size_t max,
		  char out[WORDS_TEXT_SZ])
{
	char number[16] = "";
	size_t len;

	if (!file)
		return words_text(NULL, max, out);
	if (line > 0)
		snprintf(number, sizeof(number), ":%d", line);
	len = strlen(number);
	if (!display->full_filenames)
		file = short_file(file);
	if (max >= WORDS_TEXT_SZ)
		max = WORDS_TEXT_SZ - 1;
	words_tail(file, max > len ? max - len : 0, out);
	strcat(out, number);
	return out;
}

size_t words_place_room(const struct display *display, size_t room, size_t title_len)
{
	if (display->full_filenames)
		return WORDS_TEXT_SZ;
	return room > title_len + 2 ? room - title_len - 2 : 0;
}

char *words_cause(enum cause cause, char out[WORDS_CAUSE_SZ])
{
	switch (cause) {
	case CAUSE_CPU:
		snprintf(out, WORDS_CAUSE_SZ, "on CPU");
		break;
	case CAUSE_GC:
	case CAUSE_LOOP:
		snprintf(out, WORDS_CAUSE_SZ, "on CPU: %s", cause_name(cause));
		break;
	case CAUSE_RUNQUEUE:
	case CAUSE_THROTTLED:
	case CAUSE_STEAL:
		snprintf(out, WORDS_CAUSE_SZ, "no CPU: %s", cause_name(cause));
		break;
	default:
		snprintf(out, WORDS_CAUSE_SZ, "blocked: %s", cause_name(cause));
		break;
	}
	return out;
}
