/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * Which instruction gets the probe: byte sequences of real builds, and ones
 * that must be refused.
 */
#include "cmocka_all.h"

#include <string.h>

#include "target/sites.h"

#define CHOOSE(args, ...)                                                                          \
	choose(args, (const uint8_t[]){__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__}))
#define ENDBR64 0xf3, 0x0f, 0x1e, 0xfa
#define RET	0xc3

static struct site site;

static int choose(unsigned int args, const uint8_t *code, size_t size)
{
	memset(&site, 0xaa, sizeof(site));
	return site_choose(code, size, args, &site);
}

static void expect(enum site_cost cost, uint32_t skipped)
{
	assert_int_equal(site.cost, cost);
	assert_int_equal(site.skipped, skipped);
}

/* context_run of Debian 3.11.2: push r14 at its entry. */
static void test_push_at_entry(void **state)
{
	(void)state;
	assert_int_equal(CHOOSE(3, 0x41, 0x56, 0x41, 0x55, 0x41, 0x54, 0x55, 0x53, 0x4c, 0x8b, 0x2d,
				0xa1, 0x5c, 0x3c, 0x00, RET),
			 0);
	expect(SITE_EMULATED, 0);
	assert_string_equal(site.insn, "push r14");
	assert_int_equal(site.bytes[0], 0x41);
	assert_int_equal(site.byte_cnt, 16);
}

/* Debian 3.13.5: endbr64 is single-stepped, the push behind it is not. */
static void test_push_after_endbr(void **state)
{
	(void)state;
	assert_int_equal(CHOOSE(3, ENDBR64, 0x41, 0x56, 0x41, 0x55, 0x53, RET), 0);
	expect(SITE_EMULATED, 4);
	assert_int_equal(CHOOSE(2, ENDBR64, 0x55, 0x53, RET), 0);
	expect(SITE_EMULATED, 4);
	assert_string_equal(site.insn, "push rbp");
}

/*
 * The shape of Debian 3.14.10: no push, 48 83 ec 38 after endbr64; every call
 * passes the jle at +0x1e, and rdi, rsi, rdx are still the arguments there.
 */
static void test_jle_of_all_calls(void **state)
{
	static const uint8_t code[] = {
		ENDBR64,				     /* 00 */
		0x48,	 0x83, 0xec, 0x38,		     /* 04 sub $0x38,%rsp */
		0x4c,	 0x89, 0x64, 0x24, 0x20,	     /* 08 mov %r12,0x20(%rsp) */
		0x4c,	 0x8b, 0x25, 0x00, 0x00, 0x00, 0x00, /* 0d mov 0(%rip),%r12 */
		0x49,	 0x89, 0xc8,			     /* 14 mov %rcx,%r8 */
		0x48,	 0x8d, 0x04, 0x24,		     /* 17 lea (%rsp),%rax */
		0x48,	 0x85, 0xd2,			     /* 1b test %rdx,%rdx */
		0x0f,	 0x8e, 0x10, 0x00, 0x00, 0x00,	     /* 1e jle rel32 */
		RET,
	};

	(void)state;
	assert_int_equal(choose(3, code, sizeof(code)), 0);
	expect(SITE_EMULATED, 0x1e);
	assert_memory_equal(site.bytes, "\x0f\x8e", 2);
}

/* Once an argument is overwritten no later place will do: the first dear one is left. */
static void test_argument_overwritten(void **state)
{
	(void)state;
	/* sub $8,%rsp; mov %rax,%rsi; push %rbp */
	assert_int_equal(CHOOSE(3, 0x48, 0x83, 0xec, 0x08, 0x48, 0x89, 0xc6, 0x55, RET), 0);
	expect(SITE_STEPPED, 0);
	/* xor %edx,%edx clears the whole of rdx */
	assert_int_equal(CHOOSE(3, 0x48, 0x83, 0xec, 0x08, 0x31, 0xd2, 0x55, RET), 0);
	expect(SITE_STEPPED, 0);
	/* ... and does not matter to a function of two arguments */
	assert_int_equal(CHOOSE(2, 0x48, 0x83, 0xec, 0x08, 0x31, 0xd2, 0x55, RET), 0);
	expect(SITE_EMULATED, 6);
	/* dil is a part of rdi: mov $1,%dil */
	assert_int_equal(CHOOSE(1, 0x48, 0x83, 0xec, 0x08, 0x40, 0xb7, 0x01, 0x55, RET), 0);
	expect(SITE_STEPPED, 0);
}

