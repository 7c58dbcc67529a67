/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * /proc/kallsyms as one sorted array and one block of names. It has no sizes:
 * a function ends where the next symbol of any kind begins, so data symbols
 * stay in the array, without names, as ends.
 *
 * It must never hold more than its cap, and never a pointer into a line that
 * has been read over.
 */
#include "kernel/kallsyms.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct symbol {
	uint64_t addr;
	uint32_t name; /* into names[]; 0: no function, only the end of one */
	uint32_t rank; /* among symbols of one address the lowest stays */
};

struct kallsyms {
	struct symbol *symbol;
	size_t cnt, room;
	char *names;
	size_t names_sz, names_room;
};

static int add_name(struct kallsyms *k, const char *name, const char *module, uint32_t *at)
{
	size_t need = strlen(name) + strlen(module) + 4;

	if (k->names_sz + need > k->names_room) {
		size_t room = k->names_room ? k->names_room * 2 : 1024 * 1024;
		char *names = room <= UINT32_MAX ? realloc(k->names, room) : NULL;

		if (!names)
			return -ENOMEM;
		k->names = names;
		k->names_room = room;
	}
	*at = (uint32_t)k->names_sz;
	k->names_sz +=
		(size_t)sprintf(k->names + k->names_sz, *module ? "%s [%s]" : "%s", name, module) +
		1;
	return 0;
}

static int add(struct kallsyms *k, uint64_t addr, char type, const char *name, const char *module)
{
	struct symbol s = {.addr = addr};
	int err;

	if (k->cnt == KALLSYMS_MAX)
		return -E2BIG;
	if (k->cnt == k->room) {
		size_t room = k->room ? k->room * 2 : 65536;
		struct symbol *symbol = realloc(k->symbol, room * sizeof(*symbol));

		if (!symbol)
			return -ENOMEM;
		k->symbol = symbol;
		k->room = room;
	}
	/* nm's letters for code: local, global, weak. Of aliases the global name is the known one.
	 */
	s.rank = (uint32_t)k->cnt;
	if (strchr("tTwW", type)) {
		err = add_name(k, name, module, &s.name);
		if (err)
			return err;
		if (type != 'T')
			s.rank += KALLSYMS_MAX;
	} else {
		s.rank += 2 * KALLSYMS_MAX;
	}
	k->symbol[k->cnt++] = s;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static void sort(struct kallsyms *k)
{
	size_t kept = 0;

	qsort(k->symbol, k->cnt, sizeof(*k->symbol), compare);
	for (size_t i = 0; i < k->cnt; i++) {
		if (!kept || k->symbol[kept - 1].addr != k->symbol[i].addr)
			k->symbol[kept++] = k->symbol[i];
	}
	k->cnt = kept;
}

/* "ffffffff81000000 T _text", and behind a tab "[module]" for a module's. */
static int add_line(struct kallsyms *k, char *line, size_t *hidden_cnt)
{
	char *end, *name, *module = "", *close, type;
	uint64_t addr;

	errno = 0;
	addr = strtoull(line, &end, 16);
	if (errno || end == line || end[0] != ' ' || !end[1] || end[2] != ' ')
		return 0;
	type = end[1];
	name = end + 3;
	end = name + strcspn(name, "\t\n ");
	if (end == name || end - name >= KALLSYMS_NAME_SZ)
		return 0;
	if (end[0] == '\t' && end[1] == '[') {
		module = end + 2;
		close = strchr(module, ']');
		if (!close)
			return 0;
		*close = '\0';
	}
	*end = '\0';
	if (!addr) {
		(*hidden_cnt)++;
		return 0;
	}
	return add(k, addr, type, name, module);
}

int kallsyms__parse(FILE *text, struct kallsyms **out)
{
	struct kallsyms *k = calloc(1, sizeof(*k));
	char line[2 * KALLSYMS_NAME_SZ];
	size_t hidden_cnt = 0;
	int err = -ENOMEM;
	uint32_t none;

	*out = NULL;
	if (!k)
		return err;
	/* The name at 0 stands for none. */
	err = add_name(k, "", "", &none);
	while (!err && fgets(line, sizeof(line), text)) {
		if (strchr(line, '\n') || feof(text))
			err = add_line(k, line, &hidden_cnt);
		else
			err = -EINVAL;
	}
	if (!err && ferror(text))
		err = -EIO;
	if (!err && !k->cnt)
		err = hidden_cnt ? -EPERM : -ENODATA;
	if (err) {
		kallsyms__close(k);
		return err;
	}
	sort(k);
	*out = k;
	return 0;
}

int kallsyms__open(struct kallsyms **out)
{
	FILE *text = fopen("/proc/kallsyms", "re");
	int err;

	*out = NULL;
	if (!text)
		return -errno;
	err = kallsyms__parse(text, out);
	fclose(text);
	return err;
}

void kallsyms__close(struct kallsyms *k)
{
	if (!k)
		return;
	free(k->symbol);
	free(k->names);
	free(k);
}

const char *kallsyms_find(const struct kallsyms *k, uint64_t addr)
{
	size_t low = 0, high = k->cnt;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (k->symbol[mid].addr <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || !k->symbol[low - 1].name || addr - k->symbol[low - 1].addr >= KALLSYMS_FUNC_SZ)
		return NULL;
	return k->names + k->symbol[low - 1].name;
}
