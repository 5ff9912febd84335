# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# disk_io - every image format and sector size under Debian's fio with verification, over two VMs; discard and
# trim give space back to the host; qemu-img finds the images clean.
. ./lib.sh

cp tools.img /scratch && rm tools.img
cd /scratch || exit 1
truncate -s 24M raw.img rawdirect.img rawthreads.img
head -c 6000000 /dev/urandom >base.img
truncate -s 24M base.img
sill image create --format qcow2 qcow2.img 24M
sill image create --format qcow2 --cluster-size 16K qcow2direct.img 24M
sill image create --format qcow2 --cluster-size 512 --refcount-bits 1 --compat v3 qcow2small.img 24M
sill image overlay --base-format raw base.img qcow2over.img
sill image create --format vhd vhd.img 24M
sill image create --format vhd --subformat fixed vhdfixed.img 24M
sill image create --format vhdx vhdx.img 24M
sill image create --format vhdx --sector-size 4096 vhdx4k.img 24M
sum=$(sha256sum <base.img)

names="raw rawdirect rawthreads qcow2 qcow2direct qcow2small qcow2over vhd vhdfixed vhdx vhdx4k"
manifest() { # NAME
	cat <<Y
sill: 1
name: $1
guest: linux
kernel: $GUEST/vmlinuz
initramfs: $GUEST/initrd
cmdline: console=ttyS0 quiet
cpus: {boot: 2}
memory: {size: 384M}
disk:
  - {path: tools.img, format: raw, readonly: on, serial: tools}
  - {path: $1.script, format: raw, readonly: on, serial: sill-script}
  - {path: raw.img, format: raw, serial: raw}
  - {path: rawdirect.img, format: raw, direct: on, logical_sector_size: 4096, serial: rawdirect}
  - {path: rawthreads.img, format: raw, io: threads, queues: 2, serial: rawthreads}
  - {path: qcow2.img, format: qcow2, queues: 2, serial: qcow2}
  - {path: qcow2direct.img, format: qcow2, direct: on, logical_sector_size: 4096, serial: qcow2direct}
  - {path: qcow2small.img, format: qcow2, cache: writethrough, serial: qcow2small}
  - {path: qcow2over.img, format: qcow2, backing: [{path: base.img, format: raw}], serial: qcow2over}
  - {path: vhd.img, format: vhd, serial: vhd}
  - {path: vhdfixed.img, format: vhd, serial: vhdfixed}
  - {path: vhdx.img, format: vhdx, serial: vhdx}
  - {path: vhdx4k.img, format: vhdx, serial: vhdx4k}
serial: {mode: file, path: $1.out}
Y
}
clean() { # WHEN
	local name
	for name in qcow2 qcow2direct qcow2small qcow2over; do
		assert_ok "$name is clean $1" qemu-img check -q -f qcow2 $name.img
	done
	assert_ok "vhdx is clean $1" qemu-img check -q -f vhdx vhdx.img
	for name in qcow2:qcow2 qcow2:qcow2over vhd:vhd vhdx:vhdx vhdx:vhdx4k; do
		assert_ok "${name#*:} is clean $1, we say" sill image check --format "${name%:*}" "${name#*:}.img"
	done
}

(printf 'write=1 names="%s"\n' "$names"; cat "$OLDPWD/guest.sh") >one.txt
script_disk one.txt one.script
manifest one >one.yaml
start one sill run one.yaml
assert_exit one 0
assert_eq "fio's status" 0 "$(fact one fio)"
assert_eq "disks written and verified" 11 "$(fact one fio-jobs)"
for name in rawdirect qcow2direct vhdx4k; do
	assert_contains "sectors of $name" "$(fact one sectors-$name)" '^4096 '
done
assert_contains "sectors of raw" "$(fact one sectors-raw)" '^512 '
clean "after the first VM"

discard="raw qcow2"
trim="qcow2over rawdirect"
(printf 'write=0 names="%s" discard="%s" trim="%s"\n' "$names" "$discard" "$trim"; cat "$OLDPWD/guest.sh") >two.txt
script_disk two.txt two.script
manifest two >two.yaml
used() {
	du -k "$1.img" | cut -f1
}
raw=$(used raw) qcow2=$(used qcow2)
start two sill run two.yaml
assert_exit two 0
assert_eq "what the first VM wrote, in the second: fio's status" 0 "$(fact two fio)"
assert_eq "disks verified" 11 "$(fact two fio-jobs)"
for name in $discard; do
	assert_eq "blkdiscard of $name" 0 "$(fact two blkdiscard-$name)"
	assert_eq "$name reads as zeroes" yes "$(fact two zeroes-$name)"
done
for name in $trim; do
	assert_eq "fstrim of $name" 1 "$(fact two fstrim-$name)"
done
assert_eq "raw has given space back" yes "$([ "$(used raw)" -lt $((raw / 2)) ] && echo yes)"
assert_eq "qcow2 has given space back" yes "$([ "$(used qcow2)" -lt $((qcow2 / 2)) ] && echo yes)"
assert_eq "rawdirect, trimmed" yes "$([ "$(used rawdirect)" -lt 6000 ] && echo yes)"
assert_eq "the backing file's bytes" "$sum" "$(sha256sum <base.img)"
clean "after the second VM"
