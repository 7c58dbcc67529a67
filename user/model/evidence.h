/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * What names, samples and blocks have told about one callback before its
 * AP_SLOW comes, if it ever does.
 *
 * It must never grow with the length of a stall: the lines, blocks and syscalls
 * seen most are kept, the rest is only counted.
 */
#ifndef ASYNCPROF_EVIDENCE_H
#define ASYNCPROF_EVIDENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uthash.h>

#include "model/stall.h"
#include "record.h"

#define EVIDENCE_LINES_MAX    48
#define EVIDENCE_BLOCKS_MAX   4
#define EVIDENCE_SYSCALLS_MAX 8

struct evidence_key {
	uint64_t seq;
	uint32_t pid, tid;
};

/* A place on the CPU: the leaf frame of samples, and the stack of the last one. */
struct evidence_line {
	uint64_t code;
	int32_t lasti;
	uint32_t cnt;
	uint64_t ts;
	uint64_t child; /* the eager task that its stack is of, 0: none */
	uint32_t cut, frame_cnt;
	struct ap_frame *frames;
};

#define EVIDENCE_CHILDREN_MAX 8

/* An eager task that ran inside the callback. */
struct evidence_child {
	uint64_t number;
	char *task, *coro;
};

struct evidence {
	struct evidence_key key;
	UT_hash_handle hh;
	struct evidence *prev, *next; /* in the order of their last record */
	int lost;
	size_t bytes;
	bool late;     /* samples or blocks told of it, not only its name */
	bool reported; /* a stall with `ongoing` was handed out */

	uint32_t callee;
	char *task, *coro, *callback; /* NULL: none, or not known */

	struct evidence_child children[EVIDENCE_CHILDREN_MAX];

	uint64_t told_lo_ts;	      /* lower bound of the last stall with `ongoing` */
	uint64_t first_sample_ts;     /* of those that saw it run, 0: none */
	uint32_t samples_cnt;	      /* that saw it run */
	uint32_t samples_syscall_cnt; /* of those, in the kernel for a syscall */
	uint32_t cut;		      /* why the last sample without frames has none */
	struct evidence_line lines[EVIDENCE_LINES_MAX];
	uint32_t line_cnt;
	struct {
		int number;
		uint32_t cnt;
	} syscalls[EVIDENCE_SYSCALLS_MAX];
	uint32_t syscall_cnt;

	/* The longest block of each (reason, syscall, fd); only the frames that are there. */
	struct ap_block *blocks[EVIDENCE_BLOCKS_MAX];
	uint32_t block_cnt;
};

struct evidence *evidence__new(const struct evidence_key *key); /* NULL: out of memory */
void evidence__free(struct evidence *evidence);

/* Checked records; each returns 0 or -ENOMEM and keeps `bytes` right. */
int evidence_name(struct evidence *evidence, const struct ap_name *name);
int evidence_sample(struct evidence *evidence, const struct ap_sample *sample);
int evidence_block(struct evidence *evidence, const struct ap_block *block);

/* The eager task of a number; NULL: none (0), or its name never came. */
const struct evidence_child *evidence_child(const struct evidence *evidence, uint64_t number);

/* What it is that ran: `callee` of its record, or what its name told; `evidence` may be NULL. */
enum stall_kind evidence_kind(const struct evidence *evidence, uint32_t callee);

/* The syscall that most samples were in, when most samples were in one; else -1. */
int evidence_syscall(const struct evidence *evidence);

/*
 * Of a callback that was open at attach: where it slept then. Its switch-out was
 * before our time, so no account of the kernel side holds that sleep. NULL: it
 * did not sleep, or told so itself. `*until_ts`: not after this it was awake.
 */
const struct ap_block *evidence_asleep_at_attach(const struct evidence *evidence, uint64_t hi_ts,
						 uint64_t *until_ts);

/* How long a block was seen to last; one that goes on lasts until now_ts. */
uint64_t evidence_block_ns(const struct ap_block *block, uint64_t now_ts);

#endif
