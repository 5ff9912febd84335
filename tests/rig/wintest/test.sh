# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# wintest - all that tests/efi can see of a machine for Windows, two vCPUs, through OVMF; then again after two
# resets, one of them a triple fault.
. ./lib.sh
. ./rig.sh

cpus='{boot: 2, max_phys_bits: 40'
enforce=off
if sill explain cpus.hyperv.enforce >/dev/null 2>&1; then
	cpus="$cpus, hyperv: {enforce: on}"
	enforce=on
fi
wintest vm windows "$cpus}" doors=cf9,triple,shutdown msrs=ignore topology=1x2x1x1 crash=on enforce=$enforce
pid=$(pid_of vm)
wait_line vm '^wintest boot 2' 300
assert_eq "the process after two resets" "$pid" "$(pidof sill)"
wintest_end vm 120

skips="msr.hwcr-tscfreqsel"
[ "$SILL_RIG" != emulated ] || skips="$skips cpuid.xsave-size"
[ $enforce = on ] || skips="$skips hv.enforced-msrs"
wintest_rules vm 60 "$skips"
assert_contains "the log: what the guest said of its crash" "$(cat vm.err)" 'crash'
assert_eq "resets in the log" 2 "$(grep -c 'reset (' vm.err)"
assert_contains "the log: why" "$(cat vm.err)" 'triple fault'

# The leaves of this kernel's KVM; others support more or fewer features.
if [ "$SILL_RIG" = emulated ]; then
	output vm | grep '^cpuid 0 4000' >hyperv.seen
	assert_eq "Hyper-V leaves as in hyperv.golden" "$(cat hyperv.golden)" "$(cat hyperv.seen)"
fi
