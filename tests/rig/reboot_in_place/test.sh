# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# reboot_in_place - a guest resets itself through every door there is; the process stays the same.
. ./lib.sh

cat >script.sh <<'S'
n=$(counter "$where")
fact boot "$n"
fact vcpus "$(nproc)"
fact complaints "$(dmesg | grep -ciE 'acpi.*(error|warning|exception)|firmware bug|bios bug|BUG:')"
fact mtrr "$(dmesg | grep -ciE 'MTRRs disabled|skipping PAT|inconsistent.*MTRR')"
i=0
for door in $doors; do
	i=$((i + 1))
	if [ "$i" -eq "$n" ]; then
		echo "boot $n: leaving through $door"
		restart "$door"
	fi
done
S
(echo 'where=disk doors="acpi pci kbd triple"'; cat script.sh) >direct.sh
# How the guest knocks is the same behind firmware; how the firmware takes it is not.
if long; then
	doors="efi triple pci" resets=3
else
	doors=efi resets=1
fi
(echo "where=efi doors='$doors'"; cat script.sh) >uefi.sh
script_disk direct.sh direct.img
script_disk uefi.sh uefi.img

cat >direct.yaml <<Y
sill: 1
name: direct
guest: linux
kernel: $GUEST/vmlinuz
initramfs: $GUEST/initrd
cmdline: console=ttyS0 quiet
cpus: {boot: 2}
memory: {size: 256M}
disk:
  - {path: $GUEST/disk.img, format: raw}
  - {path: direct.img, format: raw, readonly: on, serial: sill-script}
serial: {mode: file, path: direct.out}
Y
start direct sill run direct.yaml
pid=$(pid_of direct)
wait_line direct '^fact boot 5'
assert_eq "the process after four resets" "$pid" "$(pidof sill)"
assert_exit direct 0
assert_eq "resets in the log" 4 "$(grep -c 'reset (' direct.err)"
assert_eq "vCPUs each time" "2 2 2 2 2" "$(output direct | sed -n 's/^fact vcpus //p' | tr '\n' ' ' | sed 's/ $//')"
assert_eq "complaints" "0" "$(output direct | sed -n 's/^fact complaints //p' | sort -u)"

assert_eq "complaints about MTRRs" "0" "$(output direct | sed -n 's/^fact mtrr //p' | sort -u)"

cat >uefi.yaml <<Y
sill: 1
name: uefi
guest: linux
firmware: {code: $OVMF/OVMF_CODE_4M.fd, vars: uefi.vars.fd}
cpus: {boot: 2}
memory: {size: 512M}
disk:
  - {path: $GUEST/disk.img, format: raw}
  - {path: uefi.img, format: raw, readonly: on, serial: sill-script}
serial: {mode: file, path: uefi.out}
Y
start uefi sill run uefi.yaml
pid=$(pid_of uefi)
wait_line uefi "^fact boot $((resets + 1))"
assert_eq "the process after $resets resets through firmware" "$pid" "$(pidof sill)"
assert_exit uefi 0
assert_eq "resets in the log" $resets "$(grep -c 'reset (' uefi.err)"
assert_eq "boots with two vCPUs" $((resets + 1)) "$(output uefi | grep -c '^fact vcpus 2')"
