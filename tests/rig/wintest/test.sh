# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# wintest - all that tests/efi can see of a machine for Windows, two vCPUs, through OVMF; then again after two
# resets, one of them a triple fault.
. ./lib.sh
. ./rig.sh

wintest vm windows '{boot: 2, max_phys_bits: 40, hyperv: {enforce: on}}' doors=cf9,triple,shutdown \
	msrs=ignore topology=1x2x1x1 crash=on enforce=on
pid=$(pid_of vm)
wait_line vm '^wintest boot 2'
assert_eq "the process after two resets" "$pid" "$(pidof sill)"
wintest_end vm

skips="msr.hwcr-tscfreqsel hotplug.memory"
[ "$SILL_RIG" != emulated ] || skips="$skips cpuid.xsave-size"
wintest_rules vm 60 "$skips"
assert_contains "the log: what the guest said of its crash" "$(cat vm.err)" 'bug check 0xd1000000'
assert_eq "resets in the log" 2 "$(grep -c 'reset (' vm.err)"
assert_contains "the log: why" "$(cat vm.err)" 'triple fault'

# The leaves of this kernel's KVM; others support more or fewer features.
if [ "$SILL_RIG" = emulated ]; then
	output vm | grep '^cpuid 0 4000' >hyperv.seen
	assert_eq "Hyper-V leaves as in hyperv.golden" "$(cat hyperv.golden)" "$(cat hyperv.seen)"
fi
