/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Every map of the kernel side. maps.bpf.c defines them, the other objects
 * see them as extern, and `bpftool gen object` makes one of it.
 *
 * All maps are bounded and none is written by the target's data as a key
 * without a bound: a target can at worst fill its own share.
 */
#ifndef ASYNCPROF_MAPS_BPF_H
#define ASYNCPROF_MAPS_BPF_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "record.h"

#ifndef AP_MAP
#define AP_MAP extern
#endif

extern __u32 stopped;
extern __u64 pids_ns;	/* where the collector's /proc counts (pids.bpf.h), and how deep that is */
extern __u32 pids_level;
extern __u32 plain_cnt; /* entries of `threads` that run no loop; at most AP_PLAIN_MAX */

/* Written by the collector: which processes, and how to read them. Key: tgid. */
AP_MAP struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct ap_target);
} targets SEC(".maps");

/* One entry a thread that runs loops. Key: pids_current(). */
AP_MAP struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct ap_thread);
} threads SEC(".maps");

/* Written by the collector, of threads in callbacks that were open before. Key: as of `threads`. */
AP_MAP struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, struct ap_proof);
} proofs SEC(".maps");

/* A zeroed thread: too large for the stack that new entries are made on. */
AP_MAP struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ap_thread);
} blank SEC(".maps");

/* Hits of threads without an entry: no room, or no loop. Key: tgid. */
AP_MAP struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, struct ap_account);
} accounts SEC(".maps");

/*
 * Targets, and all that they have started, while families are followed. One that finds no room is
 * told of all the same, what it starts is not. Key: tgid; value: nothing.
 */
AP_MAP struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__type(key, __u32);
	__type(value, __u32);
} family SEC(".maps");

/*
 * What is known of a code object. Always replaced as a whole, never written in
 * place: an entry that was looked up can be another key's by then (LRU).
 */
struct code_entry {
	__u64 print;	/* of its fields: of another one at the same address nothing is known */
	__u32 class;	/* enum code_class; 0: not learned */
	__u32 sent;	/* 1: its AP_CODE was sent */
};

AP_MAP struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct ap_addr);
	__type(value, struct code_entry);
} codes SEC(".maps");

AP_MAP struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ap_sent);
} sent SEC(".maps");

#define RING_SZ (8 << 20)

AP_MAP struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING_SZ);
} ring SEC(".maps");

#endif
