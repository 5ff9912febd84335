# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# boot_uefi - the distribution's OVMF starts Linux from the EFI system partition of a GPT disk, 2 vCPUs;
# a variable that Linux writes is there after the process has ended; tables go through iasl.
. ./lib.sh

truncate -s 8M tables.img
cat >script.sh <<'S'
dmesg >/tmp/dmesg
grep -iE 'acpi.*(error|warning|exception)|firmware bug|bios bug|BUG:' /tmp/dmesg >/tmp/bad
fact complaints "$(wc -l </tmp/bad)"
cat /tmp/bad
fact boots "$(counter efi)"
fact osc "$(sed -n 's/.*_OSC: OS now controls *//p' /tmp/dmesg | tr -d '\n')"
fact power-button "$(grep -c PWRF /tmp/dmesg)"
fact sci "$(sed -n 's/^ *9: *//p' /proc/interrupts | grep -c acpi)"
tar -cf "$(disk tables)" -C /sys/firmware/acpi tables 2>/dev/null
sync
S
script_disk script.sh script.img

cat >uefi.yaml <<Y
sill: 1
name: uefi
guest: linux
firmware: {code: $OVMF/OVMF_CODE_4M.fd, vars: uefi.vars.fd}
cpus: {boot: 2}
memory: {size: 512M}
disk:
  - {path: $GUEST/disk.img, format: raw}
  - {path: script.img, format: raw, readonly: on, serial: sill-script}
  - {path: tables.img, format: raw, serial: tables}
serial: {mode: file, path: uefi.out}
platform: {uuid: 6f1d2b3c-0102-4304-8506-0708090a0b0c, serial_number: S-1234, oem_strings: [hello]}
Y
assert_ok "the manifest is right" sill validate uefi.yaml
start uefi sill run uefi.yaml
assert_exit uefi 0
assert_eq "firmware" efi "$(fact uefi firmware)"
assert_eq "vCPUs" 0-1 "$(fact uefi cpus-online)"
assert_eq "complaints in the kernel's log" 0 "$(fact uefi complaints)"
assert_eq "uuid" 6f1d2b3c-0102-4304-8506-0708090a0b0c "$(fact uefi dmi-product_uuid)"
assert_eq "serial number" S-1234 "$(fact uefi dmi-product_serial)"
assert_eq "OEM string" hello "$(fact uefi dmi-oem_string)"
assert_eq "power button" 1 "$(fact uefi power-button)"
assert_eq "ACPI interrupt" 1 "$(fact uefi sci)"
assert_eq "boots counted in an EFI variable" 1 "$(fact uefi boots)"
assert_eq "size of the variable store" "$(stat -c %s "$OVMF/OVMF_VARS_4M.fd")" "$(stat -c %s uefi.vars.fd)"

mkdir -p acpi && tar -xf tables.img -C acpi
for t in DSDT FACP APIC MCFG SPCR WAET FACS; do
	assert_ok "table $t is there" test -s acpi/tables/$t
done
for t in acpi/tables/[A-Z]*; do
	[ -f "$t" ] || continue
	case ${t##*/} in
	BGRT | FPDT) continue ;; # the firmware's own
	esac
	iasl -d "$t" >iasl.log 2>&1
	assert_lacks "iasl on ${t##*/}" "$(cat iasl.log)" '(error|warning|invalid|unknown|checksum)'
done
assert_ok "the DSDT compiles again" iasl -ve acpi/tables/DSDT.dsl

start uefi sill run uefi.yaml
assert_exit uefi 0
assert_eq "boots counted, in a new process" 2 "$(fact uefi boots)"
