/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "target/startup.h"

#include <stdio.h>
#include <unistd.h>

#include "target/elf.h"
#include "target/interpreter.h"
#include "target/images.h"
#include "target/maps.h"

static const char *const makers[] = {"PyModuleDef_Init", "PyModule_Create2"};

static struct site *new_site(struct startup *s)
{
	struct site *site = &s->site[s->site_cnt++];

	site->fd = s->fd;
	snprintf(site->path, sizeof(site->path), "/proc/self/fd/%d", s->fd);
	return site;
}

static void find_makers(struct startup *s, const struct elf *e)
{
	struct refusal why;
	size_t i;

	for (i = 0; i < STARTUP_SITES; i++) {
		uint64_t vaddr = elf_dynsym(e, makers[i]);
		struct site site;

		/* Nobody reads their arguments, and the load bias is of no use yet. */
		if (!vaddr || site_find(e, 0, vaddr, makers[i], 0, &site, &why))
			continue;
		s->site[s->site_cnt] = site;
		new_site(s);
	}
}

/* Any instruction will do: it comes by once. */
static void find_entry(struct startup *s, const struct elf *e)
{
	uint64_t offset;

	if (!elf_is_code(e, elf_entry(e)) || elf_offset(e, elf_entry(e), &offset))
		return;
	s->site[0] = (struct site){.name = "entry", .cost = SITE_STEPPED, .offset = offset};
	new_site(s);
	s->kind = STARTUP_ENTRY;
}

static void look(struct startup *s, const struct process *p, const struct mapping *map)
{
	struct elf *e = NULL;
	int doubtful;

	startup__close(s);
	s->dev = map->dev;
	s->ino = map->ino;
	s->fd = maps_open_file(p, map, &doubtful);
	if (s->fd < 0 || elf__read(s->fd, &e))
		return;
	if (images_have_interpreter(e)) {
		s->kind = STARTUP_PYTHON;
		find_makers(s, e);
	} else {
		find_entry(s, e);
	}
	elf__close(e);
}

enum startup_kind startup__look(struct startup *s, const struct process *p)
{
	const struct mapping *map;
	struct maps *maps = NULL;
	struct refusal why;
	int shared;

	if (maps__read(p, &maps, &why))
		return STARTUP_NOTHING;
	map = images_interpreter(p, maps, &shared);
	/* Asked again and again of one program: its file is read once. */
	if (map && map->ino && (map->ino != s->ino || map->dev != s->dev))
		look(s, p, map);
	maps__free(maps);
	return s->kind;
}

void startup__close(struct startup *s)
{
	if (s->fd >= 0)
		close(s->fd);
	*s = STARTUP_NONE;
}
