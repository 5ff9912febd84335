# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# wintest_doors - every way out of the machine that firmware and Windows know, one vCPU, the narrowest address
# width; and what each reset must have undone.
. ./lib.sh

. ./rig.sh

wintest vm windows '{boot: 1, max_phys_bits: 36, hyperv: {reset: on}}' doors=cold,warm,kbd,acpi,hyperv,s5 \
	tests=memory,pci
pid=$(pid_of vm)
wait_line vm '^wintest boot 5'
assert_eq "the process after five resets" "$pid" "$(pidof sill)"
wintest_end vm
wintest_rules vm 18 "hotplug.processors hotplug.memory"
assert_contains "the log: why" "$(cat vm.err)" 'reset by Hyper-V register'
assert_eq "resets in the log" 5 "$(grep -c 'reset (' vm.err)"

# More than the host has is refused, with the place.
wintest_manifest wide windows '{boot: 1, max_phys_bits: 52}' doors=shutdown
if [ "$SILL_RIG" = emulated ]; then # 40 bits
	status=0
	sill run wide.yaml >wide.out 2>wide.err || status=$?
	assert_eq "exit status for 52 address bits" 2 $status
	assert_contains "the message" "$(cat wide.err)" 'max_phys_bits'
fi
