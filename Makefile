# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# lbd: one non-recursive Makefile. Everything made goes below build/.
#
#   V=1                      print whole commands
#   SAN=address,undefined    build with sanitizers, below build/san-...   (SAN=1 is this one; SAN=thread)
#   B=DIR                    build below DIR instead
#   T=PATTERN                run only tests whose path contains PATTERN

CC := gcc
CLANG ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
PREFIX ?= /usr/local

comma := ,
ifeq ($(SAN),1)
override SAN := address,undefined
endif
B ?= build
override B := $(B)$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s %s\n' '$(1)' '$(2)';)

VERSION := $(shell git describe --always --dirty 2>/dev/null || echo unknown)

CFLAGS ?= -O2 -g
WARN := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wvla -Werror
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)
ALL_CFLAGS := -std=gnu17 -D_GNU_SOURCE -pthread -Iuser -Iinclude -I$(B)/skel $(WARN) $(CFLAGS) $(SANFLAGS)
LDLIBS := -lbpf -lelf -lz -lyaml -ljansson -lcurl -lxxhash -pthread
BPF_CFLAGS := -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror -Wno-unused-function \
	-Iinclude -I/usr/include/$(shell uname -m)-linux-gnu

ROOMS := base net http pool algorithm health observe dataplane proxy config control daemon
SKELS := $(patsubst bpf/%.bpf.c,$(B)/skel/%.skel.h,$(wildcard bpf/*.bpf.c))
room_objs = $(patsubst %.c,$(B)/obj/%.o,$(filter-out %/main.c,$(wildcard user/$(1)/*.c)))
ARCHIVES := $(foreach room,$(ROOMS),$(B)/lib/$(room).a)

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all demo test test-unit fuzz test-bpf test-system test-kernel soak bench lint fmt fmt-check layers install clean help bootstrap

all: $(B)/lbd $(B)/lbadm ## build lbd, lbadm and the BPF objects

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' Makefile
	@sed -n 's/^#   \([VSBT][A-Z]*=.*\)/  \1/p' Makefile

bootstrap: ## install the Debian packages that building and testing need
	$(Q)tools/bootstrap

# ---- Programs ------------------------------------------------------------------------------

$(B)/lbd: $(B)/obj/user/daemon/main.o $(ARCHIVES)
	$(call say,LD,$@)$(CC) $(ALL_CFLAGS) -o $@ $< -Wl,--start-group $(ARCHIVES) -Wl,--end-group $(LDLIBS)

$(B)/lbadm: $(patsubst %.c,$(B)/obj/%.o,$(wildcard user/cli/*.c)) $(B)/lib/base.a
	$(call say,LD,$@)$(CC) $(ALL_CFLAGS) -o $@ $^ -lcurl -ljansson -pthread

define room_rule
$$(B)/lib/$(1).a: $$(call room_objs,$(1)) Makefile
	$$(call say,AR,$$@)mkdir -p $$(@D) && rm -f $$@ && ar rcs $$@ $$(filter %.o,$$^)
endef
$(foreach room,$(ROOMS),$(eval $(call room_rule,$(room))))

$(B)/obj/%.o: %.c Makefile
	$(call say,CC,$<)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

# The build's name goes into one object only.
$(B)/obj/user/daemon/main.o $(B)/obj/user/cli/main.o: ALL_CFLAGS += -DLBD_VERSION='"$(VERSION)"'

# ---- BPF -----------------------------------------------------------------------------------

$(B)/%.bpf.o: bpf/%.bpf.c Makefile
	$(call say,BPF,$<)mkdir -p $(@D) && $(CLANG) $(BPF_CFLAGS) -MMD -MP -MF $(B)/$*.bpf.d -MT $@ -c -o $@ $<

$(B)/skel/%.skel.h: $(B)/%.bpf.o
	$(call say,SKEL,$@)mkdir -p $(@D) && $(BPFTOOL) gen skeleton $< name $* > $@

$(call room_objs,dataplane) $(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/bpf/*.c)): $(SKELS)

# ---- Tests ---------------------------------------------------------------------------------

# A room's tests link the room and the rooms that tools/layers.conf lets it know: that they link is
# the proof of what it needs.
may_know = $(shell awk -F: '$$1 == "$(1)" {print $$2}' tools/layers.conf)
test_rooms = $(sort $(1) $(filter $(ROOMS),$(call may_know,$(1)) \
	$(if $(filter spec,$(call may_know,$(1))),pool algorithm health http observe dataplane proxy)))

UNIT_TESTS := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/*/test_*.c))
BPF_TESTS := $(patsubst tests/bpf/%.c,$(B)/bpf/%,$(wildcard tests/bpf/test_*.c))
BPF_TEST_HELPERS := $(patsubst %.c,$(B)/obj/%.o,$(filter-out tests/bpf/test_%,$(wildcard tests/bpf/*.c)))
SYSTEM_TESTS := $(wildcard tests/system/test_*.py)

define unit_rule
$$(filter $$(B)/unit/$(1)/%,$$(UNIT_TESTS)): $$(B)/unit/$(1)/%: $$(B)/obj/tests/unit/$(1)/%.o \
		$$(foreach r,$$(call test_rooms,$(1)),$$(B)/lib/$$(r).a)
	$$(call say,LD,$$@)mkdir -p $$(@D) && $$(CC) $$(ALL_CFLAGS) -o $$@ $$(filter %.o,$$^) \
		-Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group -lcmocka $$(LDLIBS)
endef
$(foreach room,$(ROOMS),$(eval $(call unit_rule,$(room))))

$(BPF_TESTS): $(B)/bpf/%: $(B)/obj/tests/bpf/%.o $(BPF_TEST_HELPERS) $(B)/lib/base.a
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -o $@ $(filter %.o %.a,$^) -lcmocka $(LDLIBS)

# ---- Fuzzing: tests/fuzz. The same checks run over the corpora in every make test. -----------

FUZZ_TARGETS := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_CHECKS := $(filter-out tests/fuzz/fuzz_% tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c))
FUZZ_SOURCES := $(FUZZ_CHECKS) $(wildcard user/base/*.c user/http/*.c) user/proxy/proxy_protocol.c
LLHTTP := $(foreach part,llhttp api http,/usr/share/llhttp/$(part).c)
LLHTTP_CFLAGS := -DLLHTTP_STRICT_MODE=1 -I/usr/share/include/llhttp
FUZZ_CFLAGS := -std=gnu17 -D_GNU_SOURCE -Iuser -Iinclude $(LLHTTP_CFLAGS) -O1 -g \
	-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
LBD_FUZZ_SECONDS ?= 60

# The oracle's sources come with a package; they are not held to our warnings.
$(B)/obj/llhttp/%.o: /usr/share/llhttp/%.c
	$(call say,CC,$<)mkdir -p $(@D) && $(CC) -O2 $(LLHTTP_CFLAGS) -c -o $@ $<
$(B)/obj/tests/fuzz/%.o: ALL_CFLAGS += $(LLHTTP_CFLAGS)

$(B)/fuzz/replay: $(B)/obj/tests/fuzz/replay.o $(patsubst %.c,$(B)/obj/%.o,$(FUZZ_CHECKS)) \
		$(patsubst /usr/share/%.c,$(B)/obj/%.o,$(LLHTTP)) $(foreach r,proxy http base,$(B)/lib/$(r).a)
	$(call say,LD,$@)mkdir -p $(@D) && $(CC) $(ALL_CFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LDLIBS)

$(B)/fuzz/obj/%.o: %.c
	$(call say,FUZZ,$<)mkdir -p $(@D) && $(CLANG) $(FUZZ_CFLAGS) -MMD -MP -c -o $@ $<
$(B)/fuzz/obj/llhttp/%.o: /usr/share/llhttp/%.c
	$(call say,CC,$<)mkdir -p $(@D) && $(CLANG) -O2 $(LLHTTP_CFLAGS) -c -o $@ $<
$(B)/fuzz/fuzz_%: $(B)/fuzz/obj/tests/fuzz/fuzz_%.o $(patsubst %.c,$(B)/fuzz/obj/%.o,$(FUZZ_SOURCES)) \
		$(patsubst /usr/share/%.c,$(B)/fuzz/obj/%.o,$(LLHTTP))
	$(call say,LD,$@)$(CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer -o $@ $^ -lxxhash -pthread

# What is found goes below $(B)/fuzz/, the corpora of the sources are only read.
fuzz: $(patsubst %,$(B)/fuzz/fuzz_%,$(FUZZ_TARGETS)) ## make bytes up, LBD_FUZZ_SECONDS (60) for each parser
	$(Q)for target in $(FUZZ_TARGETS); do \
		mkdir -p $(B)/fuzz/new/$$target || exit 1; \
		$(B)/fuzz/fuzz_$$target -max_total_time=$(LBD_FUZZ_SECONDS) -max_len=20000 -timeout=10 \
			-print_final_stats=1 -artifact_prefix=$(B)/fuzz/$$target- \
			-dict=tests/fuzz/words.dict $(B)/fuzz/new/$$target tests/fuzz/corpus/$$target || exit 1; \
	done

test: bootstrap ## everything but the long runs; last line "N passed, N failed"
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) test-run

.PHONY: test-run
test-run: all $(UNIT_TESTS) $(B)/fuzz/replay $(BPF_TESTS)
	$(Q)LBD_BUILD=$(B) tests/run -j $$(nproc) $(if $(T),-k '$(T)') $(UNIT_TESTS) $(B)/fuzz/replay $(BPF_TESTS) $(SYSTEM_TESTS)

test-unit: $(UNIT_TESTS) $(B)/fuzz/replay ## pure logic
	$(Q)tests/run $(if $(T),-k '$(T)') $^

test-bpf: $(BPF_TESTS) ## every packet rule, by BPF_PROG_TEST_RUN (root)
	$(Q)tests/run $(if $(T),-k '$(T)') $^

test-system: all ## what a user sees, in network namespaces (root)
	$(Q)LBD_BUILD=$(B) tests/run -j $$(nproc) $(if $(T),-k '$(T)') $(SYSTEM_TESTS)

test-kernel: all $(BPF_TESTS) ## the same on Linux 6.1 and 6.12, in emulated machines (amd64)
	$(Q)tools/bootstrap build test kernel
	$(Q)LBD_BUILD=$(B) tests/kernel/run $(BPF_TESTS) $(wildcard tests/kernel/test_*)

soak: all ## the long runs
	$(Q)LBD_BUILD=$(B) LBD_TIME_LIMIT=1800 tests/run $(wildcard tests/system/soak_*.py)

bench: all ## side-by-side measurements against plain routing, nftables, haproxy, nginx
	$(Q)tools/bootstrap build test bench
	$(Q)LBD_BUILD=$(B) tests/bench/run

.PHONY: strictness
strictness: all ## what lbd, haproxy and nginx make of each malformed message, as a table
	$(Q)tools/bootstrap build test bench
	$(Q)LBD_BUILD=$(B) tests/bench/strictness

demo: ## install, build and balance real traffic, in under a minute after the build (root)
	$(Q)tools/bootstrap build test
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) all
	$(Q)LBD_BUILD=$(B) tools/demo

# ---- Keeping house ---------------------------------------------------------------------------

C_FILES = $(shell git ls-files -co --exclude-standard '*.c' '*.h')
TIDY_FILES := $(sort $(wildcard user/*/*.c))

lint: layers fmt-check ## layers, formatting, clang-tidy with the ceilings
	$(Q)tools/check-headers
	$(Q)tools/check-length
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) tidy

.PHONY: tidy
tidy: $(TIDY_FILES:%=$(B)/tidy/%.ok)
	@:

# The object stands for the headers: it is older than none that the file includes.
$(B)/tidy/%.c.ok: $(B)/obj/%.o .clang-tidy
	$(call say,TIDY,$*.c)mkdir -p $(@D) && clang-tidy --quiet $*.c -- -std=gnu17 -D_GNU_SOURCE \
		-DLBD_VERSION='""' -Iuser -Iinclude -I$(B)/skel >$@.log 2>&1 && touch $@ || { cat $@.log; exit 1; }

layers:
	$(Q)tools/check-layers

fmt: ## format all C files
	$(Q)clang-format -i $(C_FILES)

fmt-check:
	$(Q)clang-format --dry-run --Werror $(C_FILES)

install: all ## into PREFIX (DESTDIR is honoured)
	install -D -m 755 $(B)/lbd $(DESTDIR)$(PREFIX)/sbin/lbd
	install -D -m 755 $(B)/lbadm $(DESTDIR)$(PREFIX)/sbin/lbadm

clean: ## remove build/
	rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
