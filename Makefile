# SPDX-License-Identifier: Apache-2.0
# Everything is one Makefile, and `make help` lists what it does.
SHELL   := /bin/bash
CC      ?= cc
SAN     ?=
comma   := ,
variant := $(if $(filter clang%,$(notdir $(CC))),clang-)$(if $(SAN),$(subst $(comma),-,$(SAN)),plain)
B       ?= build/$(variant)
VERSION := 0.1.0

cc-ok = $(shell $(CC) -Werror $(1) -c -x c /dev/null -o /dev/null 2>/dev/null && echo $(1))
WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
        -Wpointer-arith -Wcast-qual -Wwrite-strings -Wvla -Wundef -Wformat=2 \
        -Wimplicit-fallthrough -Wconversion -Wno-sign-conversion -Werror \
        $(if $(SAN),$(call cc-ok,-Wno-maybe-uninitialized) $(call cc-ok,-Wno-format-truncation),-Wnull-dereference) $(call cc-ok,-Wthread-safety)
HARD := -fstack-protector-strong -fstack-clash-protection -fcf-protection -fno-strict-aliasing \
        -fPIE -ffunction-sections -fdata-sections $(call cc-ok,-ftrivial-auto-var-init=zero)
SANF := $(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer,-D_FORTIFY_SOURCE=2)
# Under a sanitizer half of the optimizer's time is enough, and lines without variables.
OPT  := $(if $(SAN),-O1 -g1,-O2 -g)
CFLAGS  = -std=c17 -D_GNU_SOURCE -DSILL_VERSION='"$(VERSION)"' $(OPT) $(WARN) $(HARD) $(SANF) -Iinclude -I. -isystem /usr/include/libxml2 -MMD -MP
VMMINC  = -Ivmm
LDFLAGS = -pie -Wl,-z,relro,-z,now,-z,pack-relative-relocs -Wl,--gc-sections $(if $(SAN),-fsanitize=$(SAN))
LIBS    = -lpthread -luring -lz -lzstd
# The C library is named first: most of what is looked up at the start is there.
RUNLIBS = -lc -lcyaml -lyaml -ljansson -lutf8proc -lhttp_parser -lvterm

