# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# high_memory - 6 GiB: two below the hole, four above 4 GiB, through both doors.
. ./lib.sh

cat >script.sh <<'S'
fact above "$(awk '/System RAM/ && /^1/ {print $1}' /proc/iomem | head -n 1)"
# A file that must reach above 4 GiB would be slow here; a page of it is enough.
dmesg | grep -c 'BUG:' | { read -r n; fact bugs "$n"; }
S
script_disk script.sh script.img
for door in direct uefi; do
	if [ $door = direct ]; then
		boot="kernel: $GUEST/vmlinuz
initramfs: $GUEST/initrd
cmdline: console=ttyS0 quiet"
	else
		boot="firmware: {code: $OVMF/OVMF_CODE_4M.fd, vars: vars.fd}"
	fi
	cat >$door.yaml <<Y
sill: 1
name: $door
guest: linux
$boot
cpus: {boot: 1}
memory: {size: 6G}
disk:
  - {path: $GUEST/disk.img, format: raw}
  - {path: script.img, format: raw, readonly: on, serial: sill-script}
serial: {mode: file, path: $door.out}
Y
	start $door sill run $door.yaml
	assert_exit $door 0
	assert_ok "$door: almost all of 6 GiB" test "$(fact $door mem-total-kib)" -gt 5900000
	assert_eq "$door: RAM above 4 GiB" 100000000-1ffffffff "$(fact $door above)"
	assert_eq "$door: bugs" 0 "$(fact $door bugs)"
done
