# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# rig.sh - for the tests in tests/rig that run wintest.efi; beside lib.sh.
#
#	. ./lib.sh
#	. ./rig.sh
#	wintest vm windows '{boot: 2}' doors=cf9,shutdown msrs=ignore
#	wintest_end vm
#	wintest_rules vm 40

# Of what Windows needs, what this host's processor does not have.
host_lacks() {
	local pair lacks=''
	for pair in SSE4.2:sse4_2 POPCNT:popcnt CMPXCHG16B:cx16 LAHF:lahf_lm PREFETCHW:3dnowprefetch \
		NX:nx 1GIB-PAGES:pdpe1gb; do
		grep -m 1 '^flags' /proc/cpuinfo | grep -qw "${pair#*:}" || lacks="$lacks,${pair%:*}"
	done
	# Linux takes it for granted on AMD and shows it; the emulated CPUID has it not.
	[ "$SILL_RIG" != emulated ] || lacks="$lacks,PREFETCHW"
	echo "${lacks#,}"
}

# wintest_manifest NAME GUEST CPUS OPTION...: NAME.yaml; its serial port goes to NAME.out
wintest_manifest() {
	local name=$1 guest=$2 cpus=$3 option strings=''
	shift 3
	for option in "lacks=$(host_lacks)" "$@"; do
		strings="$strings, \"wintest:$option\""
	done
	[ "$SILL_RIG" != emulated ] || strings="$strings, \"wintest:emulated=on\""
	cp esp.img "$name.img"
	truncate -s 1M "$name.data"
	cat >"$name.yaml" <<-Y
		sill: 1
		name: $name
		guest: $guest
		firmware: {code: $OVMF/OVMF_CODE_4M.fd, vars: $name.vars.fd}
		cpus: $cpus
		memory: {size: 512M}
		disk:
		  - {path: $name.img, format: raw, serial: ESP}
		  - {path: $name.data, format: raw, serial: DATA}
		rng: {src: /dev/urandom}
		serial: {mode: file, path: $name.out}
		platform: {oem_strings: [${strings#, }]}
	Y
}

# Ends the test when the firmware goes to its shell instead: it sees no disk.
wintest() {
	wintest_manifest "$@"
	start "$1" sill run "$1.yaml"
	wait_line "$1" '^wintest boot 0|UEFI Interactive Shell'
	output "$1" | grep -q '^wintest boot 0' || exit 1
}

# wintest_end NAME: it leaves by its last door
wintest_end() {
	assert_exit "$1" 0
	assert_contains "$1" "$(output "$1")" '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$'
}

# wintest_rules NAME LEAST [SKIPPED]: each rule is an assertion; at least LEAST hold, and only the rules of
# the list SKIPPED may be skipped.
wintest_rules() {
	local name=$1 line held=0
	output "$name" | grep -E '^(not ok|ok|skip) ' >"$name.rules"
	while read -r line; do
		case $line in
		'ok '*) held=$((held + 1)) && ok "$name: ${line#ok }" ;;
		'not ok '*) not_ok "$name: ${line#not ok }" ;;
		esac
	done <"$name.rules"
	[ $held -ge "$2" ] || not_ok "$name: $held rules hold, at least $2 should"
	line=$(sed -n 's/^skip \([^:]*\):.*/\1/p' "$name.rules" | grep -vxF "$(printf '%s\n' ${3:-none})")
	assert_eq "$name: rules skipped that should not be" '' "$(echo $line)"
	grep '^skip' "$name.rules"
}
