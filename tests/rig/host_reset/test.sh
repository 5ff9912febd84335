# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash disable=SC2154
# host_reset - the host is reset while sill apply is half-way: VMs are created, are changed, are started anew. When it is up
# again, sill plan says what is so, and the next apply does it; the second one has nothing to do. With a runtime directory
# that has gone with the host, and with one whose files have stayed. A campaign: this file runs once for each start.
. ./lib.sh

export SILL_RUNTIME_DIR
cd /scratch || exit 1

vm() { # NAME CPUS MAX [MORE DISKS]
	truncate -s 1M "vms/$1.img" "vms/$1.more.img"
	cat >"vms/$1.yaml" <<-Y
		sill: 1
		name: $1
		kernel: ../payload.elf
		cmdline: vmm=sill tests=none exit=hang
		cpus: {boot: $2, max: $3}
		memory: {size: 128M, hotplug_size: 512M}
		vsock: {cid: 3, socket: $1.sock}
		disk:
		  - {id: root, path: $1.img, format: raw}
		  ${4:+- {id: more, path: $1.more.img, format: raw\}}
		serial: tty
		console: off
	Y
}

vms() { # CPUS MAX [MORE DISKS]
	local name
	for name in a b c; do
		vm $name "$@"
	done
}

# reset_at TEXT WORDS...: apply, and when it says this the host is gone
reset_at() {
	local text=$1 line
	shift
	echo "$failures" >failures
	echo "$step" >step
	sync
	sill apply --yes "$@" vms 2>&1 | while read -r line; do
		echo "    $line"
		case $line in *"$text"*) echo b >/proc/sysrq-trigger ;; esac
	done
	not_ok "$step: apply has not said '$text'"
	exit 1
}

# Where its files stay, there are those of VMs that ran.
place() {
	case $1 in
	*-kept) SILL_RUNTIME_DIR=/scratch/run ;;
	*) SILL_RUNTIME_DIR=/run/vms ;;
	esac
	mkdir -p "$SILL_RUNTIME_DIR"
	chmod 700 "$SILL_RUNTIME_DIR"
}

begin() { # STEP
	step=$1
	place "$step"
	case $step in
	create*)
		vms 1 4
		reset_at ": runs"
		;;
	change*)
		vms 1 4
		assert_ok "$step: they run" sill up vms
		vms 3 4 more
		reset_at "disk[more]: added"
		;;
	anew*)
		vms 1 4
		assert_ok "$step: they run" sill up vms
		vms 1 3
		reset_at ": stopped" --allow next-boot,recreate --grace 0
		;;
	esac
}

# The host is up again.
check() { # STEP
	local said status=0 want=1
	place "$1"
	said=$(sill ps)
	assert_lacks "$1: after the reset" "$said" ' running '
	case $1 in
	create-kept | change-kept) assert_contains "$1: what has stayed" "$said" ' crashed ' ;;
	*-kept) ;;
	*) assert_eq "$1: what has stayed" "" "$said" ;;
	esac
	said=$(sill plan vms 2>&1) || status=$?
	assert_eq "$1: plan's status" 2 $status
	assert_eq "$1: will be created" 3 "$(printf '%s\n' "$said" | grep -c 'will be created')"
	said=$(sill apply --yes vms 2>&1)
	assert_contains "$1: apply" "$said" '^3 created, 0 changed, 0 removed, .* 0 failed$'
	assert_eq "$1: plan" "a: nothing to do
b: nothing to do
c: nothing to do" "$(sill plan vms 2>&1)"
	assert_contains "$1: apply again" "$(sill apply --yes vms 2>&1)" '^0 created, 0 changed, 0 removed, .* 0 failed$'
	case $1 in change*) want=3 ;; esac
	assert_contains "$1: its processors" "$(sill status --json b | tr -d ' \n')" "\"vcpus\":{\"present\":$want,"
	assert_ok "$1: they end" sill down --now vms
}

steps="create create-kept change change-kept anew anew-kept"
if [ -e step ]; then
	failures=$(cat failures)
	done=$(cat step)
	check "$done"
	# shellcheck disable=SC2086 # words
	set -- ${steps#*"$done "}
	[ "$done" != "${steps##* }" ] || exit 0
	begin "$1"
else
	mkdir vms
	cp "$SILL_RIG_DIR/payload.elf" .
	begin create
fi
