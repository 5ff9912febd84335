# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash disable=SC2154
# any_becomes_any - random manifests, one after the other: a VM with a Linux guest that was started from one becomes the
# next. What apply leaves waits for a new start and for nothing else, after which nothing is left; engine and guest see what
# they see of a VM that is started from the second. That one becomes the third. A campaign: SILL_PAIRS of them, SILL_SEED.
. ./lib.sh

modprobe tun
for n in 0 1; do
	/usr/bin/ip tuntap add dev tap$n mode tap
	/usr/bin/ip link set tap$n up
done
{
	cat "$GUEST/initrd"
	echo init | cpio -o -H newc
} >/scratch/initrd
for n in data more last; do
	truncate -s 2M /scratch/${n}1.img
	truncate -s 3M /scratch/${n}2.img
done

# manifest N: it is the VM's from here on
manifest() {
	sed "s|GUEST|$GUEST|" "manifests/$1.yaml" >web.yaml
}

# try WHAT COMMAND...: with status 0; the log has what it says
try() {
	local what=$1 status=0
	shift
	"$@" >answer 2>&1 || status=$?
	sed 's/^/    /' answer
	[ $status -ne 0 ] || return 0
	not_ok "$what: '$*' gave $status" "$(sill logs web | tail -n 20)"
	return 1
}

# What is still to be done: nothing, or the lines of their effects. The log has all.
effects() {
	local status=0
	sill plan web.yaml >plan.out 2>&1 || status=$?
	sed 's/^/    /' plan.out >&2
	case $status in
	0) [ "$(cat plan.out)" = "web: nothing to do" ] || cat plan.out ;;
	2) sed -n 's/^      //p' plan.out ;;
	*) echo "plan gave $status" ;;
	esac
}

# What the guest sees, and the engine: of the latter neither where a device is nor how much memory may still come, which
# is counted from what the VM was started with.
state() {
	asked=$((asked + 1))
	sill console --send "tell $asked\n" --expect "^told $asked\$" --within 300s web | tr -d '\r' | sed -n '/^state /p'
	sill status --json web | tr -d ' \n' |
		sed 's/.*"vcpus":{\([^}]*\),"heard.*"memory":{\([^}]*\),"max.*/engine \1 \2\n/'
}

becomes() { # N
	local left
	manifest "$1"
	effects >/dev/null
	try "$1: becomes" sill apply --yes web.yaml || return
	left=$(effects)
	assert_lacks "$1: what is left" "$left" '^(live|hotplug|refused|plan)'
	if [ -n "$left" ]; then
		try "$1: a new start" sill reboot --now web || return
		try "$1: it is ready" sill up --wait web.yaml || return
		assert_eq "$1: left after a new start" "" "$(effects)"
	fi
	state | sort >became
	try "$1: it ends" sill down --now web || return
	try "$1: a fresh one" sill up --wait web.yaml || return
	state | sort >fresh
	assert_contains "$1: what is seen" "$(cat fresh)" '^state pci'
	assert_eq "$1: what differs from a fresh one" "" "$(diff became fresh)"
}

asked=0
manifest 0
try "it starts" sill up --wait web.yaml
n=1
while [ -e manifests/$n.yaml ]; do
	echo "--- $n"
	becomes $n || {
		sill down --now web
		try "$n: a new one" sill up --wait web.yaml
	}
	n=$((n + 1))
done
sill down --now web
