/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "model/pystr.h"

#include <stdint.h>
#include <string.h>

#define REPLACEMENT 0xfffd
#define CUT_MARK    "..."

static size_t put(char *out, uint32_t c)
{
	if (c >= 0xdc80 && c <= 0xdcff) {
		out[0] = (char)(c & 0xff);
		return 1;
	}
	if (!c || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
		c = REPLACEMENT;
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/* PyTypeObject.tp_name is UTF-8 (Doc/c-api/typeobj.rst); what is not is left to who shows it. */
static int copy_utf8(const struct ap_text *text, const unsigned char *bytes, size_t data_sz,
		     char *out)
{
	size_t pos = 0;

	if (text->kept > data_sz || text->kept != text->length)
		return -1;
	for (size_t i = 0; i < text->kept; i++) {
		if (bytes[i])
			out[pos++] = (char)bytes[i];
		else
			pos += put(out + pos, REPLACEMENT);
	}
	out[pos] = 0;
	return (int)pos;
}

int pystr_utf8(const struct ap_text *text, const void *data, size_t data_sz, char *out,
	       size_t out_sz)
{
	const unsigned char *bytes = data;
	size_t kept = text->kept, pos = 0;
	uint64_t whole = (uint64_t)text->length * text->width;

	if (out_sz < PYSTR_SZ(data_sz))
		return -1;
	if (text->width == AP_TEXT_UTF8)
		return copy_utf8(text, bytes, data_sz, out);
	if (text->width != 1 && text->width != 2 && text->width != 4)
		return -1;
	if (kept > data_sz || kept > whole)
		return -1;
	if (!kept && whole)
		return -1;
	for (size_t i = 0; i + text->width <= kept; i += text->width) {
		uint16_t two;
		uint32_t four;

		switch (text->width) {
		case 1:
			four = bytes[i];
			break;
		case 2:
			memcpy(&two, bytes + i, sizeof(two));
			four = two;
			break;
		default:
			memcpy(&four, bytes + i, sizeof(four));
			break;
		}
		pos += put(out + pos, four);
	}
	if (kept < whole) {
		memcpy(out + pos, CUT_MARK, sizeof(CUT_MARK) - 1);
		pos += sizeof(CUT_MARK) - 1;
	}
	out[pos] = 0;
	return (int)pos;
}
