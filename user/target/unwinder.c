/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * libdwfl with callbacks of our own: modules are what native.c found mapped,
 * memory is the stack in the sample, registers are those of the sample. Files
 * are read when the first address leads into them.
 *
 * It must never guess: where a file has no .eh_frame for an address, libdw
 * would go on by the frame pointer, which is any number in code that was built
 * without one. The stack ends there.
 */
#include "target/unwinder.h"

#include <elf.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target/eval_part.h"
#include "target/native_symbols.h"

/* Addresses whose symbol and unwind information are known already; a power of two. */
#define PLACES_CNT 8192

struct module {
	struct unwinder_module is;
	Dwfl_Module *dwfl;
	Dwarf_CFI *cfi; /* NULL: none */
	Dwarf_Addr bias;
	struct native_symbols *symbols; /* NULL: not asked for yet */
	uint64_t part_start, part_end;	/* of the file: eval's part that has no name; 0: none */
};

/* What an address is. */
struct place {
	uint64_t addr; /* 0: empty */
	struct module *module;
	const struct native_symbol *symbol; /* NULL: none */
	int covered;			    /* 1: has unwind information */
	int eval;			    /* 1: in the eval function, or its part */
};

struct unwinder {
	Dwfl *dwfl;
	unwinder_open open;
	void *ctx;
	size_t cnt;
	struct module *module;
	int eval_known; /* -1: not asked yet */
	struct place place[PLACES_CNT];

	/* Of the sample at work. */
	const struct native_sample *sample;
	struct native_frame *frames;
	int frame_cnt;
	int unknown;
	int missed; /* 1: since the last frame, a word was wanted that is not in the copy */
	enum native_end end;
	int decided; /* 1: `end` is set */
};

static struct unwinder *current; /* libdw's find_elf has no argument that leads to it */

static struct module *find_module(struct unwinder *u, uint64_t addr)
{
	size_t low = 0, high = u->cnt;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (u->module[mid].is.start <= addr)
			low = mid + 1;
		else
			high = mid;
	}
	return low && addr < u->module[low - 1].is.end ? &u->module[low - 1] : NULL;
}

