# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# What a Linux guest with two vCPUs makes of the enlightenments; twice, with a reset in place in between.
n=$(counter cmos)
dmesg >/tmp/dmesg
said() { # PATTERN: how often the kernel said it
	grep -c -E -e "$1" /tmp/dmesg
}
interrupts() { # NAME: on CPU 0 and 1
	sed -n "s/^ *$1: *\([0-9]*\) *\([0-9]*\) .*/\1 \2/p" /proc/interrupts
}
fact "detected$n" "$(sed -n 's/.*Hypervisor detected: //p' /tmp/dmesg)"
fact "flags$n" "$(sed -n 's/.*Hyper-V: privilege flags //p' /tmp/dmesg)"
fact "ipi$n" "$(said 'Hyper-V: Using IPI hypercalls')"
fact "apic$n" "$(said 'Hyper-V: Using enlightened APIC')"
fact "flush$n" "$(said 'Hyper-V: Using hypercall for remote TLB flush')"
fact "complaints$n" "$(said 'acpi.*(rror|arning)|[Ff]irmware [Bb]ug|BUG:|Failed to get TSC|unsynchronized')"
fact "clock$n" "$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
fact "hvs$n" "$(interrupts HVS)"
fact "loc$n" "$(interrupts LOC)"
# Both processors touch the same memory map: flushes and interrupts for each other.
for i in 1 2 3 4 5 6 7 8; do
	taskset $((i % 2 + 1)) dd if=/dev/zero of=/dev/null bs=64k count=20 2>/dev/null &
done
wait
for leaf in 0 1 2 3 4 5; do
	a=$(taskset 1 hw cpuid 0x4000000$leaf)
	b=$(taskset 2 hw cpuid 0x4000000$leaf)
	echo "leaf$n 4000000$leaf $a"
	[ "$a" = "$b" ] || fact "leaf-differs$n" "4000000$leaf: $a, $b"
done
fact "kvm-leaf$n" "$(hw cpuid 0x40000100)"
fact "done$n" yes
[ "$n" -ge 2 ] || restart acpi
