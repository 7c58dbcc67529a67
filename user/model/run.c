/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
#include "model/run.h"

void run_account(const struct run_summary *summary, struct ap_account *sum)
{
	*sum = summary->homeless;
	for (size_t i = 0; i < summary->loop_cnt; i++)
		account_add(sum, &summary->loops[i]->account);
}

void run_count_records(const struct run_summary *summary, struct run_records *sum)
{
	*sum = (struct run_records){.received = summary->malformed};
	for (int kind = 0; kind < AP_KIND_CNT; kind++) {
		sum->attempted += summary->sent.attempted[kind];
		sum->dropped += summary->sent.dropped[kind];
		sum->received += summary->received[kind] - summary->synthesised[kind];
	}
	sum->sent = sum->attempted - sum->dropped;
}
