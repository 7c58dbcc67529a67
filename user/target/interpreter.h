/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * The Python interpreter inside a process: which one, built how, laid out
 * how, and where its probes go. All that attaching needs is here, and all
 * that doctor prints.
 *
 * It must never guess: what could not be found or checked is absent and
 * named in degraded[], or the interpreter is refused.
 */
#ifndef ASYNCPROF_TARGET_INTERPRETER_H
#define ASYNCPROF_TARGET_INTERPRETER_H

#include "elf.h"
#include "layout.h"
#include "maps.h"
#include "memory.h"
#include "process.h"
#include "record.h"
#include "refusal.h"
#include "sites.h"
#include "tables.h"

#define INTERPRETER_DEGRADED_MAX 8
#define INTERPRETER_TEXT_SZ	 160

enum asyncio_build {
	ASYNCIO_NOT_LOADED = 0, /* Python without asyncio yet: look again later */
	ASYNCIO_LIBRARY,	/* _asyncio is a shared object of its own */
	ASYNCIO_BUILT_IN,	/* it is part of the interpreter's own file */
};

struct interpreter {
	uint32_t version;      /* PY_VERSION_HEX */
	char version_text[16]; /* "3.11.2" */
	int stripped;	       /* 1: the interpreter's file has no .symtab */
	int shared;	       /* 1: it lives in libpython, 0: in the executable */
	enum asyncio_build asyncio;
	char file[256];		/* the interpreter's file as the target names it, safe to print */
	char asyncio_file[256]; /* the one with _asyncio, "" when it is not loaded */
	char uvloop_file[256];
	char build_id[65];	/* hex, "" for none */

	struct ap_layout layout;
	struct tables tables; /* where it comes from */
	uint64_t runtime; /* addresses in the process; 0: unknown */
	uint64_t main_interpreter;
	uint64_t gil_holder; /* of last_holder */
	uint64_t collecting; /* of gc.collecting */
	uint64_t code_type;  /* of PyCode_Type */
	uint64_t method_type; /* of PyMethod_Type */

	struct site context_run;      /* always there */
	struct site set_running_loop; /* cost SITE_NONE: not there */
	struct site task_dealloc;
	/* Only where uvloop is: cost SITE_NONE elsewhere. */
	struct site context_enter, context_exit;
	struct site task_step, task_wakeup, task_wakeup_call;
	int uvloop_mapped; /* 1: its library is there, though it may not be one that we know */
	int uvloop;	   /* 1: its loops are watched */
	const char *foreign; /* a loop that is there and not supported: its name, or NULL */

	unsigned int degraded_cnt;
	char degraded[INTERPRETER_DEGRADED_MAX][INTERPRETER_TEXT_SZ];

	int fd[3]; /* the files of the sites, -1: none */
};

/*
 * 0, or -1 with `why`: EXIT_NO_PROCESS (not Python, exited or exec'd
 * meanwhile), EXIT_PERMISSION, EXIT_INTERPRETER (version, build or loop not
 * supported). Sites stay usable until interpreter__close(). Python that has
 * not imported asyncio is no error: see `asyncio`, and find again later.
 */
int interpreter__find(const struct process *p, struct memory *m, struct interpreter *out,
		      struct refusal *why);
/* Accepts one that was zeroed but never found. */
void interpreter__close(struct interpreter *in);

/* 1 when a thread runs trio now, which has no callbacks to see and no library of its own. */
int interpreter_runs_trio(struct memory *m, const struct interpreter *in);

/* 1 when _asyncio or another loop has been mapped since `in` was found without it: find again. */
int interpreter_has_changed(const struct process *p, const struct interpreter *in);

/* What the kernel programs need to know. long_ns = min(threshold / 4, 10 ms). */
void interpreter_target(const struct interpreter *in, uint64_t threshold_ns, struct ap_target *out);

#endif
