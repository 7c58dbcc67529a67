/* SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause */
/*
 * vmlinux.h is trimmed by hand, so nothing but this test says that its names
 * and types are the kernel's. A wrong field makes CO-RE refuse a program at
 * load, on a user's machine; here it fails by name.
 *
 * A struct with a ___flavour is one that only some kernels have: checked
 * where it exists.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <bpf/btf.h>

#define TYPES_OBJECT "build/vmlinux_types.o"
#define DEPTH_MAX    8

/*
 * Programs get these from the kernel as they are, without CO-RE: offsets count, sizes don't. 6.9
 * made cs and ss 16 bits of a 64-bit union (FRED), which we read whole and mask.
 */
static const char *const fixed_structs[] = {
	"pt_regs",
	"bpf_perf_event_data",
	"bpf_raw_tracepoint_args",
};

struct found {
	__u32 type;
	__u32 bit_offset;
	__u32 bit_size; /* 0: no bit field */
};

/* The member `name` of a struct or union, also inside members without a name. */
static int find_member(const struct btf *btf, __u32 id, const char *name, __u32 base, int depth,
		       struct found *found)
{
	const struct btf_type *type = btf__type_by_id(btf, id);
	const struct btf_member *member;
	__u32 i;

	if (!type || !btf_is_composite(type) || depth > DEPTH_MAX)
		return 0;
	member = btf_members(type);
	for (i = 0; i < btf_vlen(type); i++) {
		const char *its = btf__name_by_offset(btf, member[i].name_off);
		__u32 offset = base + btf_member_bit_offset(type, i);

		if (!strcmp(its, name)) {
			*found = (struct found){member[i].type, offset,
						btf_member_bitfield_size(type, i)};
			return 1;
		}
		if (!*its && find_member(btf, (__u32)btf__resolve_type(btf, member[i].type), name,
					 offset, depth + 1, found))
			return 1;
	}
	return 0;
}

/* "task_struct___throttled" is about task_struct. Returns 1 when there is a flavour. */
static int essential_name(const char *name, char *out, size_t size)
{
	const char *flavour = strstr(name, "___");
	size_t len = flavour ? (size_t)(flavour - name) : strlen(name);

	assert_true(len < size);
	memcpy(out, name, len);
	out[len] = '\0';
	return flavour != NULL;
}

/* As the kernel's bpf_core_fields_are_compat() asks, and sizes as well, since we read by ours. */
static const char *differ(const struct btf *ours, __u32 our_id, const struct btf *kernel,
			  __u32 kernel_id, int depth)
{
	const struct btf_type *a, *b;
	char our_name[128], kernel_name[128];

	our_id = (__u32)btf__resolve_type(ours, our_id);
	kernel_id = (__u32)btf__resolve_type(kernel, kernel_id);
	a = btf__type_by_id(ours, our_id);
	b = btf__type_by_id(kernel, kernel_id);
	if (!a || !b || depth > DEPTH_MAX)
		return "a type that can't be resolved";
	if (btf_is_int(a) && btf_is_any_enum(b))
		return a->size == b->size ? NULL : "another size";
	if (btf_kind(a) != btf_kind(b))
		return "another kind of type";
	if (btf_is_int(a))
		return a->size != b->size ? "another size" :
					  /* The kernel's char is unsigned since 6.2 (3bc753c06dd0),
					     clang's is not. */
			       a->size > 1 &&
				       (btf_int_encoding(a) ^ btf_int_encoding(b)) & BTF_INT_SIGNED
			       ? "another sign"
			       : NULL;
	if (btf_is_array(a)) {
		/* One element or none: an array as long as its struct was made. */
		if (btf_array(a)->nelems != btf_array(b)->nelems &&
		    (btf_array(a)->nelems > 1 || btf_array(b)->nelems > 1))
			return "another number of elements";
		return differ(ours, btf_array(a)->type, kernel, btf_array(b)->type, depth + 1);
	}
	if (btf_is_composite(a)) {
		essential_name(btf__name_by_offset(ours, a->name_off), our_name, sizeof(our_name));
		essential_name(btf__name_by_offset(kernel, b->name_off), kernel_name,
			       sizeof(kernel_name));
		return strcmp(our_name, kernel_name) ? "another struct" : NULL;
	}
	if (btf_is_ptr(a)) {
		a = btf__type_by_id(ours, (__u32)btf__resolve_type(ours, a->type));
		b = btf__type_by_id(kernel, (__u32)btf__resolve_type(kernel, b->type));
		if (a && b && btf_is_composite(a) && btf_is_composite(b) &&
		    strcmp(btf__name_by_offset(ours, a->name_off),
			   btf__name_by_offset(kernel, b->name_off)))
			return "a pointer to another struct";
	}
	return NULL;
}

