/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Defines the maps. Linked first: bpftool 7.1 gives a map the offset 0 when
 * it meets an extern declaration of it before the definition.
 */
#define AP_MAP
#include "maps.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Set by the collector before it takes the probes away, which it can't do all at once. */
__u32 stopped;

__u64 pids_ns;
__u32 pids_level;

__u32 plain_cnt;
