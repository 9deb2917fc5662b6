# SPDX-License-Identifier: GPL-2.0-only
# The demo and the tests. Each target sets up all that it needs: packages from
# the configured mirror, kernels and QEMUs from the cache.

out := $(CURDIR)/$(O)
qemu_path = PKG_CONFIG_PATH=$(CURDIR)/$(O)/lib $(rig)/qemu-build \
	--key lib/libxbzrle --key lib/include/xbzrle/xbzrle.h --key uapi

# Modules, one build for each kernel that is booted.

setups := $(addprefix setup-,build rig uml debug tree qemu unit bench lint netlink admin coverage deb deb-check)
.PHONY: $(setups)
$(setups): setup-%:
	@$(rig)/provision $*

.PHONY: rig-modules uml-modules qemu
rig-modules: setup-build setup-rig $(if $(filter 7.%,$(KERNEL)),setup-tree) \
		$(if $(filter debug kcsan,$(KERNEL)),setup-debug)
	@tests/vm/modules $(KERNEL)

uml-modules: setup-build setup-uml
	@tests/vm/modules uml

# The patched QEMU; its path is printed last.
qemu: setup-qemu lib
	@$(qemu_path)

.PHONY: demo
demo: setup-build setup-rig setup-qemu rig-modules lib $(if $(TOP),xbzctl)
	@qemu=$$($(qemu_path)) && \
	tests/e2e/demo --qemu "$$qemu" --kernel $(KERNEL) --out $(O)/demo \
		$(if $(TOP),--top $(TOP))

# Tests. Each part ends with a line 'N passed, N failed, N skipped'; check runs
# all parts whatever fails and ends with the sum of theirs. Those in User Mode
# Linux have one processor: others run beside them, but none that builds the same.

parts := lint fuzz unit+rig interop+kunit device netlink+matrix-short e2e
# More kernels, whole.
matrix := 6.12 7.3 debug kcsan
matrix_parts := kernel-7.3 kernel-debug kernel-6.12 faults+kernel-kcsan

.PHONY: check $(patsubst %,check-%,$(subst +, ,$(parts)))
check:
	@tests/check $(parts)

.PHONY: lint
lint: check-lint

check-lint: setup-lint
	@tests/lint/lint

.PHONY: check-lint-selftest
check-lint-selftest: setup-lint
	@tests/lint/lint --selftest

check-unit: setup-build setup-unit
	@tests/cmocka-run $(MAKE) -s -C tests/unit check O=$(CURDIR)/$(O)/unit

check-fuzz: setup-build setup-unit
	@$(MAKE) -s -C tests/fuzz check O=$(CURDIR)/$(O)/fuzz TIME=60

check-interop: setup-build setup-unit setup-qemu
	@side=$$(tests/bench/qemu-side) && \
	XBZ_QEMU_SIDE=$$side tests/cmocka-run \
		$(MAKE) -s -C tests/unit check-qemu O=$(CURDIR)/$(O)/unit

check-rig: setup-build setup-rig setup-uml
	@$(rig)/selftest

check-kunit: uml-modules
	@tests/kunit/run

check-device: uml-modules rig-modules setup-unit lib
	@tests/device/check --kernel $(KERNEL)

check-netlink: setup-netlink uml-modules xbzctl
	@tests/netlink/check

# Not part of check: it takes minutes, most of them libvirt's.
.PHONY: check-admin
check-admin: setup-admin setup-qemu uml-modules xbzctl lib
	@qemu=$$($(qemu_path)) && tests/admin/check --qemu "$$qemu"

check-e2e: setup-qemu rig-modules lib
	@qemu=$$($(qemu_path)) && \
	tests/e2e/run --qemu "$$qemu" --kernel $(KERNEL)

# More kernels: those of the matrix, whole; and what `check` has of them.
.PHONY: check-matrix check-matrix-short $(matrix:%=check-kernel-%)
check-matrix:
	@tests/check $(matrix_parts)

$(matrix:%=check-kernel-%): check-kernel-%: setup-build setup-rig setup-unit \
		setup-qemu setup-netlink setup-tree setup-debug lib xbzctl
	@qemu=$$($(qemu_path)) && tests/kernels/check $* --qemu "$$qemu"

check-matrix-short: setup-build setup-rig setup-unit setup-tree lib xbzctl
	@tests/kernels/check --short 7.3

# One fault of each class, in the kernel that is there to catch it.
.PHONY: check-faults
check-faults: setup-build setup-rig setup-debug
	@tests/faults/test_faults

.PHONY: coverage
coverage: setup-build setup-unit setup-uml setup-netlink setup-coverage
	@tests/coverage/coverage

# Not part of check: it takes a tree of Debian, and one more QEMU.
.PHONY: check-deb
check-deb: setup-deb-check setup-rig setup-qemu deb
	@tests/deb/test_packages

.PHONY: check-mutation
check-mutation: uml-modules setup-unit lib
	@$(MAKE) -s -C tests/device O=$(out)/device
	@. tests/tally.sh; tally tests/mutation/mutate; tally tests/device/test_grown; tally_end

# Benches. They measure and write build/bench; they assert nothing. BENCH has
# options for tests/bench/codec, such as --help.

.PHONY: bench bench-codec bench-cache bench-device bench-scan bench-queues
bench: bench-codec bench-cache bench-device bench-scan bench-queues

bench-codec: setup-build setup-rig setup-bench lib
	@$(MAKE) -s -C tests/bench O=$(out)/bench LIB=$(out)/lib
	@tests/bench/codec --program $(O)/bench/codec_bench --out $(O)/bench $(BENCH)

bench-cache: setup-build setup-bench lib $(if $(findstring full,$(BENCH)),setup-rig)
	@$(MAKE) -s -C tests/bench O=$(out)/bench LIB=$(out)/lib $(out)/bench/cache_bench
	@tests/bench/cache --program $(O)/bench/cache_bench --out $(O)/bench $(BENCH)

bench-device: uml-modules setup-bench lib
	@$(MAKE) -s -C tests/bench O=$(out)/bench LIB=$(out)/lib
	@tests/bench/device --program $(O)/bench/device_bench --module $(O)/uml/xbzrle.ko \
		--out $(O)/bench $(BENCH)

bench-scan: uml-modules lib
	@$(MAKE) -s -C tests/bench O=$(out)/bench LIB=$(out)/lib
	@tests/bench/scan --program $(O)/bench/scan_bench --modules $(O)/uml \
		--out $(O)/bench $(BENCH)

bench-queues: rig-modules xbzctl
	@release=$$($(rig)/kernel --print release $(KERNEL)) && \
	tests/bench/queues --program $(O)/xbzctl --module $(O)/$$release/xbzrle.ko \
		--kernel $(KERNEL) --out $(O)/bench $(BENCH)
