/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "report/escape.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ELLIPSIS "..."

/* Bytes of the UTF-8 character at `in`, 0 when it is none (RFC 3629: no overlongs, no surrogates).
 */
static size_t decode(const unsigned char *in, size_t in_sz, uint32_t *c)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len;

	if (in[0] < 0x80) {
		*c = in[0];
		return 1;
	}
	if (in[0] >= 0xc2 && in[0] <= 0xdf)
		len = 2;
	else if (in[0] >= 0xe0 && in[0] <= 0xef)
		len = 3;
	else if (in[0] >= 0xf0 && in[0] <= 0xf4)
		len = 4;
	else
		return 0;
	if (len > in_sz)
		return 0;
	*c = in[0] & (0x7fU >> len);
	for (size_t i = 1; i < len; i++) {
		if ((in[i] & 0xc0) != 0x80)
			return 0;
		*c = *c << 6 | (in[i] & 0x3f);
	}
	if (*c < least[len] || *c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff))
		return 0;
	return len;
}

/*
 * Characters that change how others are shown, or that take no room: controls
 * (Cc), bidi (UAX 9), other format characters (Cf), line and paragraph
 * separators, tags and noncharacters. A name with one of these lies.
 */
static int is_hidden(uint32_t c)
{
	static const struct {
		uint32_t from, to;
	} hidden[] = {
		{0x00, 0x1f},	    {0x7f, 0x9f},	{0xad, 0xad},	    {0x34f, 0x34f},
		{0x600, 0x605},	    {0x61c, 0x61c},	{0x6dd, 0x6dd},	    {0x70f, 0x70f},
		{0x890, 0x891},	    {0x8e2, 0x8e2},	{0x115f, 0x1160},   {0x17b4, 0x17b5},
		{0x180b, 0x180f},   {0x200b, 0x200f},	{0x2028, 0x202e},   {0x2060, 0x206f},
		{0x3164, 0x3164},   {0xfe00, 0xfe0f},	{0xfeff, 0xfeff},   {0xffa0, 0xffa0},
		{0xfff0, 0xfffb},   {0xfffe, 0xffff},	{0x110bd, 0x110bd}, {0x110cd, 0x110cd},
		{0x13430, 0x1343f}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
	};

	for (size_t i = 0; i < sizeof(hidden) / sizeof(hidden[0]); i++) {
		if (c >= hidden[i].from && c <= hidden[i].to)
			return 1;
	}
	return (c & 0xfffe) == 0xfffe;
}

static size_t escape(char *out, size_t out_sz, const char *in, size_t in_sz, int terminal)
{
	const unsigned char *bytes = (const unsigned char *)in;
	size_t pos = 0, mark = 0, len;
	char piece[12];

	if (!out_sz)
		return 0;
	for (size_t i = 0; i < in_sz; i += len) {
		size_t piece_sz;
		uint32_t c = 0;

		len = decode(bytes + i, in_sz - i, &c);
		if (!len) {
			len = 1;
			piece_sz = (size_t)snprintf(piece, sizeof(piece), "\\x%02x", bytes[i]);
		} else if (terminal && is_hidden(c)) {
			piece_sz = (size_t)snprintf(piece, sizeof(piece),
						    c < 0x80	  ? "\\x%02x"
						    : c < 0x10000 ? "\\u%04x"
								  : "\\U%08x",
						    c);
		} else {
			memcpy(piece, bytes + i, len);
			piece_sz = len;
		}
		if (pos + piece_sz >= out_sz) {
			/* Back to where the mark of a cut still fits. */
			pos = mark;
			for (const char *dot = ELLIPSIS; *dot && pos + 1 < out_sz; dot++)
				out[pos++] = *dot;
			break;
		}
		memcpy(out + pos, piece, piece_sz);
		pos += piece_sz;
		if (pos + sizeof(ELLIPSIS) <= out_sz)
			mark = pos;
	}
	out[pos] = 0;
	return pos;
}

size_t escape_terminal(char *out, size_t out_sz, const char *in, size_t in_sz)
{
	return escape(out, out_sz, in, in_sz, 1);
}

size_t escape_json(char *out, size_t out_sz, const char *in, size_t in_sz)
{
	return escape(out, out_sz, in, in_sz, 0);
}
