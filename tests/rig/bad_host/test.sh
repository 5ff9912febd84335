# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# bad_host - what the host lacks: each its own message and status 3 (2 for the manifest), nothing created.
. ./lib.sh

try() { # WHAT STATUS PATTERN COMMAND...
	local what=$1 want=$2 pattern=$3 status=0 text
	shift 3
	text=$("$@" 2>&1 </dev/null) || status=$?
	assert_eq "$what: exit status" "$want" $status
	assert_contains "$what" "$text" "$pattern"
}
manifest() { # NAME FIRMWARE-AND-MORE
	printf 'sill: 1\nname: %s\nmemory: {size: 128M}\nserial: {mode: null}\n%s\n' "$1" "$2" >"$1.yaml"
}
kernel="kernel: $GUEST/vmlinuz
initramfs: $GUEST/initrd"

manifest none "$kernel"
mv /dev/kvm /dev/kvm.away
try "no /dev/kvm" 3 'kvm' sill run none.yaml
mv /dev/kvm.away /dev/kvm
manifest missing "firmware: {code: /no/such.fd}"
try "missing firmware" 2 'missing.yaml:[0-9]+:[0-9]+: firmware.code' sill run missing.yaml
head -c 100000 "$OVMF/OVMF_CODE_4M.fd" >short.fd
manifest short "firmware: {code: short.fd}"
try "truncated firmware" 2 'short.fd' sill run short.yaml
head -c 4096 /dev/zero >wrong.vars.fd
manifest wrong "firmware: {code: $OVMF/OVMF_CODE_4M.fd, vars: wrong.vars.fd}"
try "variables of the wrong size" 2 'vars' sill run wrong.yaml
: >empty.img
manifest empty "$kernel
disk: [{path: empty.img, format: raw}]"
try "a disk that is empty" 2 'empty.img' sill run empty.yaml
mkdir ramfs
mount -t ramfs ramfs ramfs
truncate -s 1M ramfs/disk.img
manifest indirect "$kernel
disk: [{path: ramfs/disk.img, format: raw, direct: on}]"
try "O_DIRECT where there is none" 2 "indirect.yaml:7:52: disk.0..direct: the file system of '.*/ramfs/disk.img' has no O_DIRECT" \
	sill run indirect.yaml
umount ramfs
manifest huge "$kernel"
sed -i 's/size: 128M/size: 128M, hugepages: on/' huge.yaml
try "huge pages that are not there" 3 'huge' sill run huge.yaml
manifest much "$kernel"
sed -i 's/size: 128M/size: 512G, prefault: on/' much.yaml
try "memory that cannot be had" 3 'memory' sill run much.yaml

# The first VM holds the disk; a second run is told so, by name.
truncate -s 8M locked.img
manifest holder "$kernel
cmdline: console=ttyS0 quiet sill.run64=$(printf 'echo up; sleep 1000' | base64 | tr -d '\n')
disk: [{path: locked.img, format: raw}]"
sed -i 's/mode: null/mode: file, path: holder.out/' holder.yaml
start holder sill run holder.yaml
wait_line holder '^up'
manifest second "$kernel
disk: [{path: locked.img, format: raw}]"
try "a disk that another VM uses" 3 'holder|locked|in use' sill run second.yaml
kill -TERM "$(pid_of holder)"
assert_exit holder 0

# Without root: told to join the group, nothing half-done.
if id nobody >/dev/null 2>&1; then
	chmod 777 .
	chmod 600 /dev/kvm
	try "no permission" 3 'ermission|group' su -s /bin/sh nobody -c "PATH=$PATH sill run $(pwd)/none.yaml"
	chmod 666 /dev/kvm
fi
assert_eq "files nobody asked for" "" "$(ls ./*.tmp* ./.[a-z]* 2>/dev/null)"

# A guest that only ever triple-faults (an ELF whose one instruction is ud2) is stopped after a while.
base64 -d >ud2.elf <<'B'
f0VMRgIBAQAAAAAAAAAAAAIAPgABAAAAxAAQAAAAAABAAAAAAAAAAAAAAAAAAAAAAAAAAEAAOAACAAAAAAAAAAEAAAAHAAAA
AAAAAAAAAAAAABAAAAAAAAAAEAAAAAAAyAAAAAAAAADIAAAAAAAAAAAQAAAAAAAABAAAAAQAAACwAAAAAAAAALAAEAAAAAAA
sAAQAAAAAAAUAAAAAAAAABQAAAAAAAAABAAAAAAAAAAEAAAABAAAABIAAABYZW4AxAAQAA8L9PQ=
B
printf 'sill: 1\nname: ud2\nmemory: {size: 64M}\nserial: {mode: null}\nkernel: ud2.elf\n' >ud2.yaml
try "a guest that cannot go on" 4 'triple-faults' sill run ud2.yaml
try "its registers" 4 'rip [0-9a-f]{16}' sill run ud2.yaml
