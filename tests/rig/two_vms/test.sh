# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# two_vms - two VMs at once, one disk shared for reading, each with a disk of its own; SIGTERM stops one.
. ./lib.sh

printf 'shared' | dd of=shared.img bs=1M count=1 conv=sync 2>/dev/null
cat >script.sh <<'S'
fact shared "$(dd if="$(disk shared)" bs=6 count=1 2>/dev/null)"
fact serials "$(for f in /sys/block/vd*/serial; do cat "$f"; echo; done | grep . | sort | tr '\n' ' ')"
printf 'mine' | dd of="$(disk own)" conv=fsync 2>/dev/null
echo ready
if [ "$(cat /sys/class/dmi/id/product_serial)" = first ]; then
	sleep 1000
fi
S
script_disk script.sh script.img
for n in first second; do
	truncate -s 4M $n.img
	cat >$n.yaml <<Y
sill: 1
name: $n
guest: linux
kernel: $GUEST/vmlinuz
initramfs: $GUEST/initrd
cmdline: console=ttyS0 quiet
memory: {size: 192M}
disk:
  - {path: script.img, format: raw, readonly: on, serial: sill-script}
  - {path: shared.img, format: raw, readonly: on, serial: shared}
  - {path: $n.img, format: raw, serial: own}
serial: {mode: file, path: $n.out}
platform: {serial_number: $n}
Y
	start $n sill run $n.yaml
done
wait_line first '^ready'
assert_exit second 0
assert_eq "second reads the shared disk" shared "$(fact second shared)"
assert_eq "serials" "own shared sill-script" "$(fact second serials | sed 's/ *$//')"
assert_eq "second wrote its own" mine "$(head -c 4 second.img)"
kill -TERM "$(pid_of first)"
assert_exit first 0
assert_eq "first wrote its own" mine "$(head -c 4 first.img)"
