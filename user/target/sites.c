/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Reads a function from its entry in a straight line and takes the first
 * instruction that the kernel emulates and that every call passes with its
 * arguments intact. Where there is none, the first one that may carry a
 * breakpoint at all, said to be dear.
 *
 * It must never read past a branch: what lies behind is not reached by all.
 */
#include "target/sites.h"

#include <capstone/capstone.h>
#include <stdio.h>
#include <string.h>

#define FUNCTION_MAX 4096 /* bytes searched for jumps back */
#define STRAIGHT_MAX 256  /* a prologue is shorter */

static const uint8_t endbr64[4] = {0xf3, 0x0f, 0x1e, 0xfa};

/* SysV: the integer arguments and every name their parts have. */
static const uint16_t argument[4][4] = {
	{X86_REG_RDI, X86_REG_EDI, X86_REG_DI, X86_REG_DIL},
	{X86_REG_RSI, X86_REG_ESI, X86_REG_SI, X86_REG_SIL},
	{X86_REG_RDX, X86_REG_EDX, X86_REG_DX, X86_REG_DL},
	{X86_REG_RCX, X86_REG_ECX, X86_REG_CX, X86_REG_CL},
};

/* As arch/x86/kernel/uprobes.c decides: push_setup_xol_ops(), branch_setup_xol_ops(); calls left
 * out. */
static int is_emulated(const uint8_t *b, size_t size)
{
	if (size == 1 && (b[0] == 0x90 || (b[0] >= 0x50 && b[0] <= 0x57)))
		return 1;
	if (size == 2 && b[0] == 0x41 && b[1] >= 0x50 && b[1] <= 0x57)
		return 1;
	if (size == 2 && (b[0] == 0xeb || (b[0] >= 0x70 && b[0] <= 0x7f)))
		return 1;
	if (size == 5 && b[0] == 0xe9)
		return 1;
	return size == 6 && b[0] == 0x0f && (b[1] & 0xf0) == 0x80;
}

/* Bytes of the landing pad for indirect calls: single-stepped, and nothing else begins so. */
static size_t landing_pad(const uint8_t *code, size_t size)
{
	return size >= sizeof(endbr64) && !memcmp(code, endbr64, sizeof(endbr64)) ? sizeof(endbr64)
										  : 0;
}

static int in_group(csh cs, const cs_insn *insn, unsigned int group)
{
	return cs_insn_group(cs, insn, group);
}

/* After it not every call comes by, or registers hold other things. */
static int ends_straight_line(csh cs, const cs_insn *insn)
{
	return in_group(cs, insn, CS_GRP_JUMP) || in_group(cs, insn, CS_GRP_CALL) ||
	       in_group(cs, insn, CS_GRP_RET) || in_group(cs, insn, CS_GRP_IRET) ||
	       in_group(cs, insn, CS_GRP_INT) || insn->id == X86_INS_UD2 ||
	       insn->id == X86_INS_HLT || insn->id == X86_INS_SYSCALL;
}

static int writes_argument(csh cs, const cs_insn *insn, unsigned int arg_cnt)
{
	cs_regs reads, writes;
	uint8_t read_cnt, write_cnt;

	if (cs_regs_access(cs, insn, reads, &read_cnt, writes, &write_cnt))
		return 1;
	for (unsigned int i = 0; i < write_cnt; i++) {
		for (unsigned int a = 0; a < arg_cnt * 4; a++) {
			if (writes[i] == argument[a / 4][a % 4])
				return 1;
		}
	}
	return 0;
}

/* May it be replaced by int3 and single-stepped? No branch, no nop that the kernel patches. */
static int may_step(csh cs, const cs_insn *insn)
{
	return !ends_straight_line(cs, insn) && insn->id != X86_INS_NOP;
}

/*
 * A jump of the function back into (entry, site] would make hits that are no
 * calls, or show that the site is not where instructions begin.
 */
