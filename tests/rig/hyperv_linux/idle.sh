# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# idle.sh - exits a second of an idle guest, with and without enlightenments, from KVM's own statistics.
# Facts for the log, no verdict: how idle a guest is depends on its kernel and on this machine's load.
# To be sourced by test.sh, after trace.sh.

IDLE=10

cat >idle-guest.sh <<'S'
usleep 3000000 # the last of the boot
echo "idle begins"
usleep 60000000
S
script_disk idle-guest.sh idle.img

now_ms() {
	awk '{ print int($1 * 1000) }' /proc/uptime
}

# idle_exits NAME KVM_HYPERV: exits a second, over IDLE seconds
idle_exits() {
	cat >"$1.yaml" <<Y
sill: 1
name: $1
guest: linux
kernel: $GUEST/vmlinuz
initramfs: $GUEST/initrd
cmdline: console=ttyS0 quiet
cpus: {boot: 2, kvm_hyperv: $2}
memory: {size: 256M}
disk:
  - {path: idle.img, format: raw, readonly: on, serial: sill-script}
serial: {mode: file, path: $1.out}
Y
	start "$1" sill run "$1.yaml"
	wait_line "$1" '^idle begins'
	exits=$(cat "/sys/kernel/debug/kvm/$(pid_of "$1")"-*/exits)
	since=$(now_ms)
	trace_clear
	sleep $IDLE # the time over which is counted
	exits=$(($(cat "/sys/kernel/debug/kvm/$(pid_of "$1")"-*/exits) - exits))
	since=$(($(now_ms) - since))
	kill "$(pid_of "$1")"
	wait_exit "$1" || :
	rate=$((exits * 1000 / since))
	echo "$1: $exits exits in $since ms, $rate a second; by reason:"
	grep hitcount "$TRACING/kvm_exit/hist" | tail -n 6
}

if [ -n "$traced" ]; then
	idle_exits idle-hyperv on
	with=$rate
	idle_exits idle-plain off
	echo "fact idle-exits-per-second-hyperv $with"
	echo "fact idle-exits-per-second-plain $rate"
	awk "BEGIN { printf \"fact idle-exits-ratio %.2f\\n\", $with / ($rate ? $rate : 1) }"
fi
