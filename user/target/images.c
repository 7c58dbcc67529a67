/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Which of the files that a process has mapped is what: the interpreter, its
 * _asyncio, uvloop. By name: a name only chooses where to look, symbols decide.
 */
#include "target/images.h"

#include <ctype.h>
#include <string.h>

static int is_libpython(const char *base)
{
	return !strncmp(base, "libpython", 9) && isdigit((unsigned char)base[9]) &&
	       strstr(base, ".so");
}

static int is_asyncio(const char *base)
{
	size_t len = strlen(base);

	return !strncmp(base, "_asyncio.", 9) && len > 3 && !strcmp(base + len - 3, ".so");
}

static int is_pypy(const char *base)
{
	return !strncmp(base, "libpypy", 7) || !strncmp(base, "pypy", 4);
}

/* The executable's mapping: by its link, or the lowest mapped file when the link is gone. */
static const struct mapping *find_executable(const struct process *p, const struct maps *maps)
{
	char path[4096];
	const struct mapping *first = NULL;
	ssize_t n = process_read_link(p, "exe", path, sizeof(path));
	char *mark;

	if (n > 0) {
		mark = strstr(path, " (deleted)");
		if (mark && !mark[10])
			*mark = '\0';
	}
	for (size_t i = 0; i < maps_cnt(maps); i++) {
		const struct mapping *map = maps_at(maps, i);

		if (!map->ino)
			continue;
		if (!first)
			first = map;
		if (n > 0 && !strcmp(map->path, path))
			return map;
	}
	return first;
}

const struct mapping *images_interpreter(const struct process *p, const struct maps *maps,
					  int *shared)
{
	const struct mapping *map = maps_find_file(maps, is_libpython);

	*shared = !!map;
	return map ? map : find_executable(p, maps);
}

int images_have_interpreter(const struct elf *e)
{
	return elf_dynsym(e, "Py_Initialize") || elf_symtab(e, "Py_Initialize");
}

const struct mapping *images_asyncio(const struct maps *maps)
{
	return maps_find_file(maps, is_asyncio);
}

const struct mapping *images_pypy(const struct maps *maps)
{
	return maps_find_file(maps, is_pypy);
}

/* Its extension module has a name that others have too: the folder counts. */
static const struct mapping *find_path(const struct maps *maps, const char *part)
{
	for (size_t i = 0; i < maps_cnt(maps); i++) {
		if (maps_at(maps, i)->ino && strstr(maps_at(maps, i)->path, part))
			return maps_at(maps, i);
	}
	return NULL;
}

const struct mapping *images_uvloop(const struct maps *maps)
{
	return find_path(maps, "/uvloop/loop.");
}

const char *images_foreign(const struct maps *maps, int uvloop_is_known)
{
	/* Modules of C or Rust that call what they run without a frame or a function that we know. */
	static const struct {
		const char *part, *name;
	} known[] = {
		{"/gevent/_gevent_", "gevent"},
		{"/rloop/_rloop.", "rloop"},
		{"/zuvloop/", "zuvloop"},
	};

	if (!uvloop_is_known && images_uvloop(maps))
		return "uvloop";
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (find_path(maps, known[i].part))
			return known[i].name;
	}
	return NULL;
}