static int is_jumped_into(csh cs, const uint8_t *code, size_t size, size_t site, cs_insn *insn)
{
	const uint8_t *at = code + landing_pad(code, size);
	uint64_t addr = (uint64_t)(at - code);

	size -= addr;
	while (cs_disasm_iter(cs, &at, &size, &addr, insn)) {
		const cs_x86_op *op = &insn->detail->x86.operands[0];

		if (!in_group(cs, insn, CS_GRP_JUMP) || insn->detail->x86.op_count != 1 ||
		    op->type != X86_OP_IMM)
			continue;
		if (op->imm > 0 && (uint64_t)op->imm <= site)
			return 1;
	}
	return 0;
}

static void describe(struct site *out, const uint8_t *code, size_t size, const cs_insn *insn,
		     enum site_cost cost)
{
	size_t left = size - insn->address;

	out->cost = cost;
	out->skipped = (uint32_t)insn->address;
	out->byte_cnt = left < SITE_BYTES ? (uint32_t)left : SITE_BYTES;
	memset(out->bytes, 0, sizeof(out->bytes));
	memcpy(out->bytes, code + insn->address, out->byte_cnt);
	snprintf(out->insn, sizeof(out->insn), "%.31s%s%.30s", insn->mnemonic,
		 insn->op_str[0] ? " " : "", insn->op_str);
}

int site_choose(const uint8_t *code, size_t size, unsigned int arg_cnt, struct site *out)
{
	const uint8_t *at = code + landing_pad(code, size);
	uint64_t addr = (uint64_t)(at - code);
	cs_insn *insn = NULL;
	size_t left;
	csh cs;

	out->cost = SITE_NONE;
	if (arg_cnt > 4 || cs_open(CS_ARCH_X86, CS_MODE_64, &cs))
		return -1;
	if (size > FUNCTION_MAX)
		size = FUNCTION_MAX;
	left = size - addr;
	insn = cs_option(cs, CS_OPT_DETAIL, CS_OPT_ON) ? NULL : cs_malloc(cs);
	if (!insn)
		goto out;
	while (addr < STRAIGHT_MAX && cs_disasm_iter(cs, &at, &left, &addr, insn)) {
		if (is_emulated(code + insn->address, insn->size)) {
			describe(out, code, size, insn, SITE_EMULATED);
			break;
		}
		if (out->cost == SITE_NONE && may_step(cs, insn))
			describe(out, code, size, insn, SITE_STEPPED);
		if (ends_straight_line(cs, insn) || writes_argument(cs, insn, arg_cnt))
			break;
	}
	if (out->cost != SITE_NONE && is_jumped_into(cs, code, size, out->skipped, insn))
		out->cost = SITE_NONE;
out:
	if (insn)
		cs_free(insn, 1);
	cs_close(&cs);
	return out->cost == SITE_NONE ? -1 : 0;
}

int site_find(const struct elf *e, uint64_t bias, uint64_t vaddr, const char *name,
	      unsigned int arg_cnt, struct site *out, struct refusal *why)
{
	uint64_t end = elf_function_end(e, vaddr);
	size_t size = end > vaddr && end - vaddr < FUNCTION_MAX ? end - vaddr : FUNCTION_MAX;
	const uint8_t *code = NULL;

	out->name = name;
	/* A breakpoint inside an instruction makes another one of it. */
	if (!elf_is_code(e, vaddr) || !elf_is_function(e, vaddr))
		return refuse(why, EXIT_INTERPRETER, "use a regular build of CPython",
			      "no function begins where the interpreter's tables have %s", name);

	/* Near the end of its segment a function of unknown size is cut to what there is. */
	while (size && !(code = elf_bytes(e, vaddr, size)))
		size /= 2;
	if (!code || site_choose(code, size, arg_cnt, out) ||
	    elf_offset(e, vaddr + out->skipped, &out->offset))
		return refuse(why, EXIT_INTERPRETER,
			      "send `asyncprof doctor -p PID` to the developers",
			      "no instruction of %s can carry a probe", name);
	out->entry = bias + vaddr;
	out->vaddr = out->entry + out->skipped;
	return 0;
}
