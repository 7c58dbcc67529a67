/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "report/debuglog.h"

#include <errno.h>

#include "report/words.h"

#define NAME_MAX_BYTES 400

int debuglog_stall(FILE *out, const struct stall *stall)
{
	char task[WORDS_TEXT_SZ], title[WORDS_TEXT_SZ], place[WORDS_TEXT_SZ];
	struct display display = {.full_filenames = true};
	const struct stall_frame *outer = NULL;
	double seconds;

	if (stall->ongoing || stall->kind == STALL_ITERATION || stall->duration_ns < 0)
		return 0;
	seconds = (double)stall->duration_ns / 1e9;
	if (stall->frame_cnt)
		outer = &stall->frames[stall->frame_cnt - 1];
	words_text(stall_title(stall), NAME_MAX_BYTES, title);
	words_place(&display, outer ? outer->file : NULL, outer ? outer->line : 0, WORDS_TEXT_SZ,
		    place);
	if (stall->kind == STALL_TASK)
		fprintf(out,
			"Executing <Task pending name='%s' coro=<%s() running%s%s>> took %.3f "
			"seconds\n",
			words_text(stall->task, NAME_MAX_BYTES, task), title, outer ? " at " : "",
			outer ? place : "", seconds);
	else
		fprintf(out, "Executing <Handle %s()%s%s> took %.3f seconds\n", title,
			outer ? " at " : "", outer ? place : "", seconds);
	return fflush(out) || ferror(out) ? -EIO : 0;
}
