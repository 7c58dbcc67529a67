/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "target/startup.h"

#include <stdio.h>
#include <unistd.h>

#include "target/elf.h"
#include "target/interpreter.h"
#include "target/maps.h"

static const char *const makers[STARTUP_SITES] = {"PyModuleDef_Init", "PyModule_Create2"};

static void find_sites(struct startup *s, const struct elf *e)
{
	struct refusal why;

	for (unsigned int i = 0; i < STARTUP_SITES; i++) {
		struct site *site = &s->site[i];
		uint64_t vaddr = elf_dynsym(e, makers[i]);

		/* Nobody reads their arguments, and the load bias is of no use yet. */
		if (!vaddr || site_find(e, 0, vaddr, makers[i], 0, site, &why)) {
			site->cost = SITE_NONE;
			continue;
		}
		site->fd = s->fd;
		snprintf(site->path, sizeof(site->path), "/proc/self/fd/%d", s->fd);
	}
}

static int look(struct startup *s, const struct process *p, const struct mapping *map)
{
	struct elf *e = NULL;
	int doubtful, found;

	s->fd = maps_open_file(p, map, &doubtful);
	found = s->fd >= 0 && !elf__read(s->fd, &e) && interpreter_is_in(e);
	if (found)
		find_sites(s, e);
	elf__close(e);
	if (found)
		return 1;
	startup__close(s);
	s->dev = map->dev;
	s->ino = map->ino;
	return 0;
}

int startup__find(struct startup *s, const struct process *p)
{
	const struct mapping *map;
	struct maps *maps = NULL;
	struct refusal why;
	int shared, found = 0;

	if (maps__read(p, &maps, &why))
		return 0;
	map = interpreter_mapping(p, maps, &shared);
	/* Asked again and again of one shell: its file is read once. */
	if (map && map->ino && (map->ino != s->ino || map->dev != s->dev))
		found = look(s, p, map);
	maps__free(maps);
	return found;
}

void startup__close(struct startup *s)
{
	if (s->fd >= 0)
		close(s->fd);
	*s = STARTUP_NONE;
}