static int is_fixed(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(fixed_structs) / sizeof(fixed_structs[0]); i++)
		if (!strcmp(fixed_structs[i], name))
			return 1;
	return 0;
}

/* How many members of one struct or union are wrong; each is named. */
static int check_members(const struct btf *ours, const struct btf_type *type, const char *path,
			 const struct btf *kernel, __u32 kernel_id, int optional, int fixed)
{
	const struct btf_member *member = btf_members(type);
	struct found found;
	int wrong = 0;
	__u32 i;

	for (i = 0; i < btf_vlen(type); i++) {
		const char *name = btf__name_by_offset(ours, member[i].name_off);
		const struct btf_type *inner;
		const char *why;
		char deeper[256];

		snprintf(deeper, sizeof(deeper), "%s.%s", path, name);
		if (!find_member(kernel, kernel_id, name, 0, 0, &found)) {
			if (optional)
				continue;
			print_message("%s: this kernel has no such field\n", deeper);
			wrong++;
			continue;
		}
		inner = btf__type_by_id(ours, (__u32)btf__resolve_type(ours, member[i].type));
		if (inner && btf_is_composite(inner) && !inner->name_off) {
			wrong += check_members(ours, inner, deeper, kernel,
					       (__u32)btf__resolve_type(kernel, found.type),
					       optional, 0);
			continue;
		}
		why = fixed ? NULL : differ(ours, member[i].type, kernel, found.type, 0);
		if (!why && found.bit_size && !btf_member_bitfield_size(type, i))
			why = "a bit field";
		if (!why && fixed && found.bit_offset != btf_member_bit_offset(type, i))
			why = "another offset";
		if (why) {
			print_message("%s: the kernel has %s\n", deeper, why);
			wrong++;
		}
	}
	return wrong;
}

/* How many values of one enum are wrong. */
static int check_values(const struct btf *ours, const struct btf_type *type, const char *path,
			const struct btf *kernel, const struct btf_type *its)
{
	int wrong = 0;
	__u32 i, k;

	for (i = 0; i < btf_vlen(type); i++) {
		const char *name = btf__name_by_offset(ours, btf_enum(type)[i].name_off);

		for (k = 0; k < btf_vlen(its); k++)
			if (!strcmp(name, btf__name_by_offset(kernel, btf_enum(its)[k].name_off)))
				break;
		if (k < btf_vlen(its) && btf_enum(its)[k].val == btf_enum(type)[i].val)
			continue;
		print_message("enum %s: %s is not the kernel's\n", path, name);
		wrong++;
	}
	return wrong;
}

/* Returns how many differences there are, and in `checked` how many types were looked at. */
static int check_all(const struct btf *ours, const struct btf *kernel, int *checked)
{
	int wrong = 0;
	__u32 id;

	*checked = 0;
	for (id = 1; id < btf__type_cnt(ours); id++) {
		const struct btf_type *type = btf__type_by_id(ours, id);
		const char *name = btf__name_by_offset(ours, type->name_off);
		int optional, kernel_id;
		char essential[128];

		if (!*name || !(btf_is_composite(type) || btf_is_enum(type)))
			continue;
		optional = essential_name(name, essential, sizeof(essential));
		kernel_id = btf__find_by_name_kind(kernel, essential, btf_kind(type));
		(*checked)++;
		if (kernel_id < 0) {
			if (!optional) {
				print_message("%s: this kernel has no such type\n", essential);
				wrong++;
			}
		} else if (btf_is_enum(type)) {
			wrong += check_values(ours, type, essential, kernel,
					      btf__type_by_id(kernel, (__u32)kernel_id));
		} else {
			wrong += check_members(ours, type, essential, kernel, (__u32)kernel_id,
					       optional, is_fixed(essential));
		}
	}
	return wrong;
}

