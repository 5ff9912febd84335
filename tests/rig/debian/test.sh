# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# debian - a Debian as its users have it on a qcow2 overlay, from firmware to multi-user and back: its packages
# are as they were packed, what it wrote and flushed is there after a reboot and after kill -9, nothing of it is
# in the base until it is committed, and its own DHCP clients get their lease.
. ./lib.sh

cd /scratch || exit 1
script_disk "$OLDPWD/guest.sh" script.img
tick() {
	echo "# $(cut -d' ' -f1 /proc/uptime) s: $*"
}

manifest() { # NAME BOOT KEYS-OF-THE-DISK CARD
	cat >"$1.yaml" <<Y
sill: 1
name: $1
guest: linux
$2
cpus: {boot: 1}
memory: {size: 512M}
${4:+net: [$4]}
disk:
  - {path: top.qcow2, format: qcow2, backing: [{path: $IMAGE, format: raw}], serial: system$3}
  - {path: script.img, format: raw, readonly: on, serial: sill-script}
serial: {mode: file, path: $1.out}
Y
}
firmware="firmware: {code: $OVMF/OVMF_CODE_4M.fd, vars: debian.vars.fd}"
kernel="kernel: $OLDPWD/vmlinuz
initramfs: $OLDPWD/initrd.img
cmdline: root=LABEL=debian ro quiet console=ttyS0"

# every_boot NAME FIRMWARE
every_boot() {
	assert_eq "$1: systemd's state" running "$(fact "$1" state)"
	assert_eq "$1: units that failed" '' "$(fact "$1" failed)"
	assert_eq "$1: firmware" "$2" "$(fact "$1" firmware)"
	assert_lacks "$1: warnings in the journal" "$(fact "$1" complaints)" \
		'virtio|vd[a-z]|ext4|i/o|blk|acpi|pci|pnp|tty|rtc|efi|fail|warning: cpu:|bug:|oops|segfault'
	assert_eq "$1: complaints about ACPI" '' "$(fact "$1" acpi)"
	echo "# up after $(fact "$1" uptime) s"
}

tick start
assert_ok "an overlay" sill image overlay --base-format raw "$IMAGE" top.qcow2

# --- through the firmware, twice

manifest debian "$firmware"
start debian sill run debian.yaml
tick started
wait_line debian "^now: reboot"
tick first
every_boot debian uefi
assert_eq "boots before" 0 "$(fact debian boots)"
assert_eq "files that are not as they were packed" '' "$(fact debian changed)"
assert_contains "packages" "$(fact debian packages)" '^ ?[0-9]+ ii $'
assert_eq "the EFI system partition" BOOTX64.EFI "$(fact debian esp)"
assert_eq "systemd-boot's variables" 1 "$(fact debian loader)"
for job in direct buffered; do
	assert_eq "fio, $job" 1 "$(fact debian fio-$job)"
done
assert_ok "fstrim gave back $(fact debian fstrim) bytes" test "$(fact debian fstrim)" -gt 20000000

wait_line debian "^flushed 16"
tick flushed
every_boot debian uefi
assert_eq "boots before" 1 "$(fact debian boots)"
assert_eq "pieces after the reboot" 4 "$(fact debian pieces)"
assert_eq "fio finds what it wrote" 1 "$(fact debian fio-direct)"

# --- kill -9 while it writes

kill -9 "$(pid_of debian)"
wait_exit debian
said=$(output debian | sed -n 's/^flushed //p' | tail -n 1)
assert_ok "the overlay after kill -9, we say" sill image check --format qcow2 top.qcow2
qemu-img check -f qcow2 top.qcow2 >check.txt 2>&1
assert_contains "qemu-img's status: clean, or leaks" $? '^[03]$'

modprobe tun
manifest again "$kernel$(long && echo ' sill.long')" '' "{tap: '', dns: [10.0.0.53, 'fd00::53']}"
start again sill run again.yaml
wait_line again '^leases are taken'
sill net status again >status.txt
echo served | nc -l -p 81
assert_exit again 0
tick again
every_boot again none

# By Debian's clients, from Sill
assert_eq "the card's driver" virtio_net "$(fact again card)"
host6=$(sed -n 's|^.* \(fd[0-9a-f:]*\)::1/64.*|\1|p' status.txt | head -n 1)
for client in dhclient networkd; do
	assert_eq "$client's exit status" 0 "$(fact again $client)"
	assert_eq "$client: address" 192.168.249.2/24 "$(fact again $client-address)"
	assert_contains "$client: seconds" "$(fact again $client-seconds)" '^3[56][0-9][0-9]$'
	assert_contains "$client: router" "$(fact again $client-route)" '^192\.168\.249\.1 e'
	assert_contains "$client: name server" "$(fact again $client-dns)" '^10\.0\.0\.53 '
	assert_contains "$client: IPv6" "$(fact again $client-address6)" "^$host6:[0-9a-f:]*/64"
done
assert_contains "status: the lease" "$(cat status.txt)" "192.168.249.2 by DHCP, for (60|5[0-9]) min more"
pieces=$(fact again pieces)
n=1
lost=
while [ $n -le "$said" ]; do
	case " $pieces " in
	*" piece.$n "*) ;;
	*) lost="$lost $n" ;;
	esac
	n=$((n + 1))
done
assert_eq "of $said flushed pieces, those that are lost" '' "$lost"
assert_eq "pieces that are not whole" 0 "$(fact again bad)"
assert_eq "journals that were recovered" 1 "$(fact again recovery)"
if long; then
	assert_eq "files that are not as they were packed" '' "$(fact again changed)"
fi

# --- a boot that leaves nothing

if long; then
	sum=$(sha256sum <top.qcow2)
	manifest gone "$kernel" ', ephemeral: on'
	start gone sill run gone.yaml
	assert_exit gone 0
	tick gone
	every_boot gone none
	assert_eq "the overlay's bytes after an ephemeral boot" "$sum" "$(sha256sum <top.qcow2)"
fi

# --- and what is left of all that

assert_ok "the overlay is clean, we say" sill image check --format qcow2 top.qcow2
assert_ok "the overlay is clean" qemu-img check -q -f qcow2 top.qcow2
long || exit 0
assert_ok "a copy of the base" sill image convert --from raw --to qcow2 "$IMAGE" copy.qcow2
cp top.qcow2 commit.qcow2
assert_ok "another base" sill image rebase --unsafe --backing copy.qcow2 --backing-format qcow2 commit.qcow2
assert_ok "a commit" sill image commit --base copy.qcow2 commit.qcow2
assert_ok "the copy has what the overlay shows" qemu-img compare -q -f qcow2 -F qcow2 top.qcow2 copy.qcow2
assert_ok "the copy is clean" qemu-img check -q -f qcow2 copy.qcow2
assert_ok "as raw" sill image convert --from qcow2 --to raw copy.qcow2 copy.raw
tick compared
assert_ok "ext4 is clean" e2fsck -fn "copy.raw?offset=$(((2048 + 163840) * 512))"
tick end
