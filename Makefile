# SPDX-License-Identifier: LGPL-2.1 OR BSD-2-Clause
#
# One binary, ./asyncprof, that needs neither a compiler nor kernel headers
# where it runs. No configure step: what differs between distributions is
# found here. All output goes to build/.
#
#   make            the binary                 make check       unit tests, no root, also sanitized
#   make deps       all it needs, by apt-get   make check-root  the real thing, on this kernel
#   make deps-test  and what its tests need    make check-clients  formats, by what reads them
#   make demo       see it work                make test        all of them
#   make install    PREFIX, DESTDIR            make layers      who may include whom

VERSION := 0.1.0

PREFIX  ?= /usr/local
DESTDIR ?=
CC      := $(if $(filter default,$(origin CC)),gcc,$(CC))
CLANG   ?= clang
# Ubuntu's /usr/sbin/bpftool is a wrapper that refuses to run on any kernel but
# the one its package was made for; the real one lies under linux-tools.
BPFTOOL ?= $(firstword $(wildcard /usr/lib/linux-tools/*/bpftool /usr/lib/linux-tools-*/bpftool) \
	     $(shell PATH="$$PATH:/usr/sbin:/sbin" command -v bpftool) bpftool)
ARCH    := $(shell uname -m | sed -e 's/x86_64/x86/' -e 's/aarch64/arm64/')
B       := build

# One short line a file; V=1 shows the commands.
Q       := $(if $(V),,@)
say      = $(if $(V),@:,@printf '  %-9s%s\n' $(1) $@)

LIBS     := libbpf jansson capstone sqlite3 libdw zlib libprotobuf-c
WARN     := -Wall -Wextra -Werror
INCLUDES := -Iinclude -Iuser -I$(B)
CFLAGS   ?= -O2 -g
CET      := $(if $(filter x86,$(ARCH)),-fcf-protection)
HARDEN   := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE -fstack-clash-protection \
	    $(CET)
LDHARDEN := -pie -Wl,-z,relro,-z,now
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer $(CET)

# Expanded when a recipe needs them, so that `make deps` works before pkg-config is there.
PKG_CFLAGS = $(shell pkg-config --cflags $(LIBS))
PKG_LIBS   = $(shell pkg-config --libs $(LIBS))
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -DASYNCPROF_VERSION='"$(VERSION)"' $(WARN) $(INCLUDES) $(PKG_CFLAGS)

# Programs must take a context, whether they use it or not.
BPF_CFLAGS := -target bpf -mcpu=v3 -O2 -g $(WARN) -Wno-unused-parameter -fno-jump-tables -D__TARGET_ARCH_$(ARCH) \
	      -I. -Iinclude -Ibpf

