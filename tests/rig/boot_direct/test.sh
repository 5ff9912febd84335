# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# boot_direct - Debian's kernel without firmware, 1, 2 and 4 vCPUs; a disk written, read back, compared;
# the second run on the same files; nothing to complain about in the kernel's log.
. ./lib.sh

truncate -s 16M scratch.img
cat >script.sh <<'S'
fact nproc "$(nproc)"
dmesg >/tmp/dmesg
fact complaints "$(grep -ciE 'acpi.*(error|warning|exception)|firmware bug|bios bug|BUG:' /tmp/dmesg)"
grep -iE 'acpi.*(error|warning|exception)|firmware bug|bios bug|BUG:' /tmp/dmesg
fact mtrr "$(grep -ciE 'MTRRs disabled|skipping PAT|inconsistent.*MTRR' /tmp/dmesg)"
fact pat "$(sed -n 's/.*x86\/PAT: Configuration [^:]*: *//p' /tmp/dmesg | tr -s ' ')"
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

run() { # NAME CPUS
	cat >"$1.yaml" <<Y
sill: 1
name: $1
guest: linux
kernel: $GUEST/vmlinuz
initramfs: $GUEST/initrd
cmdline: console=ttyS0 quiet
cpus: {boot: $2}
memory: {size: 256M}
disk:
  - {path: script.img, format: raw, readonly: on, serial: sill-script}
  - {path: scratch.img, format: raw, serial: scratch}
serial: {mode: file, path: $1.out}
Y
	start "$1" sill run "$1.yaml"
	assert_exit "$1" 0
	assert_eq "$1: script" 0 "$(output "$1" | sed -n 's/^SILL-GUEST-EXIT //p')"
	assert_eq "$1: vCPUs" "$2" "$(fact "$1" nproc)"
	assert_eq "$1: complaints in the kernel's log" 0 "$(fact "$1" complaints)"
	assert_eq "$1: complaints about MTRRs, on any vCPU" 0 "$(fact "$1" mtrr)"
	assert_contains "$1: the memory types" "$(fact "$1" pat)" '^WB WC UC- UC WB WP UC- WT'
}

script_disk script.sh script.img
run one 1
assert_eq "data read back" "$(fact one wrote)" "$(fact one read-back)"
assert_eq "data in the file" "$(fact one wrote)" \
	"$(dd if=scratch.img bs=1M skip=1 count=8 2>/dev/null | md5sum | cut -c1-32)"
run two 2
assert_eq "second run on the same files" yes "$(fact two second-run)"
assert_eq "data of the first run" "$(fact one wrote)" "$(fact two kept)"
run four 4
assert_eq "KVM's own interface without Hyper-V" KVMKVMKVM "$(fact four hypervisor)"
