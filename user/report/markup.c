/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "report/markup.h"

#include <stdlib.h>
#include <string.h>

#include "report/escape.h"

static void put_escaped(FILE *out, const char *text)
{
	while (*text) {
		size_t plain = strcspn(text, "&<>\"'");

		fwrite(text, 1, plain, out);
		text += plain;
		switch (*text) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		case '\'':
			fputs("&#39;", out);
			break;
		default:
			return;
		}
		text++;
	}
}

void markup_text(FILE *out, const char *text)
{
	size_t sz = strlen(text);
	char small[1024], *buf = small;

	if (ESCAPE_SZ(sz) > sizeof(small))
		buf = malloc(ESCAPE_SZ(sz));
	if (!buf) {
		/* Cut, and says so with dots, rather than not there. */
		buf = small;
		escape_terminal(buf, sizeof(small), text, sz);
	} else {
		escape_terminal(buf, ESCAPE_SZ(sz), text, sz);
	}
	put_escaped(out, buf);
	if (buf != small)
		free(buf);
}
