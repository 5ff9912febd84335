# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# hotplug_cpus - processors that come and go under a Linux guest: 2, 6, 3; again after a pause, and while paused. By direct
# kernel boot and through OVMF; also after a reset in place, when the guest is asked before it can hear.
. ./lib.sh
. ./ask.sh

script_disk guest.sh script.img

# until N: the VM has N processors, none of which is asked for; the guest's answers come one by one
until_cpus() {
	local is=
	while kill -0 "$(pid_of eng)" 2>/dev/null; do
		is=$(ask cpus 0 | cut -d' ' -f4,5)
		[ "$is" != "$1 0" ] || break
		usleep 200000
	done
	assert_eq "processors, and those asked for" "$1 0" "$is"
}

# come_to BOOT ONLINE: that is what the guest has said last; it passes through others, which may be the same as before
come_to() {
	local is=
	while kill -0 "$(pid_of eng)" 2>/dev/null; do
		is=$(output guest | sed -n 's/^online //p' | tail -n 1)
		[ "$is" != "$1 $2" ] || break
		usleep 200000
	done
	assert_eq "boot, and processors online" "$1 $2" "$is"
}

check() { # BOOT ONLINE COUNT
	come_to "$1" "$2"
	assert_eq "boot $1, $2: those that worked" "$1 $2 $3" "$(fact guest worked)"
	assert_eq "boot $1, $2: counters that stepped back" "$1 $2 0" "$(fact guest backwards)"
	assert_eq "boot $1, $2: complaints" "$1 $2 0" "$(fact guest complaints)"
	assert_eq "boot $1, $2: APIC ids" "$1 $2 $(seq 0 $(($3 - 1)) | tr '\n' ' ')" "$(fact guest ids)"
}

end_guest() {
	echo stop >&5
	assert_exit eng 0
	exec 5>&-
}

scenario() { # WHAT ARG...
	local what=$1
	shift
	engine_run --cpus 2:6 --mem 512 "$@" --disk sill-script:script.img
	check 1 0-1 2
	assert_eq "$what: possible" 0-5 "$(fact guest possible)"
	assert_contains "$what: the guest listens" "$(fact guest listens)" 'enabled'
	assert_eq "$what: 6" "0 6 0 0 1" "$(ask cpus 6 | cut -d' ' -f2,4-)"
	check 1 0-5 6
	assert_eq "$what: 3" 0 "$(result cpus 3)"
	check 1 0-2 3
	until_cpus 3

	assert_eq "$what: pause" 0 "$(result pause)"
	assert_eq "$what: resume" 0 "$(result resume)"
	assert_eq "$what: the same ones again" "0 5 0 0 1" "$(ask cpus 5 | cut -d' ' -f2,4-)"
	check 1 0-4 5

	# while paused: one comes, two go; the guest finds all of it in one look
	assert_eq "$what: pause" 0 "$(result pause)"
	assert_eq "$what: 6 while paused" "0 6 0" "$(ask cpus 6 | cut -d' ' -f2,4,5)"
	assert_eq "$what: 4 while paused" "0 6 2" "$(ask cpus 4 | cut -d' ' -f2,4,5)"
	assert_eq "$what: resume" 0 "$(result resume)"
	check 1 0-3 4
	until_cpus 4

	# a request that the guest cannot hear yet: made again by itself until it does, however long firmware takes, ...
	assert_eq "$what: reset" 0 "$(result reset)"
	assert_eq "$what: 3, too early" 0 "$(result cpus 3)"
	check 2 0-2 3
	until_cpus 3
	if [ "$what" = uefi ]; then
		end_guest
		return
	fi
	assert_eq "$what: 6" 0 "$(result cpus 6)"
	check 2 0-5 6
	# ... or taken by the next reset
	assert_eq "$what: pause" 0 "$(result pause)"
	assert_eq "$what: 2 while paused" "0 6 4" "$(ask cpus 2 | cut -d' ' -f2,4,5)"
	assert_eq "$what: reset while paused" 0 "$(result reset)"
	until_cpus 2
	assert_eq "$what: resume" 0 "$(result resume)"
	check 3 0-1 2
	assert_eq "$what: 6 after it" 0 "$(result cpus 6)"
	check 3 0-5 6
	end_guest
}

scenario direct --kernel "$GUEST/vmlinuz" --initrd "$GUEST/initrd" --cmdline "console=ttyS0 quiet" --hyperv
if long; then
	cp "$OVMF/OVMF_VARS_4M.fd" vars.fd
	scenario uefi --code "$OVMF/OVMF_CODE_4M.fd" --vars vars.fd --disk system:"$GUEST/disk.img"
fi
