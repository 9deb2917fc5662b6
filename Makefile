# SPDX-License-Identifier: GPL-2.0-only
# The commands a person types. `make help` lists them.
#
# Everything that is built goes to build/; kernels and QEMUs that are built for
# the tests are kept in ~/.cache/xbzrle (or XBZ_CACHE).

SHELL := /bin/bash

# The kernel that `make` builds the module for.
KDIR ?= /lib/modules/$(shell uname -r)/build
# The one that the tests boot.
KERNEL ?= 6.1

O := build
rig := tests/vm
sources := Kbuild kmod lib uapi
# V=1 shows the commands of user space, too.
quiet := $(if $(V),,-s)

.PHONY: all module lib xbzctl help clean
all: module lib xbzctl

module:
	@scripts/kmodule $(KDIR) $(O)/native xbzrle.ko $(sources) W=1
	@ln -sf native/xbzrle.ko $(O)/xbzrle.ko
	@echo "built $(O)/xbzrle.ko; to load it: insmod $(O)/xbzrle.ko"

lib:
	@$(MAKE) $(quiet) -C lib/libxbzrle O=$(CURDIR)/$(O)/lib

xbzctl: lib
	@$(MAKE) $(quiet) -C tools/xbzctl O=$(CURDIR)/$(O) LIB=$(CURDIR)/$(O)/lib

# All but the module, which needs a kernel: make module installs nothing.
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
	for page in Documentation/man/*.[0-9]; do \
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

# Debian packages, of all that git tracks.
.PHONY: deb
deb: setup-deb
	@scripts/deb $(O)/deb
	@ls $(O)/deb/*.deb

help:
	@echo 'make              the module for the running kernel (or KDIR=...), libxbzrle, xbzctl'
	@echo 'make install      libxbzrle, xbzctl, man pages, completion, udev rule, systemd unit,'
	@echo '                  /etc/xbzrle.conf (DESTDIR, PREFIX)'
	@echo 'make deb          Debian packages of all of it, the module by DKMS, in build/deb'
	@echo 'make demo         a busy guest, migrated three times; needs root. TOP=SECONDS: the'
	@echo '                  last time alone, held up for so long, and xbzctl top on it'
	@echo 'make check        all tests; needs root'
	@echo 'make lint         only the static checks'
	@echo 'make check-unit   only those of lib/, here'
	@echo 'make check-kunit  only those inside the module, in User Mode Linux'
	@echo 'make check-device only those of /dev/xbzrle, in User Mode Linux and with KVM'
	@echo 'make check-netlink only those of the netlink family and of xbzctl'
	@echo 'make check-e2e    only those that migrate a guest'
	@echo 'make check-rig    only those of the rig that boots kernels'
	@echo 'make check-fuzz   only the fuzzers, a minute each'
	@echo 'make check-interop  only the codec against that of QEMU'
	@echo 'make check-matrix all of that on 6.12 and 7.3 and in kernels with checkers'
	@echo 'make check-matrix-short  what make check has of that'
	@echo 'make check-kernel-NAME  only on one of them: 6.12, 7.3, debug, kcsan'
	@echo 'make check-faults whether those with checkers catch faults on purpose'
	@echo 'make check-deb    the packages, in a fresh Debian tree that is booted'
	@echo 'make check-mutation  breaks each invariant on purpose and sees a test fail'
	@echo 'make coverage     which lines of kmod/ and lib/ the tests run'
	@echo 'make bench        all benches; not tests: they measure and assert nothing'
	@echo 'make bench-codec  our encoder and decoder against QEMU'"'"'s, on one core'
	@echo 'make bench-cache  the cache on traces of real guests, against QEMU'"'"'s'
	@echo 'make bench-device the module in User Mode Linux against both'
	@echo 'make bench-scan   what a large and mostly clean region costs'
	@echo 'make bench-queues two queues against one, on two processors'
	@echo 'make check-lint-selftest  gives each static check something to find'
	@echo 'make clean        removes build/'

clean:
	rm -rf $(O)

include tests/tests.mk
