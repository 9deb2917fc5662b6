# SPDX-License-Identifier: GPL-2.0-only
# Benches. They measure and write build/bench; they assert nothing. BENCH has
# options for tests/bench/codec, such as --help.
.PHONY: bench bench-programs bench-codec bench-cache bench-wire bench-device bench-scan bench-queues bench-cancel \
	bench-images scenarios migrate-table
bench: bench-codec bench-cache bench-wire bench-device bench-scan bench-images bench-queues

bench-programs: setup-build setup-bench lib
	@$(MAKE) -s -C tests/bench O=$(out)/bench LIB=$(out)/lib

bench-codec: bench-programs setup-rig
	@tests/bench/codec --program $(O)/bench/codec_bench --out $(O)/bench $(BENCH)

bench-cache: setup-build setup-bench lib $(if $(findstring full,$(BENCH)),setup-rig)
	@$(MAKE) -s -C tests/bench O=$(out)/bench LIB=$(out)/lib $(out)/bench/cache_bench
	@tests/bench/cache --program $(O)/bench/cache_bench --out $(O)/bench $(BENCH)

bench-wire: setup-build setup-bench lib $(if $(findstring full,$(BENCH)),setup-rig)
	@$(MAKE) -s -C tests/bench O=$(out)/bench LIB=$(out)/lib $(out)/bench/wire_bench
	@tests/bench/wire --program $(O)/bench/wire_bench --out $(O)/bench $(BENCH)

bench-device: bench-programs uml-modules
	@tests/bench/device --program $(O)/bench/device_bench --module $(O)/uml/xbzrle.ko \
		--out $(O)/bench $(BENCH)

bench-scan: bench-programs uml-modules
	@tests/bench/scan --program $(O)/bench/scan_bench --modules $(O)/uml \
		--out $(O)/bench $(BENCH)

bench-images: setup-bench setup-image setup-rig xbzimg
	@tests/bench/images --program $(O)/xbzimg --out $(O)/bench $(BENCH)

bench-queues: rig-modules xbzctl
	@release=$$(tests/vm/kernel --print release $(KERNEL)) && \
	tests/bench/queues --program $(O)/xbzctl --module $(O)/$$release/xbzrle.ko \
		--kernel $(KERNEL) --out $(O)/bench $(BENCH)

bench-cancel: rig-modules uml-modules xbzctl qemu
	@tests/bench/cancel --qemu "$$($(MAKE) -s --no-print-directory qemu | tail -n 1)" \
		--out $(O)/bench $(BENCH)

# Real guests, migrated in every way; QEMU is one that has deltas beside multifd.
scenarios migrate-table: export QEMU := $(or $(QEMU),10.0)
scenarios migrate-table: setup-build setup-bench rig-modules
	@tests/bench/scenarios --qemu "$$($(MAKE) -s --no-print-directory qemu | tail -n 1)" \
		--kernel $(KERNEL) --out $(O) $(if $(findstring table,$@),--migrate-table) $(BENCH)