/* libdw would take archives, relocatable and compressed files as well. */
static int is_image(int fd)
{
	struct stat st;
	Elf64_Ehdr head;

	return !fstat(fd, &st) && st.st_size >= 0 && (uint64_t)st.st_size <= UNWINDER_FILE_MAX &&
	       pread(fd, &head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
	       !memcmp(head.e_ident, ELFMAG, SELFMAG) && head.e_ident[EI_CLASS] == ELFCLASS64 &&
	       head.e_ident[EI_DATA] == ELFDATA2LSB && head.e_machine == EM_X86_64 &&
	       (head.e_type == ET_DYN || head.e_type == ET_EXEC);
}

static void find_part(struct module *m, int fd)
{
	struct elf *e;

	if (elf__read(fd, &e))
		return;
	eval_part_find(e, &m->part_start, &m->part_end);
	elf__close(e);
}

static int find_elf(Dwfl_Module *mod, void **userdata, const char *name, Dwarf_Addr base,
		    char **file_name, Elf **elf)
{
	struct module *m = *userdata;
	int fd = current->open(current->ctx, (uint32_t)(m - current->module));

	(void)mod;
	(void)base;
	(void)elf;
	if (fd >= 0 && !is_image(fd)) {
		close(fd);
		return -1;
	}
	if (fd >= 0 && m->is.interpreter)
		find_part(m, fd);
	if (fd >= 0)
		*file_name = strdup(name);
	return fd >= 0 ? fd : -1;
}

static int find_debuginfo(Dwfl_Module *mod, void **userdata, const char *name, Dwarf_Addr base,
			  const char *file_name, const char *link_file, GElf_Word link_crc,
			  char **debuginfo_file_name)
{
	(void)mod;
	(void)userdata;
	(void)name;
	(void)base;
	(void)file_name;
	(void)link_file;
	(void)link_crc;
	(void)debuginfo_file_name;
	return -1;
}

static int section_address(Dwfl_Module *mod, void **userdata, const char *name, Dwarf_Addr base,
			   const char *section, GElf_Word index, const GElf_Shdr *shdr,
			   Dwarf_Addr *addr)
{
	(void)mod;
	(void)userdata;
	(void)name;
	(void)base;
	(void)section;
	(void)index;
	(void)shdr;
	*addr = (Dwarf_Addr)-1;
	return -1;
}

static const Dwfl_Callbacks callbacks = {
	.find_elf = find_elf,
	.find_debuginfo = find_debuginfo,
	.section_address = section_address,
};

static pid_t next_thread(Dwfl *dwfl, void *arg, void **thread_arg)
{
	(void)dwfl;
	if (*thread_arg)
		return 0;
	*thread_arg = arg;
	return 1;
}

static bool get_thread(Dwfl *dwfl, pid_t tid, void *arg, void **thread_arg)
{
	(void)dwfl;
	(void)tid;
	*thread_arg = arg;
	return true;
}

static bool read_stack(Dwfl *dwfl, Dwarf_Addr addr, Dwarf_Word *result, void *arg)
{
	struct unwinder *u = arg;
	const struct native_sample *s = u->sample;
	uint64_t word;

	(void)dwfl;
	if (addr < s->stack_addr || s->stack_sz < sizeof(word) ||
	    addr - s->stack_addr > s->stack_sz - sizeof(word)) {
		u->missed = 1;
		return false;
	}
	memcpy(&word, s->stack + (addr - s->stack_addr), sizeof(word));
	*result = word;
	return true;
}

static bool set_registers(Dwfl_Thread *thread, void *arg)
{
	const struct unwinder *u = arg;
	Dwarf_Word reg[NATIVE_REGS_CNT];

	for (size_t i = 0; i < NATIVE_REGS_CNT; i++)
		reg[i] = u->sample->reg[i];
	return dwfl_thread_state_registers(thread, 0, NATIVE_REGS_CNT, reg);
}

static const Dwfl_Thread_Callbacks thread_callbacks = {
	.next_thread = next_thread,
	.get_thread = get_thread,
	.memory_read = read_stack,
	.set_initial_registers = set_registers,
};

static int report_modules(struct unwinder *u)
{
	char name[16];

	dwfl_report_begin(u->dwfl);
	for (size_t i = 0; i < u->cnt; i++) {
		struct module *m = &u->module[i];
		void **userdata;

		/* A name that is no path: libdw would look for files near it. */
		snprintf(name, sizeof(name), "%u", (unsigned int)i);
		m->dwfl = dwfl_report_module(u->dwfl, name, m->is.start, m->is.end);
		if (!m->dwfl)
			return -ENOMEM;
		dwfl_module_info(m->dwfl, &userdata, NULL, NULL, NULL, NULL, NULL, NULL);
		*userdata = m;
	}
	return dwfl_report_end(u->dwfl, NULL, NULL) ? -ENOMEM : 0;
}

int unwinder__new(const struct unwinder_module *module, size_t cnt, unwinder_open open, void *ctx,
		  struct unwinder **out)
{
	struct unwinder *u = calloc(1, sizeof(*u));
	int err = -ENOMEM;

	*out = NULL;
	if (!u)
		return err;
	u->open = open;
	u->ctx = ctx;
	u->cnt = cnt;
	u->eval_known = -1;
	u->module = calloc(cnt + 1, sizeof(*u->module));
	u->dwfl = dwfl_begin(&callbacks);
	if (!u->module || !u->dwfl)
		goto out;
	for (size_t i = 0; i < cnt; i++)
		u->module[i].is = module[i];
	err = report_modules(u);
	if (err)
		goto out;
	/* Asks the modules, in their order, for the first file that says which machine it is. */
	current = u;
	if (!dwfl_attach_state(u->dwfl, NULL, 1, &thread_callbacks, u)) {
		err = -ENOEXEC;
		goto out;
	}
	*out = u;
	return 0;
out:
	unwinder__free(u);
	return err;
}

void unwinder__free(struct unwinder *u)
{
	if (!u)
		return;
	for (size_t i = 0; u->module && i < u->cnt; i++)
		native_symbols__free(u->module[i].symbols);
	if (u->dwfl)
		dwfl_end(u->dwfl);
	free(u->module);
	free(u);
}

/* 0, or -1 for want of memory. */
static int load(struct module *m)
{
	if (m->symbols)
		return 0;
	m->cfi = dwfl_module_eh_cfi(m->dwfl, &m->bias);
	m->symbols = native_symbols__read(m->dwfl);
	return m->symbols ? 0 : -1;
}

static int has_cfi(const struct module *m, uint64_t addr)
{
	Dwarf_Frame *frame;

	if (!m->cfi || dwarf_cfi_addrframe(m->cfi, addr - m->bias, &frame))
		return 0;
	free(frame);
	return 1;
}

static const struct place *look_up(struct unwinder *u, uint64_t addr)
{
	struct place *p = &u->place[(addr ^ addr >> 13) & (PLACES_CNT - 1)];

	if (p->addr == addr && addr)
		return p;
	p->addr = addr;
	p->module = find_module(u, addr);
	p->symbol = NULL;
	p->covered = 0;
	p->eval = 0;
	if (p->module && !load(p->module)) {
		const struct module *m = p->module;

		p->symbol = native_symbols_find(m->symbols, addr);
		p->covered = has_cfi(m, addr);
		p->eval = p->symbol
				  ? p->symbol->eval
				  : addr - m->bias >= m->part_start && addr - m->bias < m->part_end;
	}
	return p;
}

/*
 * Whether any of the interpreter's files says where its eval function is. Where none does (a
 * program that links it in statically, stripped of .dynsym as well), its first frame is the
 * border: what lies below may be another Python call already.
 */
static int knows_eval(struct unwinder *u)
{
	if (u->eval_known >= 0)
		return u->eval_known;
	u->eval_known = 0;
	for (size_t i = 0; i < u->cnt && !u->eval_known; i++) {
		struct module *m = &u->module[i];

		if (m->is.interpreter && !load(m))
			u->eval_known = native_symbols_have_eval(m->symbols);
	}
	return u->eval_known;
}

static int stop(struct unwinder *u, enum native_end end)
{
	u->end = end;
	u->decided = 1;
	return DWARF_CB_ABORT;
}

static void add_frame(struct unwinder *u, uint64_t ip, const struct place *p)
{
	struct native_frame *f = &u->frames[u->frame_cnt++];

	f->ip = ip;
	snprintf(f->func, sizeof(f->func), "%s", p->symbol ? p->symbol->name : "");
	snprintf(f->file, sizeof(f->file), "%s", p->module ? p->module->is.file : "");
}

static int visit(Dwfl_Frame *state, void *arg)
{
	struct unwinder *u = arg;
	const struct place *p;
	bool exact = false;
	Dwarf_Addr ip;

	u->missed = 0;
	if (!dwfl_frame_pc(state, &ip, &exact))
		return stop(u, NATIVE_CUT);
	/* A return address may be the first byte of another function: the call is before it. */
	p = look_up(u, exact ? ip : ip - 1);
	if (!p->module) {
		/* Code that was made at run time, or no code at all: only the leaf's is sure. */
		u->unknown = 1;
		if (!u->frame_cnt)
			add_frame(u, ip, p);
		return stop(u, NATIVE_CUT);
	}
	if (p->eval)
		return stop(u, NATIVE_WHOLE);
	if (p->module->is.interpreter && !knows_eval(u))
		return stop(u, NATIVE_CUT);
	if (u->frame_cnt == NATIVE_FRAMES_MAX)
		return stop(u, NATIVE_CUT);
	add_frame(u, ip, p);
	return p->covered ? DWARF_CB_OK : stop(u, NATIVE_CUT);
}

int unwinder_run(struct unwinder *u, const struct native_sample *sample,
		 struct native_frame frames[NATIVE_FRAMES_MAX], enum native_end *end, int *unknown)
{
	int result;

	u->sample = sample;
	u->frames = frames;
	u->frame_cnt = 0;
	u->unknown = 0;
	u->missed = 0;
	u->decided = 0;
	current = u;
	result = dwfl_getthread_frames(u->dwfl, 1, visit, u);
	/* A return address that can't be read is the thread's first frame to libdw, as one of 0 is.
	 */
	if (!u->decided)
		u->end = result || u->missed ? NATIVE_CUT : NATIVE_WHOLE;
	if (u->end == NATIVE_CUT && u->frame_cnt <= 1)
		u->end = NATIVE_FAILED;
	*end = u->end;
	*unknown = u->unknown;
	return u->frame_cnt;
}
