# SPDX-License-Identifier: GPL-2.0-only
# The commands a person types. `make help` lists them.
#
# Everything that is built goes to build/; kernels and QEMUs that are built for
# the tests are kept in ~/.cache/xbzrle (or XBZ_CACHE).

SHELL := /bin/bash

# The kernel that `make` builds the module for.
KDIR ?= /lib/modules/$(shell uname -r)/build
# The one that the tests boot: the release's own, or one of Debian's series, as 6.1.
KERNEL ?= own
# The version of QEMU that the tests patch; by default that of the installed one.
QEMU ?=

O := build
sources := Kbuild kmod lib uapi
# V=1 shows the commands of user space, too.
quiet := $(if $(V),,-s)

.PHONY: all module lib xbzctl help clean
all: module lib xbzctl

module:
	@scripts/kmodule $(KDIR) $(O)/native xbzrle.ko $(sources) W=1
	@ln -sf native/xbzrle.ko $(O)/xbzrle.ko
	@echo "built $(O)/xbzrle.ko; to load it: modprobe lz4_compress && insmod $(O)/xbzrle.ko"

lib:
	@$(MAKE) $(quiet) -C lib/libxbzrle O=$(CURDIR)/$(O)/lib

xbzctl: lib
	@$(MAKE) $(quiet) -C tools/xbzctl O=$(CURDIR)/$(O) LIB=$(CURDIR)/$(O)/lib

# Delta images need more libraries than the rest: tests/vm/provision image installs them.
.PHONY: xbzimg
xbzimg: lib
	@$(MAKE) $(quiet) -C tools/xbzimg O=$(CURDIR)/$(O) LIB=$(CURDIR)/$(O)/lib

# All but the module, which needs a kernel: make module installs nothing; and xbzimg.
DESTDIR ?=
PREFIX ?= /usr/local
INSTALL ?= install
sbin := $(DESTDIR)$(PREFIX)/sbin
share := $(DESTDIR)$(PREFIX)/share
# Where Debian's zsh looks: packages have a folder of their own.
zsh := $(share)/zsh/$(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)

.PHONY: install
install: lib xbzctl
	@$(MAKE) $(quiet) -C lib/libxbzrle O=$(CURDIR)/$(O)/lib PREFIX=$(PREFIX) \
		DESTDIR=$(DESTDIR) install
	$(INSTALL) -D -m 0755 $(O)/xbzctl $(sbin)/xbzctl
	$(INSTALL) -D -m 0644 uapi/linux/xbzrle_netlink.h \
		$(DESTDIR)$(PREFIX)/include/linux/xbzrle_netlink.h
	for page in $(filter-out %/xbzimg.1,$(wildcard Documentation/man/*.[0-9])); do \
		$(INSTALL) -D -m 0644 -t $(share)/man/man$${page##*.} $$page || exit; \
	done
	$(INSTALL) -D -m 0644 tools/xbzctl/completion/xbzctl.bash \
		$(share)/bash-completion/completions/xbzctl
	$(INSTALL) -D -m 0644 tools/xbzctl/completion/_xbzctl $(zsh)/_xbzctl
	$(INSTALL) -D -m 0644 config/60-xbzrle.rules \
		$(DESTDIR)/etc/udev/rules.d/60-xbzrle.rules
	sed 's|/usr/sbin|$(PREFIX)/sbin|' config/xbzrle.service > $(O)/xbzrle.service
	$(INSTALL) -D -m 0644 $(O)/xbzrle.service \
		$(DESTDIR)$(PREFIX)/lib/systemd/system/xbzrle.service
	$(INSTALL) -D -m 0644 -t $(share)/doc/xbzrle/examples \
		config/modprobe.conf config/modules-load.conf config/xbzrle.conf
# What an administrator has written there stays.
	[ -e $(DESTDIR)/etc/xbzrle.conf ] || $(INSTALL) -D -m 0644 \
		config/xbzrle.conf $(DESTDIR)/etc/xbzrle.conf

.PHONY: install-xbzimg
install-xbzimg: xbzimg
	$(INSTALL) -D -m 0755 $(O)/xbzimg $(DESTDIR)$(PREFIX)/bin/xbzimg
	$(INSTALL) -D -m 0755 $(O)/nbdkit-xbzimg-plugin.so \
		$(DESTDIR)$$(pkg-config --variable=plugindir nbdkit)/nbdkit-xbzimg-plugin.so
	$(INSTALL) -D -m 0644 -t $(share)/man/man1 Documentation/man/xbzimg.1
	$(INSTALL) -D -m 0644 tools/xbzimg/completion/xbzimg.bash \
		$(share)/bash-completion/completions/xbzimg
	$(INSTALL) -D -m 0644 tools/xbzimg/completion/_xbzimg $(zsh)/_xbzimg

# Debian packages, of all that git tracks.
.PHONY: deb
deb: setup-deb
	@scripts/deb $(O)/deb
	@ls $(O)/deb/*.deb

help:
	@echo 'make            the module (KDIR=...: not for this kernel), libxbzrle, xbzctl'
	@echo 'make xbzimg     delta images: build/xbzimg and its plugin of nbdkit'
	@echo 'make install    all but the module (DESTDIR, PREFIX); install-xbzimg: xbzimg'
	@echo 'make deb        Debian packages of all of it, in build/deb'
	@echo 'make demo       a busy guest, migrated three times; TOP=SECONDS: and xbzctl top'
	@echo 'make clean      removes build/'
	@echo
	@echo 'make check      all tests that a change has to pass; needs root. Its parts:'
	@echo '  make check-PART   lint, image, fuzz, unit, vm, interop, kunit, device,'
	@echo '                netlink, short, e2e'
	@echo 'make check-matrix   the other kernels: check-kernel-NAME for 6.12, 7.3, debug,'
	@echo '                kcsan; check-faults, whether the last two find faults; and'
	@echo '                check-builds, all compilers, headers and arm64'
	@echo 'make fuzz HOURS=N    the fuzzers, each for so long; a minute in check'
	@echo 'make check-deb, check-debian13, check-admin, check-mutation,'
	@echo '                check-lint-selftest: see testing.rst'
	@echo 'make coverage   which lines of kmod/ and lib/ the tests run'
	@echo 'make bench      measures; bench-cache, -cancel, -codec, -device, -images,'
	@echo '                -queues, -scan, -wire'
	@echo 'make scenarios  migrates guests in every way over a slow link; migrate-table'
	@echo '                some of them'
	@echo
	@echo 'KERNEL=NAME     the kernel that tests boot; QEMU=7.2, 10.0 or 10.2 what sends'
	@echo '                for demo and check-e2e; ALL=1: all cases of check-e2e.'
	@echo '                Documentation/testing.rst has all of it'

clean:
	rm -rf $(O)

include tests/tests.mk tests/bench/bench.mk
