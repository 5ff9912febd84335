# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# wintest_smp - processors in other numbers and arrangements: 1x6 with unknown MSRs that fault, 2x3x2, and one
# alone.
. ./lib.sh

. ./rig.sh

groups=cpuid,msr,acpi
wintest six linux '{boot: 6, kvm_hyperv: on, max_phys_bits: 39, topology: {cores_per_die: 6}}' \
	doors=s5-0 tests=$groups,hyperv msrs=fault topology=1x6x1x1
wintest_end six
wintest_rules six 40 "hotplug.memory msr.hwcr-tscfreqsel cpuid.xsave-size hv.enforced-msrs acpi.vmgenid"

wintest twelve windows '{boot: 12, max_phys_bits: 36, topology: {threads_per_core: 2, cores_per_die: 3,
  packages: 2}}' doors=port600 tests=$groups msrs=ignore topology=2x3x1x2
wintest_end twelve
wintest_rules twelve 25 "hotplug.memory msr.hwcr-tscfreqsel cpuid.xsave-size"
