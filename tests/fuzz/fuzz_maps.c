/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/* /proc/PID/maps: the paths in it are the target's choice. */
#include "fuzz.h"

#include <string.h>

#include "target/maps.h"

static int any(const char *base)
{
	return base[0] == '_';
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct maps *m = NULL;
	size_t i;

	if (!maps__parse((const char *)data, size, &m)) {
		FUZZ_CHECK(maps_cnt(m) <= MAPS_MAX);
		for (i = 0; i < maps_cnt(m); i++) {
			const struct mapping *map = maps_at(m, i), *found;

			FUZZ_CHECK(map->start < map->end);
			FUZZ_CHECK(strlen(map->path) <= size);
			/* The kernel writes them in order; in any other, none may be found, but no wrong one. */
			found = maps_find(m, map->start);
			FUZZ_CHECK(!found || (found->start <= map->start && map->start < found->end));
		}
		maps_find_file(m, any);
	}
	maps__free(m);
	return 0;
}

size_t fuzz_seed(unsigned int n, uint8_t *data, size_t max)
{
	static const char text[] =
		"00400000-00a95000 r-xp 00000000 fe:00 1031 /usr/bin/python3.11\n"
		"00a95000-00c00000 rw-p 00695000 fe:00 1031 /usr/bin/python3.11\n"
		"01e5b000-01f60000 rw-p 00000000 00:00 0 [heap]\n"
		"7f0c42170000-7f0c42190000 r-xp 00001000 fe:00 77 /usr/lib/_asyncio.so (deleted)\n"
		"7ffd1c000000-7ffd1c021000 rw-p 00000000 00:00 0 [stack]\n"
		"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n";

	if (n || max < sizeof(text))
		return 0;
	memcpy(data, text, sizeof(text) - 1);
	return sizeof(text) - 1;
}
