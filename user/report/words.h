/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Durations, clocks and places the way people read them; shared by the faces
 * that print text.
 *
 * It must never let a byte of the target through that escape.h would not.
 */
#ifndef ASYNCPROF_WORDS_H
#define ASYNCPROF_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "model/stall.h"
#include "report/display.h"

/* Terminal attributes, "" without colour. */
enum paint { PAINT_OFF, PAINT_DIM, PAINT_BOLD, PAINT_RED, PAINT_YELLOW, PAINT_GREEN, PAINT_CYAN };

const char *words_paint(const struct display *display, enum paint paint);

/* "250 us", "1.25 ms", "153 ms", "2.35 s". Returns `out`. */
#define WORDS_DURATION_SZ 24
char *words_duration(int64_t ns, char out[WORDS_DURATION_SZ]);

/* "14:03:07" in the display's zone. Returns `out`. */
#define WORDS_CLOCK_SZ 16
char *words_clock(const struct display *display, int64_t unix_ns, char out[WORDS_CLOCK_SZ]);

/* Escaped `text`, at most `max` bytes of it, "?" for NULL. Returns `out`. */
#define WORDS_TEXT_SZ 1024
char *words_text(const char *text, size_t max, char out[WORDS_TEXT_SZ]);

/* As words_text(), but what is too long keeps its end: that of a path tells most. */
char *words_tail(const char *text, size_t max, char out[WORDS_TEXT_SZ]);

/* "Server.handle()", or "iteration". Returns `out`. */
char *words_title(enum stall_kind kind, const char *title, size_t max, char out[WORDS_TEXT_SZ]);

/* "shop/views.py:12", the whole path with full_filenames; "?" when not known. Returns `out`. */
char *words_place(const struct display *display, const char *file, int line, size_t max,
		  char out[WORDS_TEXT_SZ]);

/* Of `room` columns, those that a place may have beside a title of `title_len`. */
size_t words_place_room(const struct display *display, size_t room, size_t title_len);

/* "blocked: sleep", "on CPU", "no CPU: runqueue". Returns `out`. */
#define WORDS_CAUSE_SZ 32
char *words_cause(enum cause cause, char out[WORDS_CAUSE_SZ]);

#endif