VMM_SRC := $(sort $(wildcard vmm/*/*.c vmm/*/*/*.c))
RUN_SRC := $(sort $(wildcard runner/*.c runner/*/*.c schema/*.c))
VMM_OBJ := $(VMM_SRC:%.c=$(B)/%.o)
RUN_OBJ := $(RUN_SRC:%.c=$(B)/%.o)
RUN_LIB_OBJ := $(filter-out $(B)/runner/main.o,$(RUN_OBJ))
UNIT    := $(patsubst %.c,$(B)/%,$(sort $(wildcard tests/unit/test_*.c)))
FUZZ    := $(patsubst tests/fuzz/%.c,%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))

.PHONY: all help deps demo check check-unit rig fuzz fuzz-build bench bench-convert bench-export bench-fleet bench-storage bench-streams bench-validate lint format schema man install deb clean
.SECONDARY:

all: $(B)/libsill.a $(if $(wildcard runner/main.c),$(B)/sill)
ifeq ($(variant),plain)
ifneq ($(wildcard runner/main.c),)
all: build/sill
build/sill: $(B)/sill
	@ln -sf plain/sill $@
endif
endif

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 20

$(B)/libsill.a: $(VMM_OBJ)
	@mkdir -p $(@D); rm -f $@; ar rcs $@ $^
$(B)/librunner.a: $(RUN_LIB_OBJ)
	@mkdir -p $(@D); rm -f $@; ar rcs $@ $^
$(B)/sill: $(B)/runner/main.o $(B)/librunner.a $(B)/libsill.a
	@$(CC) $^ $(LDFLAGS) $(RUNLIBS) $(LIBS) -o $@
$(B)/vmm/%.o: vmm/%.c
	@mkdir -p $(@D); $(CC) $(CFLAGS) $(VMMINC) -c $< -o $@
$(B)/runner/%.o: runner/%.c
	@mkdir -p $(@D); $(CC) $(CFLAGS) -c $< -o $@
$(B)/schema/%.o: schema/%.c
	@mkdir -p $(@D); $(CC) $(CFLAGS) -c $< -o $@
$(B)/tests/unit/%: tests/unit/%.c $(B)/librunner.a $(B)/libsill.a
	@mkdir -p $(@D); $(CC) $(CFLAGS) $(VMMINC) -Itests/unit $< $(B)/librunner.a $(B)/libsill.a $(LDFLAGS) -lcmocka $(RUNLIBS) $(LIBS) -o $@
$(B)/tests/docs/%: tests/docs/%.c $(B)/librunner.a $(B)/libsill.a
	@mkdir -p $(@D); $(CC) $(CFLAGS) $(VMMINC) -Itests/unit $< $(B)/librunner.a $(B)/libsill.a $(LDFLAGS) $(RUNLIBS) $(LIBS) -o $@
$(B)/tests/image/%: tests/image/%.c $(B)/libsill.a
	@mkdir -p $(@D); $(CC) $(CFLAGS) $(VMMINC) $< $(B)/libsill.a $(LDFLAGS) $(LIBS) -o $@
$(B)/tests/bench/%: tests/bench/%.c $(B)/libsill.a
	@mkdir -p $(@D); $(CC) $(CFLAGS) $(VMMINC) -Itests/unit $< $(B)/libsill.a $(LDFLAGS) $(LIBS) -o $@

demo: deps ## set up, build, and boot the example in a VM (INTERACTIVE=1: stay at its shell)
	@tests/demo $(if $(INTERACTIVE),--interactive)

check: deps ## everything: lint, both compilers, unit, sanitizers, fuzz, native, rig
	@tests/check

check-unit: $(UNIT) ## the unit tests of this variant (SAN=address,undefined or thread, CC=clang)
	@tests/unit/run $(UNIT)

rig: all ## the rig tests whose name matches TESTS (real firmware and kernels on real KVM)
	@tests/rig/run $(TESTS)

FUZZ_B := build/clang-fuzzer-no-link-address-undefined
fuzz: ## every fuzz target for FUZZ_SECONDS (60) each
	@$(MAKE) --no-print-directory CC=clang SAN=fuzzer-no-link,address,undefined fuzz-build
	@tests/fuzz/run $(FUZZ_B)/tests/fuzz $(or $(FUZZ_SECONDS),60) $(FUZZ)
fuzz-build: $(FUZZ:%=$(B)/tests/fuzz/%)
$(B)/tests/fuzz/%: tests/fuzz/%.c $(B)/librunner.a $(B)/libsill.a
	@mkdir -p $(@D); $(CC) $(CFLAGS) $(VMMINC) -Itests/unit -Wno-missing-prototypes -fsanitize=fuzzer $< $(B)/librunner.a $(B)/libsill.a $(LDFLAGS) -fsanitize=fuzzer $(RUNLIBS) $(LIBS) -o $@

bench: all ## one table of ratios against Debian's QEMU
	@tests/bench/run

bench-convert: all ## sill image convert, against qemu-img convert -W
	@tests/bench/convert

bench-validate: all ## sill validate, against libyaml alone and PyYAML
	@tests/bench/validate

bench-export: all ## sill export of 10,000 manifests
	@tests/bench/export

bench-fleet: all ## many VMs: plan of 1,000 that run, up against run
	@tests/bench/fleet

bench-storage: all ## disks, against fio and QEMU; wants a quiet machine
	@tests/bench/storage

bench-streams: all ## a Linux guest's network cards, against QEMU, in the rig
	@tests/bench/streams

lint: all ## layers, limits, format, headers, commits
	@tests/lint/lint

format: ## clang-format on the whole tree
	@clang-format -i $(filter-out vmm/base/le.h vmm/base/attr.h,$(shell git ls-files '*.c' '*.h'))

schema: all ## write schema/manifest.schema.json and docs/MANIFEST.md from the table
	@build/sill schema > build/schema.new && mv build/schema.new schema/manifest.schema.json
	@build/sill schema --manual > build/manual.new && mv build/manual.new docs/MANIFEST.md

deps: ## install what is missing of the Debian packages in tests/packages (root, or sudo)
	@tests/deps

PREFIX ?= /usr/local
SHARE   = $(DESTDIR)$(PREFIX)/share
man: all ## write the manual pages to build/man
	@rm -rf build/man; mkdir -p build/man
	@build/sill man --list | while read -r p; do w=$${p#sill}; w=$${w#-}; w=$${w%.[15]}; \
		case $$w in image-*|net-*) w="$${w%%-*} $${w#*-}" ;; esac; build/sill man $$w > build/man/$$p || exit; done

install: all man ## PREFIX=/usr/local, DESTDIR=
	install -D -s -m 755 build/sill $(DESTDIR)$(PREFIX)/bin/sill
	install -D -m 644 schema/manifest.schema.json $(SHARE)/sill/manifest.schema.json
	install -d $(SHARE)/man/man1 $(SHARE)/man/man5 $(SHARE)/bash-completion/completions \
		$(SHARE)/zsh/vendor-completions $(SHARE)/fish/vendor_completions.d
	install -m 644 build/man/*.1 $(SHARE)/man/man1
	install -m 644 build/man/*.5 $(SHARE)/man/man5
	build/sill completion bash > $(SHARE)/bash-completion/completions/sill
	build/sill completion zsh > $(SHARE)/zsh/vendor-completions/_sill
	build/sill completion fish > $(SHARE)/fish/vendor_completions.d/sill.fish
	install -D -m 644 packaging/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/sill.conf
	install -D -m 644 packaging/tmpfiles.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/sill.conf
	install -D -m 644 packaging/sill@.service $(DESTDIR)$(PREFIX)/lib/systemd/system/sill@.service
	install -D -m 644 packaging/sill@.user.service $(DESTDIR)$(PREFIX)/lib/systemd/user/sill@.service
	install -d $(SHARE)/doc/sill/examples
	install -m 644 README.md docs/*.md $(SHARE)/doc/sill
	cp -r --no-preserve=ownership examples/. $(SHARE)/doc/sill/examples

deb: all ## a Debian package in build/deb
	@packaging/deb $(VERSION)

clean: ## remove all that was built
	@rm -rf build

-include $(VMM_OBJ:.o=.d) $(RUN_OBJ:.o=.d) $(addsuffix .d,$(UNIT) $(FUZZ:%=$(B)/tests/fuzz/%) $(B)/tests/docs/windows)
