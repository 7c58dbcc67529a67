/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Is it well-formed XML 1.0? Of what our documents use: a declaration, elements, quoted
 * attributes, the five entities and decimal references, CDATA. Anything else is a failure.
 */
#ifndef ASYNCPROF_MARKUP_CHECK_H
#define ASYNCPROF_MARKUP_CHECK_H

#include <ctype.h>
#include <stdio.h>
#include <string.h>

struct markup_check {
	const char *start, *at;
	char open[32][32]; /* names of the elements that are open */
	int depth;
	const char *wrong; /* what is not well-formed, NULL: nothing */
};

static inline void markup_wrong(struct markup_check *check, const char *what)
{
	if (!check->wrong)
		check->wrong = what;
}

/* A character of text or of an attribute; the caller has seen that it is neither tag nor quote. */
static inline void markup_character(struct markup_check *check)
{
	static const char *const entities[] = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
	const unsigned char *c = (const unsigned char *)check->at;
	int len;

	if (*c == '&') {
		for (size_t i = 0; i < 5; i++) {
			if (!strncmp(check->at, entities[i], strlen(entities[i]))) {
				check->at += strlen(entities[i]);
				return;
			}
		}
		markup_wrong(check, "an ampersand");
	}
	if (*c < 0x20 && *c != '\n' && *c != '\t')
		markup_wrong(check, "a control character");
	len = *c < 0x80			? 1
	      : *c >= 0xc2 && *c < 0xe0 ? 2
	      : *c >= 0xe0 && *c < 0xf0 ? 3
	      : *c >= 0xf0 && *c < 0xf5 ? 4
					: 0;
	if (!len)
		markup_wrong(check, "a byte that begins no character");
	for (int i = 1; i < len; i++) {
		if ((c[i] & 0xc0) != 0x80) {
			markup_wrong(check, "half a character");
			len = 1;
		}
	}
	check->at += len ? len : 1;
}

static inline void markup_name(struct markup_check *check, char name[32])
{
	size_t len = 0;

	while (isalnum((unsigned char)*check->at) || *check->at == '-' || *check->at == ':') {
		if (len < 31)
			name[len++] = *check->at;
		check->at++;
	}
	name[len] = 0;
	if (!len || !isalpha((unsigned char)name[0]))
		markup_wrong(check, "no name");
}

static inline void markup_tag(struct markup_check *check)
{
	char name[32], attribute[32];

	if (*check->at == '/') {
		check->at++;
		markup_name(check, name);
		if (!check->depth || strcmp(check->open[--check->depth], name) != 0)
			markup_wrong(check, "an end without its beginning");
		if (*check->at++ != '>')
			markup_wrong(check, "an end that does not end");
		return;
	}
	markup_name(check, name);
	while (!check->wrong && isspace((unsigned char)*check->at)) {
		while (isspace((unsigned char)*check->at))
			check->at++;
		markup_name(check, attribute);
		if (*check->at++ != '=' || *check->at++ != '"') {
			markup_wrong(check, "an attribute without its value");
			return;
		}
		while (*check->at && *check->at != '"' && *check->at != '<')
			markup_character(check);
		if (*check->at++ != '"')
			markup_wrong(check, "a value that does not end");
	}
	if (check->at[0] == '/' && check->at[1] == '>') {
		check->at += 2;
		return;
	}
	if (*check->at++ != '>')
		markup_wrong(check, "a tag that does not end");
	if (check->depth == 32)
		markup_wrong(check, "too deep");
	else
		snprintf(check->open[check->depth++], 32, "%s", name);
}

/* NULL: it is; else what is wrong. *where: at which byte. */
static inline const char *markup_check(const char *text, size_t *where)
{
	static const char cdata[] = "![CDATA[",
			  head[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
	struct markup_check check = {.start = text, .at = text};
	int roots = 0;

	if (strncmp(text, head, sizeof(head) - 1) != 0)
		return "no declaration";
	check.at += sizeof(head) - 1;
	while (*check.at && !check.wrong) {
		if (*check.at != '<') {
			if (!check.depth && !isspace((unsigned char)*check.at))
				markup_wrong(&check, "text outside");
			if (!strncmp(check.at, "]]>", 3))
				markup_wrong(&check, "an end of CDATA");
			markup_character(&check);
			continue;
		}
		check.at++;
		if (!strncmp(check.at, cdata, sizeof(cdata) - 1)) {
			const char *end = strstr(check.at, "]]>");

			if (!end || !check.depth)
				markup_wrong(&check, "CDATA that does not end");
			else
				check.at = end + 3;
			continue;
		}
		roots += !check.depth && *check.at != '/';
		markup_tag(&check);
	}
	if (!check.wrong && (check.depth || roots != 1))
		check.wrong = "elements that are still open";
	*where = (size_t)(check.at - check.start);
	return check.wrong;
}

#endif
