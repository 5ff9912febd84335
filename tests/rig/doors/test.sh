# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# doors - the other ways in: an uncompressed vmlinux and CLOUDHV.fd, both through their PVH note.
. ./lib.sh

cat >types.sh <<'S'
fact mtrr "$(dmesg | grep -ciE 'MTRRs disabled|skipping PAT|inconsistent.*MTRR')"
fact pat "$(dmesg | sed -n 's/.*x86\/PAT: Configuration [^:]*: *//p' | tr -s ' ')"
S
script_disk types.sh types.img
cat >vmlinux.yaml <<Y
sill: 1
name: vmlinux
guest: linux
kernel: $GUEST/vmlinux
initramfs: $GUEST/initrd
cmdline: console=ttyS0 quiet
cpus: {boot: 2}
memory: {size: 512M}
disk: [{path: types.img, format: raw, readonly: on, serial: sill-script}]
serial: {mode: file, path: vmlinux.out}
Y
start vmlinux sill run vmlinux.yaml
assert_exit vmlinux 0
assert_eq "vmlinux: vCPUs" 0-1 "$(fact vmlinux cpus-online)"
assert_eq "vmlinux: complaints about MTRRs, on any vCPU" 0 "$(fact vmlinux mtrr)"
assert_contains "vmlinux: the memory types" "$(fact vmlinux pat)" '^WB WC UC- UC WB WP UC- WT'

if [ ! -s "$GUEST/CLOUDHV.fd" ]; then
	echo "skip: no CLOUDHV.fd (tests/guest/build-cloudhv builds it)"
	exit 0
fi
cat >script.sh <<'S'
fact boot "$(counter disk)"
fact complaints "$(dmesg | grep -ciE 'acpi.*(error|warning|exception)|firmware bug|bios bug|BUG:')"
[ "$(cat /data/counter)" -ge 2 ] || restart efi
S
script_disk script.sh script.img
cat >cloudhv.yaml <<Y
sill: 1
name: cloudhv
guest: linux
firmware: {code: $GUEST/CLOUDHV.fd}
cpus: {boot: 2}
memory: {size: 512M}
disk:
  - {path: $GUEST/disk.img, format: raw}
  - {path: script.img, format: raw, readonly: on, serial: sill-script}
serial: {mode: file, path: cloudhv.out}
Y
start cloudhv sill run cloudhv.yaml
assert_exit cloudhv 0
assert_eq "CLOUDHV.fd: firmware" efi "$(fact cloudhv firmware)"
assert_eq "CLOUDHV.fd: vCPUs" 0-1 "$(fact cloudhv cpus-online)"
assert_eq "CLOUDHV.fd: boots, one of them after a reset by the firmware" 2 "$(fact cloudhv boot)"
assert_eq "CLOUDHV.fd: complaints" 0 "$(fact cloudhv complaints)"
assert_eq "CLOUDHV.fd: SMBIOS" Sill "$(fact cloudhv dmi-sys_vendor)"
