# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# boot_direct - Debian's kernel without firmware, 1, 2 and 4 vCPUs; a disk written, read back, compared;
# the second run on the same files, whose console has, in the long form, five readers, one of whom stops; nothing to complain
# about in the kernel's log.
. ./lib.sh

truncate -s 16M scratch.img
cat >script.sh <<'S'
fact nproc "$(nproc)"
dmesg >/tmp/dmesg
fact complaints "$(grep -ciE 'acpi.*(error|warning|exception)|firmware bug|bios bug|BUG:' /tmp/dmesg)"
grep -iE 'acpi.*(error|warning|exception)|firmware bug|bios bug|BUG:' /tmp/dmesg
fact mtrr "$(grep -ciE 'MTRRs disabled|skipping PAT|inconsistent.*MTRR' /tmp/dmesg)"
fact pat "$(sed -n 's/.*x86\/PAT: Configuration [^:]*: *//p' /tmp/dmesg | tr -s ' ')"
# talk WHEN: once somebody says so, as fast as the port takes it; how long that was, in 1/100 s.
talk() {
	local from to rest
	read -r rest </dev/console
	read -r from rest </proc/uptime
	echo "begin $1"
	cat /tmp/lines
	echo "end $1"
	read -r to rest </proc/uptime
	fact "$1" $((${to%.*}${to#*.} - ${from%.*}${from#*.}))
}
kib=$(sed -n 's/.*sill\.talk=\([0-9]*\).*/\1/p' /proc/cmdline)
if [ -n "$kib" ]; then
	# Of a busy host the kernel speaks in between.
	echo 0 >/proc/sys/kernel/watchdog
	dmesg -n 1
	seq 1000001 $((1000000 + kib * 128)) >/tmp/lines
	fact lines "$(md5sum </tmp/lines | cut -c1-32)"
	talk alone
	talk heard
	read -r rest </dev/console
fi
dev=$(disk scratch)
if [ "$(dd if=$dev bs=5 count=1 2>/dev/null)" = hello ]; then
	fact second-run yes
	fact kept "$(dd if=$dev bs=1M skip=1 count=8 2>/dev/null | md5sum | cut -c1-32)"
	exit 0
fi
dd if=/dev/urandom of=/tmp/data bs=1M count=8 2>/dev/null
dd if=/tmp/data of=$dev bs=1M seek=1 conv=fsync 2>/dev/null
printf hello | dd of=$dev conv=fsync,notrunc 2>/dev/null
echo 3 >/proc/sys/vm/drop_caches
fact wrote "$(md5sum </tmp/data | cut -c1-32)"
fact read-back "$(dd if=$dev bs=1M skip=1 count=8 2>/dev/null | md5sum | cut -c1-32)"
S

manifest() { # NAME CPUS WORD SERIAL
	cat >"$1.yaml" <<Y
sill: 1
name: $1
guest: linux
kernel: $GUEST/vmlinuz
initramfs: $GUEST/initrd
cmdline: console=ttyS0 quiet $3
cpus: {boot: $2}
memory: {size: 256M}
disk:
  - {path: script.img, format: raw, readonly: on, serial: sill-script}
  - {path: scratch.img, format: raw, serial: scratch}
serial: $4
Y
}

verdict() { # NAME CPUS
	assert_exit "$1" 0
	assert_eq "$1: script" 0 "$(output "$1" | sed -n 's/^SILL-GUEST-EXIT //p')"
	assert_eq "$1: vCPUs" "$2" "$(fact "$1" nproc)"
	assert_eq "$1: complaints in the kernel's log" 0 "$(fact "$1" complaints)"
	assert_eq "$1: complaints about MTRRs, on any vCPU" 0 "$(fact "$1" mtrr)"
	assert_contains "$1: the memory types" "$(fact "$1" pat)" '^WB WC UC- UC WB WP UC- WT'
}

run() { # NAME CPUS
	manifest "$1" "$2" '' "{mode: file, path: $1.out}"
	start "$1" sill run "$1.yaml"
	verdict "$1" "$2"
}

# reader N: all that the port of "two" has said and will say, until the guest's script has ended
reader() {
	start "reader$1" sill console --read-only --history --expect '^SILL-GUEST-EXIT [0-9]' --within 3600s ./two.sock
}

# What the vCPUs of "two" have had of the processor, in ms
vcpus() {
	local task
	for task in "/proc/$(pid_of two)"/task/*; do
		! grep -q '^vcpu' "$task/comm" || cat "$task/schedstat"
	done | awk '{ ns += $1 } END { printf "%d\n", ns / 1000000 }'
}

go_on() {
	sill console --send '\n' ./two.sock >/dev/null
}

logged() { # PATTERN
	until grep -q "$1" two.log || ! kill -0 "$(pid_of two)"; do usleep 100000; done 2>/dev/null
}

# The console's end is a socket. Of what is printed while five read, four have each byte, and the fifth has the rest of it
# when it goes on.
run_with_readers() {
	local n from alone heard
	manifest two 2 sill.talk=16 '{mode: socket, path: two.sock, log: two.log}'
	start two sill run two.yaml
	logged 'fact lines'
	from=$(vcpus)
	go_on
	logged 'fact alone'
	alone=$(($(vcpus) - from))
	for n in 1 2 3 4 5; do
		reader $n
		wait_line reader$n '^fact alone'
	done
	kill -STOP "$(pid_of reader5)"
	from=$(vcpus)
	go_on
	wait_line reader1 '^fact heard'
	heard=$(($(vcpus) - from))
	assert_lacks "who has stopped" "$(output reader5)" '^fact heard'
	kill -CONT "$(pid_of reader5)"
	wait_line reader5 '^fact heard'
	go_on
	for n in 1 2 3 4 5; do
		assert_exit reader$n 0
		output reader$n | sed -n '/^begin heard/,/^end heard/{/heard/!p}' >heard.$n
		assert_eq "what reader $n has heard" "$(fact reader1 lines)" "$(md5sum <heard.$n | cut -c1-32)"
	done
	seq 1000001 1002048 | diff - heard.1 | head -n 20
	echo "# 16 KiB: with nobody at the port $alone ms of the vCPUs, $(fact reader1 alone)0 ms; with five readers, one of whom" \
		"has stopped, $heard and $(fact reader1 heard)0 ms"
	cp reader1.out two.out
	verdict two 2
}

script_disk script.sh script.img
run one 1
assert_eq "data read back" "$(fact one wrote)" "$(fact one read-back)"
assert_eq "data in the file" "$(fact one wrote)" \
	"$(dd if=scratch.img bs=1M skip=1 count=8 2>/dev/null | md5sum | cut -c1-32)"
if long; then
	run_with_readers
else
	run two 2
fi
assert_eq "second run on the same files" yes "$(fact two second-run)"
assert_eq "data of the first run" "$(fact one wrote)" "$(fact two kept)"
run four 4
assert_eq "KVM's own interface without Hyper-V" KVMKVMKVM "$(fact four hypervisor)"
