# SPDX-License-Identifier: GPL-2.0-only
# The demo and the tests. Each target sets up all that it needs: packages
# from the configured mirror, kernels and QEMUs from the cache.

export KERNEL QEMU ALL TO HOURS
out := $(CURDIR)/$(O)

setups := $(addprefix setup-,build rig uml debug tree builds qemu unit bench lint netlink image admin coverage deb deb-check)
.PHONY: $(setups)
$(setups): setup-%:
	@tests/vm/provision $*

# What is built for the tests: modules for each kernel that is booted, programs, and the
# patched QEMU, whose path is printed last.
.PHONY: rig-modules uml-modules qemu device-programs unit-programs
rig-modules: setup-build setup-rig $(if $(filter 7.%,$(KERNEL)),setup-tree) \
		$(if $(filter debug kcsan,$(KERNEL)),setup-debug)
	@tests/vm/modules $(KERNEL)

uml-modules: setup-build setup-uml
	@tests/vm/modules uml

qemu: setup-qemu lib
	@PKG_CONFIG_PATH=$(out)/lib tests/vm/qemu-build $(if $(QEMU),--version $(QEMU))

device-programs: setup-build setup-unit lib xbzctl
	@$(MAKE) -s -j$$(nproc) -C tests/device O=$(out)/device
	@$(CC) -Wall -Wextra -Werror -Iuapi -o $(O)/device/example Documentation/example.c

unit-programs: setup-build setup-unit
	@$(MAKE) -s -j$$(nproc) -C tests/unit O=$(out)/unit

# Tests. Of PART+PART the second runs beside the first: User Mode Linux has one
# processor. None runs beside guests that migrate.
parts := lint+image fuzz unit+vm interop+kunit device+device-uml netlink+short e2e
matrix := 6.12 7.3 debug kcsan
more := builds lint-selftest mutation admin deb debian13 faults $(matrix:%=kernel-%)
all_parts := $(subst +, ,$(parts)) $(more)

# tests/check has what they run built, too.
.PHONY: check lint fuzz check-matrix $(all_parts:%=check-%) $(all_parts:%=ready-%)
check:
	@tests/check $(parts)

# Its table is for Documentation/testing.rst.
check-matrix:
	@tests/check kernel-7.3 kernel-debug kernel-6.12 kernel-kcsan+faults builds

lint: check-lint
fuzz: check-fuzz

check-device:
	@tests/check device+device-uml

$(filter-out check-device,$(all_parts:%=check-%)): check-%:
	@tests/check $*

ready-lint ready-lint-selftest: setup-lint
ready-unit: unit-programs
ready-fuzz: setup-build setup-unit setup-uml
	@tests/vm/modules kcov
	@$(MAKE) -s -C tests/fuzz O=$(out)/fuzz
ready-interop: unit-programs setup-qemu
	@$(MAKE) -s -C tests/unit O=$(out)/unit qemu
ready-vm: setup-build setup-rig setup-uml
ready-kunit: uml-modules
ready-device: rig-modules device-programs setup-netlink
ready-device-uml: uml-modules device-programs
ready-netlink: setup-netlink uml-modules xbzctl
	@mkdir -p $(O)/netlink
	@$(CC) -O2 -g -std=gnu11 -Wall -Wextra -Werror -Iuapi -o $(O)/netlink/fuzz \
		tests/netlink/fuzz.c
ready-image: setup-image xbzimg
	@$(MAKE) -s -C tests/image O=$(out)/image LIB=$(out)/lib
ready-short: setup-rig setup-tree device-programs
ready-e2e: qemu rig-modules
ready-builds: setup-build setup-rig setup-unit setup-lint setup-image setup-tree setup-builds
ready-faults: setup-build setup-rig setup-debug
$(matrix:%=ready-kernel-%): setup-rig setup-tree setup-debug device-programs qemu ready-netlink
ready-mutation: uml-modules device-programs unit-programs
ready-admin: setup-admin setup-image qemu uml-modules xbzctl xbzimg
	@mkdir -p $(O)/admin
	@$(CC) -Wall -Wextra -Werror -O2 -shared -fPIC -o $(O)/admin/hostname.so \
		tests/admin/hostname.c
	@tests/guests/build -o $(O)/admin/guest.img --footprint 48M --fill --rate 8000
ready-debian13: setup-deb-check
ready-deb: setup-deb-check setup-rig setup-qemu deb

.PHONY: coverage demo
coverage: setup-build setup-unit setup-uml setup-netlink setup-coverage
	@tests/coverage/coverage

demo: setup-rig rig-modules qemu $(if $(TOP),xbzctl)
	@tests/e2e/demo --qemu "$$($(MAKE) -s --no-print-directory qemu | tail -n 1)" --kernel $(KERNEL) \
		--out $(O)/demo $(if $(TOP),--top $(TOP))
