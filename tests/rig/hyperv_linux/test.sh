# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# hyperv_linux - a Linux guest that sees "Microsoft Hv" uses what we advertise: TSC page, synthetic timers,
# hypercalls for interrupts and TLB flushes; the same after a reset in place. What the guest says it uses
# is held against what KVM saw it do.
. ./lib.sh
. ./trace.sh

script_disk guest.sh script.img
cat >hv.yaml <<Y
sill: 1
name: hv
guest: linux
kernel: $GUEST/vmlinuz
initramfs: $GUEST/initrd
cmdline: console=ttyS0 quiet
cpus: {boot: 2, kvm_hyperv: on}
memory: {size: 256M}
disk:
  - {path: script.img, format: raw, readonly: on, serial: sill-script}
serial: {mode: file, path: hv.out}
Y

traced=yes
trace_start || traced=
[ -n "$traced" ] || echo "no KVM trace events on this host: what the guest did is taken from its own words"
clocksource=$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)
echo "this host's clock is $clocksource"

check_use() { # BOOT: what KVM saw
	[ -n "$traced" ] || return 0
	assert_ok "boot $1: interrupts by hypercall" [ "$(($(hypercalls 0x0b) + $(hypercalls 0x15)))" -gt 50 ]
	assert_ok "boot $1: TLB flushes by hypercall" [ "$(($(hypercalls 2) + $(hypercalls 3) +
		$(hypercalls 0x13) + $(hypercalls 0x14)))" -gt 5 ]
	assert_ok "boot $1: synthetic timer 0 armed" [ "$(msr_writes 0x400000b1)" -gt 100 ]
	if [ "$clocksource" = tsc ]; then
		assert_eq "boot $1: reads of the reference counter, because the TSC page serves" 0 \
			"$(msr_reads 0x40000020)"
	else
		echo "boot $1: KVM keeps no master clock on $clocksource, so the TSC page is off:" \
			"$(msr_reads 0x40000020) reads of the reference counter"
	fi
	assert_eq "boot $1: frequencies asked once a processor or less, then never calibrated" yes \
		"$([ "$(msr_reads 0x40000022)" -le 4 ] && [ "$(msr_reads 0x40000022)" -ge 1 ] && echo yes)"
}

start hv sill run hv.yaml
wait_line hv '^fact done1'
check_use 1
[ -z "$traced" ] || trace_clear
wait_line hv '^fact done2'
check_use 2
assert_exit hv 0
assert_eq "resets" 1 "$(grep -c 'reset (' hv.err)"

for n in 1 2; do
	assert_eq "boot $n: detected" "Microsoft Hyper-V" "$(fact hv detected$n)"
	assert_eq "boot $n: clock source" hyperv_clocksource_tsc_page "$(fact hv clock$n)"
	assert_eq "boot $n: IPI hypercalls" 1 "$(fact hv ipi$n)"
	# the emulated processor has no AVIC
	[ "$SILL_RIG" != emulated ] || assert_eq "boot $n: interrupts acknowledged on the assist page" 1 "$(fact hv apic$n)"
	assert_eq "boot $n: remote TLB flush by hypercall" 1 "$(fact hv flush$n)"
	assert_eq "boot $n: complaints" 0 "$(fact hv complaints$n)"
	assert_contains "boot $n: synthetic timer interrupts on both CPUs" "$(fact hv hvs$n)" \
		'^[1-9][0-9]+ [1-9][0-9]+$'
	assert_eq "boot $n: local APIC timer interrupts" "0 0" "$(fact hv loc$n)"
	assert_eq "boot $n: leaves that differ between the vCPUs" "" "$(fact hv leaf-differs$n)"
	assert_lacks "boot $n: KVM's own leaves" "$(fact hv kvm-leaf$n)" 4b4d564b
	output hv | sed -n "s/^leaf$n //p" >leaves$n
done
assert_ok "leaves after the reset" cmp leaves1 leaves2
if [ "$SILL_RIG" = emulated ]; then
	assert_ok "leaves as in the golden file" diff leaves.golden leaves1
else
	echo "another kernel may support more than the rig's: the golden file is not compared"
	cat leaves1
fi

. ./idle.sh
