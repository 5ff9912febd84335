# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# topology - what a Linux guest finds of cpus.topology: packages, dies, cores, threads, APIC ids, shared
# caches; against a golden file each, and without a complaint in the kernel's log.
. ./lib.sh

script_disk guest.sh script.img

boot() { # NAME CPUS TOPOLOGY: threads, cores a die, dies a package, packages
	# shellcheck disable=SC2086 # words are meant
	set -- "$1" "$2" $3
	cat >"$1.yaml" <<Y
sill: 1
name: t$1
guest: linux
kernel: $GUEST/vmlinuz
initramfs: $GUEST/initrd
cmdline: console=ttyS0 quiet
cpus:
  boot: $2
  topology: {threads_per_core: $3, cores_per_die: $4, dies_per_package: $5, packages: $6}
memory: {size: 256M}
disk:
  - {path: script.img, format: raw, readonly: on, serial: sill-script}
serial: {mode: file, path: $1.out}
Y
	start "$1" sill run "$1.yaml"
	assert_exit "$1" 0
	assert_eq "$1: complaints in the kernel's log" 0 "$(fact "$1" complaints)"
	output "$1" | sed -n 's/^topology //p' >"$1.got"
	output "$1" | sed -n '/^fact \(online\|possible\|nodes\|packages\) /s/^fact //p' >>"$1.got"
	if [ "$SILL_RIG" = emulated ]; then
		assert_ok "$1: as in the golden file" diff "$1.golden" "$1.got"
	else # caches and who made the processor are the host's
		sed 's/;.*//' "$1.golden" >want
		sed 's/;.*//' "$1.got" >got
		assert_ok "$1: as in the golden file, without caches" diff want got
	fi
	cat "$1.got"
}

boot 2x3x2 12 "2 3 1 2"
if long; then
	boot 1x1 1 "1 1 1 1"
	boot 1x6 6 "1 6 1 1"
	boot 3x1 3 "1 1 1 3"
fi