static void test_against_running_kernel(void **state)
{
	struct btf *ours = btf__parse(TYPES_OBJECT, NULL);
	struct btf *kernel = btf__load_vmlinux_btf();
	int checked, wrong;

	(void)state;
	if (!ours)
		fail_msg("%s has no BTF", TYPES_OBJECT);
	if (!kernel) {
		btf__free(ours);
		print_message("skip: this kernel shows no BTF in /sys/kernel/btf/vmlinux\n");
		skip();
	}
	wrong = check_all(ours, kernel, &checked);
	btf__free(ours);
	btf__free(kernel);
	assert_true(checked > 20);
	assert_int_equal(wrong, 0);
}

/* A kernel of our own: struct file { int a; unsigned short b; union { long c; }; u8 d:1; char
 * e[16]; } */
static struct btf *make(const char *name, int with_b, int long_sz, int element_cnt, int value)
{
	struct btf *btf = btf__new_empty();
	int i32, u16, wide, ch, arr, un;

	assert_non_null(btf);
	i32 = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	u16 = btf__add_int(btf, "unsigned short", 2, 0);
	wide = btf__add_int(btf, "long", (size_t)long_sz, BTF_INT_SIGNED);
	ch = btf__add_int(btf, "char", 1, 0);
	arr = btf__add_array(btf, i32, ch, (__u32)element_cnt);
	un = btf__add_union(btf, NULL, 8);
	btf__add_field(btf, "c", wide, 0, 0);
	btf__add_struct(btf, name, 40);
	btf__add_field(btf, "a", i32, 0, 0);
	if (with_b)
		btf__add_field(btf, "b", u16, 32, 0);
	btf__add_field(btf, NULL, un, 64, 0);
	btf__add_field(btf, "e", arr, 128, 0);
	btf__add_enum(btf, "kinds", 4);
	btf__add_enum_value(btf, "KIND", value);
	return btf;
}

static int differences(struct btf *ours, struct btf *kernel)
{
	int checked, wrong = check_all(ours, kernel, &checked);

	assert_int_equal(checked, 2);
	btf__free(ours);
	btf__free(kernel);
	return wrong;
}

static void test_sees_differences(void **state)
{
	(void)state;
	assert_int_equal(differences(make("file", 1, 8, 16, 1), make("file", 1, 8, 16, 1)), 0);
	assert_int_equal(differences(make("file", 1, 8, 16, 1), make("file", 0, 8, 16, 1)), 1);
	assert_int_equal(differences(make("file", 1, 8, 16, 1), make("file", 1, 4, 16, 1)), 1);
	assert_int_equal(differences(make("file", 1, 8, 16, 1), make("file", 1, 8, 17, 1)), 1);
	assert_int_equal(differences(make("file", 1, 8, 16, 1), make("file", 1, 8, 16, 2)), 1);
	assert_int_equal(differences(make("file", 1, 8, 16, 1), make("inode", 1, 8, 16, 1)), 1);
	/* A flavour may be absent, whole or in part, but where it is there it must fit. */
	assert_int_equal(differences(make("file___new", 1, 8, 16, 1), make("inode", 1, 8, 16, 1)),
			 0);
	assert_int_equal(differences(make("file___new", 1, 8, 16, 1), make("file", 0, 8, 16, 1)),
			 0);
	assert_int_equal(differences(make("file___new", 1, 8, 16, 1), make("file", 1, 4, 16, 1)),
			 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_running_kernel),
		cmocka_unit_test(test_sees_differences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
