# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# The rig's KVM runs guests, and the test guest is good: QEMU boots it here, two vCPUs, direct kernel.
. ./lib.sh

script="counter disk; counter disk; exit 9"
start vm qemu-system-x86_64 -machine q35 -accel kvm -cpu host -smp 2 -m 512 -nodefaults \
	-display none -no-reboot -serial stdio -kernel "$GUEST/vmlinuz" -initrd "$GUEST/initrd" \
	-drive if=none,id=d,format=raw,file="$GUEST/disk.img" -device virtio-blk-pci,drive=d,serial=one \
	-append "console=ttyS0 quiet sill.run64=$(echo "$script" | base64 | tr -d '\n')"

wait_line vm '^SILL-GUEST-READY'
assert_eq "hypervisor" KVMKVMKVM "$(fact vm hypervisor)"
assert_eq "vCPUs" 0-1 "$(fact vm cpus-online)"
assert_eq "disk" "131072 sectors serial one" "$(fact vm disk-vda)"
wait_line vm '^SILL-GUEST-EXIT 9'
assert_contains "the counter" "$(output vm)" '^2$'
assert_exit vm 0
