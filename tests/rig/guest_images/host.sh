# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The test guest's images under plain emulation, without nesting: the kernel with its initramfs, the
# unpacked kernel by PVH, and the GPT disk by firmware, each up to its own power off. Cheap, and it tells
# a broken image from a broken VMM.
set -u
guest=$("$ROOT/tests/guest/build") || exit
failures=0

check() { # WHAT FILE PATTERN
	if grep -q -a -E -e "$3" "$2"; then
		echo "ok - $1: $3"
	else
		echo "NOT OK - $1: no line matches '$3'"
		"$ROOT/tests/why" "$2" 30
		failures=$((failures + 1))
	fi
}

# boot NAME QEMU_OPTION...
boot() {
	local name=$1
	shift
	"$ROOT/tests/patience" qemu-system-x86_64 -machine q35 -accel tcg -cpu max -smp 1 -m 512 -nodefaults \
		-display none -no-reboot "$@" </dev/null 2>"$name.err" | tr -d '\r' >"$name.out"
	echo "$name: QEMU's exit status is ${PIPESTATUS[0]}"
}

append="console=ttyS0 quiet sill.run64=$(echo 'counter cmos; exit 7' | base64 -w0)"
for kernel in vmlinuz vmlinux; do
	boot $kernel -serial stdio -kernel "$guest/$kernel" -initrd "$guest/initrd" -append "$append"
	check $kernel $kernel.out '^fact firmware none$'
	check $kernel $kernel.out '^SILL-GUEST-EXIT 7$'
done

cp /usr/share/OVMF/OVMF_VARS_4M.fd vars.fd
cp --sparse=always "$guest/disk.img" disk.img
cat >script <<'EOF'
set -e
test "$(counter efi)" = 1
test "$(counter efi)" = 2
test "$(counter disk)" = 1
test "$(counter disk)" = 2
modprobe vfat
mkdir -p /tmp/esp
mount -t vfat -o ro /dev/vda1 /tmp/esp
test -s /tmp/esp/EFI/BOOT/BOOTX64.EFI
restart pci
EOF
truncate -s 4096 script
boot uefi -serial stdio \
	-drive if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.fd \
	-drive if=pflash,format=raw,file=vars.fd \
	-drive if=none,id=d,format=raw,file=disk.img -device virtio-blk-pci,drive=d,serial=root \
	-drive if=none,id=s,format=raw,file=script -device virtio-blk-pci,drive=s,serial=sill-script \
	-device virtio-rng-pci -smbios type=11,value="an OEM string"
check uefi uefi.out '^fact firmware efi$'
check uefi uefi.out '^fact dmi-oem_string an OEM string$'
check uefi uefi.out '^fact disk-vda 131072 sectors serial root$'
check uefi uefi.out '^fact rng virtio_rng'
check uefi uefi.out 'reboot: Restarting system'
if grep -q SILL-GUEST-EXIT uefi.out; then
	echo "NOT OK - uefi: the script failed"
	"$ROOT/tests/why" uefi.out 30
	failures=$((failures + 1))
fi
[ $failures -eq 0 ]