# maps.bpf.c first: bpftool 7.1 gives a map the offset 0 when it meets an extern of it before its
# definition.
BPF_SRC := bpf/maps.bpf.c $(filter-out bpf/maps.bpf.c,$(sort $(wildcard bpf/*.bpf.c)))
BPF_OBJ := $(BPF_SRC:%.c=$(B)/%.o)
SKEL    := $(B)/asyncprof.skel.h
SRC     := $(sort $(wildcard user/*.c user/*/*.c))
LIB_OBJ := $(filter-out $(B)/user/main.o,$(SRC:%.c=$(B)/%.o))
TEST    := $(sort $(wildcard tests/unit/test_*.c))
TESTS   := $(TEST:tests/unit/%.c=$(B)/tests/%)
SAN     := $(TEST:tests/unit/%.c=$(B)/san/tests/%)
FUZZ    := $(sort $(wildcard tests/fuzz/fuzz_*.c))
FUZZ_GCC := $(FUZZ:tests/fuzz/%.c=$(B)/san/fuzz/%)
# What reads the target's memory and files: for longer.
FUZZ_LONG := $(patsubst %,$(B)/san/fuzz/fuzz_%,elf layout lines walk record)
FUZZ_SHORT := $(filter-out $(FUZZ_LONG),$(FUZZ_GCC))
FUZZ_CLANG := $(FUZZ:tests/fuzz/%.c=$(B)/fuzz/%)
# What knows no kernel: fuzzing needs no more, and clang builds it without the skeleton.
FUZZ_SRC := $(filter user/refusal.c user/model/% user/report/% user/recording/% user/target/%,$(SRC))

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all deps deps-test check-clients check-vm install uninstall check check-plain check-san check-fuzz check-root support test soak bench fuzz demo \
	layers format-check clean

all: asyncprof

asyncprof: $(B)/user/main.o $(B)/libasyncprof.a | layers
	$(call say,LINK)
	$(Q)$(CC) $(CFLAGS) $(LDHARDEN) -o $@ $^ $(PKG_LIBS)

# --- The kernel side ------------------------------------------------------------

$(B)/bpf/%.o: bpf/%.c
	$(call say,BPF)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/asyncprof.bpf.o: $(BPF_OBJ)
	$(call say,BPF)
	$(Q)$(BPFTOOL) gen object $@ $^

$(SKEL): $(B)/asyncprof.bpf.o
	$(call say,SKEL)
	$(Q)$(BPFTOOL) gen skeleton $< name asyncprof_bpf > $@

# All types of vmlinux.h, used or not, for the test that holds them against the running kernel:
# clang writes BTF of what a variable leads to, so each struct and enum gets one.
$(B)/vmlinux_types.o: vmlinux.h
	$(call say,BPF)
	@mkdir -p $(@D)
	$(Q)sed -n -E 's/^(struct|enum) ([a-zA-Z0-9_]+) \{.*/\1 \2 *type_\2;/p' vmlinux.h >$(@:.o=.h)
	$(Q)printf '#include "vmlinux.h"\n#include "$(@:.o=.h)"\n' | $(CLANG) $(BPF_CFLAGS) -x c -c -o $@ -

# --- The collector ----------------------------------------------------------------

# pprof's format, as code: protoc-c writes it from the description that we keep.
PPROF   := $(B)/pprof.pb-c.o
$(B)/pprof.pb-c.c: user/report/pprof.proto
	$(call say,PROTO)
	@mkdir -p $(@D)
	$(Q)protoc-c --c_out=$(B) --proto_path=user/report $<

$(PPROF): $(B)/pprof.pb-c.c
	$(call say,CC)
	$(Q)$(CC) $(CFLAGS) $(HARDEN) $(ALL_CFLAGS) -c -o $@ $<

PPROF_USERS := user/report/pprof
$(PPROF_USERS:%=$(B)/%.o) $(PPROF_USERS:%=$(B)/san/%.o) $(PPROF_USERS:%=$(B)/fuzz/%.o): | $(B)/pprof.pb-c.c

# What the assembler takes in: what a picture brings along, and the schema of recordings.
$(B)/user/report/flamegraph.o $(B)/san/user/report/flamegraph.o $(B)/fuzz/user/report/flamegraph.o: \
	user/report/flamegraph.js user/report/flamegraph.css
$(B)/user/recording/schema.o $(B)/san/user/recording/schema.o $(B)/fuzz/user/recording/schema.o: \
	user/recording/schema.sql

$(B)/user/%.o: user/%.c
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(HARDEN) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(B)/san/user/%.o: user/%.c
	$(call say,CC)
	@mkdir -p $(@D)
	$(Q)$(CC) -O1 -g $(SANITIZE) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# Generated, so the first build must have it before dependency files can say who needs it.
KERNEL := $(filter user/kernel/%,$(SRC))
$(KERNEL:%.c=$(B)/%.o) $(KERNEL:%.c=$(B)/san/%.o): | $(SKEL)

$(B)/libasyncprof.a: $(LIB_OBJ) $(PPROF)
	$(call say,AR)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(B)/san/libasyncprof.a: $(LIB_OBJ:$(B)/%=$(B)/san/%) $(PPROF)
	$(call say,AR)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# --- Tests --------------------------------------------------------------------------

$(B)/tests/%: tests/unit/%.c $(B)/libasyncprof.a
	$(call say,TEST)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(HARDEN) $(LDHARDEN) $(ALL_CFLAGS) -Itests/unit -MMD -MP -MF $@.d -MT $@ -o $@ $< \
		$(B)/libasyncprof.a -lcmocka $(PKG_LIBS)

$(B)/san/tests/%: tests/unit/%.c $(B)/san/libasyncprof.a
	$(call say,TEST)
	@mkdir -p $(@D)
	$(Q)$(CC) -O1 -g $(SANITIZE) $(ALL_CFLAGS) -Itests/unit -MMD -MP -MF $@.d -MT $@ -o $@ $< \
		$(B)/san/libasyncprof.a -lcmocka $(PKG_LIBS)

$(B)/san/fuzz/%: tests/fuzz/%.c tests/fuzz/mutate.c $(B)/san/libasyncprof.a
	$(call say,TEST)
	@mkdir -p $(@D)
	$(Q)$(CC) -O1 -g $(SANITIZE) $(ALL_CFLAGS) -Itests/unit -MMD -MP -MF $@.d -MT $@ -o $@ $< \
		tests/fuzz/mutate.c $(B)/san/libasyncprof.a $(PKG_LIBS)

$(B)/fuzz/user/%.o: user/%.c
	$(call say,FUZZ)
	@mkdir -p $(@D)
	$(Q)$(CLANG) -O1 -g -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined \
		$(filter-out -Werror,$(ALL_CFLAGS)) -MMD -MP -c -o $@ $<

$(B)/fuzz/%: tests/fuzz/%.c $(FUZZ_SRC:%.c=$(B)/fuzz/%.o) $(PPROF)
	$(call say,FUZZ)
	$(Q)$(CLANG) -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
		$(filter-out -Werror,$(ALL_CFLAGS)) -Itests/unit -o $@ $^ $(PKG_LIBS)

check: check-plain check-san

check-plain: $(TESTS) $(B)/vmlinux_types.o $(B)/asyncprof.bpf.o | layers
	tests/unit/run plain $(TESTS) tests/layers_test tests/stack_test tests/matrix_test tests/support_test

check-san: $(SAN) $(FUZZ_SHORT) $(B)/vmlinux_types.o
	tests/unit/run sanitized $(SAN) $(FUZZ_SHORT)

# 15 s each for what parses the target's bytes; `make fuzz` is the one with libFuzzer.
check-fuzz: $(FUZZ_LONG)
	tests/fuzz/check 15 $(FUZZ_LONG)

check-root: asyncprof
	tests/e2e/run

# The table in the README of what ran on which interpreter.
support: asyncprof
	tests/e2e/run --support

# Every output format in the hands of what reads it: pprof, speedscope, a browser, sqlite3.
check-clients: asyncprof
	tests/clients/run

# All, also when the first fails.
test:
	@status=0; $(MAKE) check || status=1; $(MAKE) check-fuzz || status=1; \
	$(MAKE) check-clients || status=1; $(MAKE) check-root || status=1; exit $$status

# On the kernels that Debian ships, in QEMU without KVM; needs qemu-system-x86 and debootstrap.
check-vm: asyncprof
	tests/vm/run

# Harm, races and all causes many more times, in parts of SOAK_MINUTES (90); each goes on with what is left.
soak: asyncprof
	tests/e2e/soak.py

# What asyncprof costs its target: figures, never a pass or a fail. BENCH="--minutes 1 disk"
bench: asyncprof $(B)/bench/million
	tests/bench/bench.py $(BENCH)

$(B)/bench/million: tests/bench/million.c $(B)/libasyncprof.a
	$(call say,BENCH)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(HARDEN) $(LDHARDEN) $(ALL_CFLAGS) -o $@ $^ $(PKG_LIBS)

# Needs clang's sanitizer runtime: apt-get install libclang-rt-dev
fuzz: $(FUZZ_CLANG) $(FUZZ_GCC)
	tests/fuzz/run $(FUZZ_CLANG)

layers:
	@tests/layers .

format-check:
	clang-format --dry-run -Werror $(SRC) $(wildcard user/*.h user/*/*.h include/*.h bpf/*.h) $(BPF_SRC) $(TEST)

demo: asyncprof
	demo/run

# --- Putting it in place ---------------------------------------------------------------

# What building and the demo need, and what the tests run. libbpf-dev brings libelf and zlib.
DEB_BUILD := make gcc libc6-dev pkg-config clang libbpf-dev libjansson-dev libcapstone-dev uthash-dev python3 \
		libsqlite3-dev libdw-dev zlib1g-dev libprotobuf-c-dev protobuf-c-compiler
# PostgreSQL's package makes a cluster of its own, which the tests leave alone: they start theirs.
DEB_TEST  := libcmocka-dev python3-dev python3-pip python3-jsonschema g++ \
		sqlite3 chromium chromium-driver golang-go postgresql

# Ubuntu has bpftool inside linux-tools, and under another name.
install_deps = apt-get update; \
	bpftool=bpftool; apt-cache show bpftool >/dev/null 2>&1 || bpftool=linux-tools-generic; set -x; \
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $$bpftool
deps:
	@$(install_deps) $(DEB_BUILD)

deps-test:
	@$(install_deps) $(DEB_BUILD) $(DEB_TEST)

install: asyncprof
	install -d $(DESTDIR)$(PREFIX)/sbin
	install -m 755 asyncprof $(DESTDIR)$(PREFIX)/sbin/asyncprof

uninstall:
	rm -f $(DESTDIR)$(PREFIX)/sbin/asyncprof

clean:
	rm -rf $(B) asyncprof

DEPS := $(wildcard $(BPF_OBJ:.o=.d) $(SRC:%.c=$(B)/%.d) $(SRC:%.c=$(B)/san/%.d) $(TESTS:=.d) $(SAN:=.d) $(FUZZ_GCC:=.d) \
	$(FUZZ_SRC:%.c=$(B)/fuzz/%.d))
-include $(DEPS)