/* Behind a branch not every call comes by; the branch itself all of them pass. */
static void test_branch_ends_the_line(void **state)
{
	(void)state;
	/* sub; test %rdi,%rdi; je; push */
	assert_int_equal(CHOOSE(3, 0x48, 0x83, 0xec, 0x08, 0x48, 0x85, 0xff, 0x74, 0x01, 0x55, RET),
			 0);
	expect(SITE_EMULATED, 7);
	/* jmp rel8, jmp rel32 */
	assert_int_equal(CHOOSE(3, 0xeb, 0x00, 0x55, RET), 0);
	expect(SITE_EMULATED, 0);
	assert_int_equal(CHOOSE(3, ENDBR64, 0xe9, 0x00, 0x01, 0x00, 0x00), 0);
	expect(SITE_EMULATED, 4);
	/* an indirect jump is neither emulated nor passed */
	assert_int_equal(CHOOSE(3, 0xff, 0xe0, 0x55, RET), -1);
}

/* A call is never a site, and nothing behind it is. */
static void test_never_a_call(void **state)
{
	(void)state;
	assert_int_equal(CHOOSE(3, 0xe8, 0x00, 0x01, 0x00, 0x00, 0x55, RET), -1);
	assert_int_equal(site.cost, SITE_NONE);
	assert_int_equal(CHOOSE(3, ENDBR64, 0xff, 0x15, 0x00, 0x01, 0x00, 0x00, 0x55, RET), -1);
	/* what lies before a call may be dear, but it is no call */
	assert_int_equal(CHOOSE(3, 0x48, 0x83, 0xec, 0x08, 0xe8, 0x00, 0x01, 0x00, 0x00, 0x55, RET),
			 0);
	expect(SITE_STEPPED, 0);
	/* nor a ret */
	assert_int_equal(CHOOSE(3, RET), -1);
	assert_int_equal(CHOOSE(3, ENDBR64, RET), -1);
}

/* The kernel may patch a 5-byte nop into a call: passed over, never taken; a lone nop is fine. */
static void test_nops(void **state)
{
	(void)state;
	assert_int_equal(CHOOSE(3, 0x0f, 0x1f, 0x44, 0x00, 0x00, 0x55, RET), 0);
	expect(SITE_EMULATED, 5);
	assert_int_equal(CHOOSE(3, ENDBR64, 0x0f, 0x1f, 0x44, 0x00, 0x00, RET), -1);
	assert_int_equal(CHOOSE(3, 0x90, RET), 0);
	expect(SITE_EMULATED, 0);
}

/* A 16-bit prefix keeps the kernel from emulating a jump (branch_setup_xol_ops, -ENOTSUPP). */
static void test_prefixed_jump(void **state)
{
	(void)state;
	assert_int_equal(
		CHOOSE(3, 0x48, 0x83, 0xec, 0x08, 0x66, 0x0f, 0x8e, 0x10, 0x00, 0x00, 0x00), 0);
	expect(SITE_STEPPED, 0);
}

/* A jump back to the site would make hits that are no calls; one to the entry is a call. */
static void test_jumped_into(void **state)
{
	(void)state;
	/* sub; push %rbp (4); jmp back to 4 */
	assert_int_equal(CHOOSE(3, 0x48, 0x83, 0xec, 0x08, 0x55, 0xeb, 0xfd), -1);
	/* into the middle of sub */
	assert_int_equal(CHOOSE(3, 0x48, 0x83, 0xec, 0x08, 0x55, 0xeb, 0xfb), -1);
	/* to the entry */
	assert_int_equal(CHOOSE(3, 0x48, 0x83, 0xec, 0x08, 0x55, 0xeb, 0xf9), 0);
	expect(SITE_EMULATED, 4);
}

/* Bytes that are no code, and code cut anywhere: an answer lies on an instruction, or there is
 * none. */
static void test_truncated(void **state)
{
	static const uint8_t code[] = {ENDBR64, 0x48, 0x83, 0xec, 0x38, 0x49, 0x89, 0xc8, 0x48,
				       0x85,	0xd2, 0x0f, 0x8e, 0x10, 0x00, 0x00, 0x00};

	(void)state;
	for (size_t size = 0; size < sizeof(code); size++) {
		int err = choose(3, code, size);

		if (size < 8)
			assert_int_equal(err, -1);
		else
			expect(SITE_STEPPED, 4);
	}
	assert_int_equal(choose(3, code, sizeof(code)), 0);
	expect(SITE_EMULATED, 14);
	assert_int_equal(CHOOSE(3, 0x06, 0x06, 0x06), -1);
	assert_int_equal(CHOOSE(5, 0x55, RET), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_push_at_entry),
		cmocka_unit_test(test_push_after_endbr),
		cmocka_unit_test(test_jle_of_all_calls),
		cmocka_unit_test(test_argument_overwritten),
		cmocka_unit_test(test_branch_ends_the_line),
		cmocka_unit_test(test_never_a_call),
		cmocka_unit_test(test_nops),
		cmocka_unit_test(test_prefixed_jump),
		cmocka_unit_test(test_jumped_into),
		cmocka_unit_test(test_truncated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
