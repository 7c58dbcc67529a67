/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * A str of the target's all the way to the terminal and to JSON: nothing that
 * a terminal obeys may come through, whatever the bytes.
 */
#include "fuzz.h"

#include <string.h>

#include "model/pystr.h"
#include "report/escape.h"

static void check_output(const char *out, size_t len, size_t room)
{
	size_t i;

	FUZZ_CHECK(len < room && out[len] == '\0' && strlen(out) == len);
	for (i = 0; i < len; i++)
		FUZZ_CHECK((unsigned char)out[i] >= ' ' && out[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char utf8[PYSTR_SZ(AP_FILE_SZ)], out[ESCAPE_SZ(sizeof(utf8))];
	struct ap_text text;
	size_t room;
	int len;

	if (size < sizeof(text))
		return 0;
	memcpy(&text, data, sizeof(text));
	data += sizeof(text);
	size -= sizeof(text);
	if (size > AP_FILE_SZ)
		size = AP_FILE_SZ;
	len = pystr_utf8(&text, data, size, utf8, sizeof(utf8));
	if (len >= 0) {
		FUZZ_CHECK((size_t)len < sizeof(utf8) && strlen(utf8) == (size_t)len);
		for (room = 1; room <= sizeof(out); room = room * 2 + 3)
			check_output(out, escape_terminal(out, room, utf8, (size_t)len), room);
		escape_json(out, sizeof(out), utf8, (size_t)len);
	}
	check_output(out, escape_terminal(out, sizeof(out), (const char *)data, size), sizeof(out));
	escape_json(out, sizeof(out), (const char *)data, size);
	return 0;
}

size_t fuzz_seed(unsigned int n, uint8_t *data, size_t max)
{
	static const char latin[] = "caf\xe9 \x1b[31m\x9b";
	static const uint16_t ucs2[] = {0x4e2d, 0x202e, 0xd800, 0xdc80, 0x41};
	static const uint32_t ucs4[] = {0x1f40d, 0xe0001, 0x110000, 0xffffffff};
	struct ap_text text = {.length = 4, .kept = 16, .width = 4};
	const void *bytes = ucs4;

	if (n == 0) {
		text = (struct ap_text){.length = 11, .kept = 11, .width = 1};
		bytes = latin;
	} else if (n == 1) {
		text = (struct ap_text){.length = 5, .kept = 10, .width = 2};
		bytes = ucs2;
	}
	if (n > 2 || max < sizeof(text) + 16)
		return 0;
	memcpy(data, &text, sizeof(text));
	memcpy(data + sizeof(text), bytes, text.kept);
	return sizeof(text) + text.kept;
}
