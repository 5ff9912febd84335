# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# hotplug_memory - memory that comes and goes under a Linux guest: 1 GiB, 2, and back with data in it; after a pause,
# while paused, after a reset in place; and a balloon. By direct kernel boot and through OVMF. And the same by
# virtio-mem.
. ./lib.sh
. ./ask.sh

script_disk guest.sh script.img

until_memory() { # MIB: the VM has so much, of which nothing is asked for
	local is=
	while kill -0 "$(pid_of eng)" 2>/dev/null; do
		is=$(ask memory 0 | cut -d' ' -f4,5)
		[ "$is" != "$1 0" ] || break
		usleep 200000
	done
	assert_eq "MiB of memory, and of it asked for" "$1 0" "$is"
}

# In numbers of 1 MiB: so large, of which the guest has given so much.
until_balloon() { # MIB
	local is=
	while kill -0 "$(pid_of eng)" 2>/dev/null; do
		is=$(ask balloon asked | cut -d' ' -f4,5)
		[ "$is" != "$1 $1" ] || break
		usleep 200000
	done
	assert_eq "MiB of balloon, and what it has" "$1 $1" "$is"
}

# Of a guest with 1 GiB that has nothing to do.
balloon() { # WHAT
	local before told=0
	before=$(ask balloon asked | cut -d' ' -f6)
	assert_eq "$1: a balloon of more than all" -1 "$(result balloon 1025)"
	assert_eq "$1: a balloon of 512 MiB" 0 "$(result balloon 512)"
	until_balloon 512
	assert_ok "$1: the host has it" [ "$(ask balloon asked | cut -d' ' -f6)" -ge $((before + 512)) ]
	assert_eq "$1: a smaller one" 0 "$(result balloon 64)"
	until_balloon 64
	assert_eq "$1: none" 0 "$(result balloon 0)"
	until_balloon 0
	while kill -0 "$(pid_of eng)" 2>/dev/null && [ "$told" = 0 ]; do
		told=$(ask balloon asked | cut -d' ' -f7)
		usleep 200000
	done
	assert_ok "$1: the guest says that it has $told MiB" [ "$told" -gt 256 ]
	assert_ok "$1: which is less than 1024" [ "$told" -lt 1024 ]
}

check() { # BOOT MIB [COUNT]: the guest has so much, for the COUNTth time in this boot
	wait_line guest "^memory $1 $2" "" "${3:-1}"
	assert_eq "boot $1, $2 MiB: complaints" "$1 $2 0" "$(fact guest complaints)"
	set -- "$1" "$2" "$(fact guest total | cut -d' ' -f3)"
	assert_ok "boot $1: $3 of $2 MiB are to be had" [ "$3" -gt $(($2 - 160)) ]
}

scenario() { # WHAT ARG...
	local what=$1
	shift
	engine_run --cpus 2 --mem 1024:2048 "$@" --disk sill-script:script.img
	check 1 1024
	[ "$what" != direct ] || balloon "$what"
	assert_contains "$what: the guest listens" "$(fact guest listens)" 'enabled'
	assert_eq "$what: the area is announced" 1 "$(fact guest hotplug-area)"
	assert_eq "$what: less than at the start" -1 "$(result memory 896)"
	assert_eq "$what: 64 MiB" -1 "$(result memory 1088)"
	assert_eq "$what: more than there can be" -1 "$(result memory 3200)"
	assert_eq "$what: 128 MiB more" "0 1152 0 0 1" "$(ask memory 1152 | cut -d' ' -f2,4-)"
	check 1 1152
	assert_eq "$what: 2 GiB" "0 2048 0 0 1" "$(ask memory 2048 | cut -d' ' -f2,4-)"
	check 1 2048
	# shellcheck disable=SC2046 # words are meant
	set -- $(fact guest movable)
	assert_ok "$what: the data is in what came ($*: pages, free; pages, free)" [ $(($2 - $4)) -gt 40000 ]
	assert_eq "$what: pause" 0 "$(result pause)"
	assert_eq "$what: resume" 0 "$(result resume)"

	assert_eq "$what: without the second piece" "0 2048 896" "$(ask memory 1152 | cut -d' ' -f2,4,5)"
	check 1 1152 2
	until_memory 1152
	assert_eq "$what: the data in what is left" "$(fact guest data)" "$(fact guest kept | cut -d' ' -f3)"

	assert_eq "$what: pause" 0 "$(result pause)"
	assert_eq "$what: 1 GiB more while paused" "0 2176 0" "$(ask memory 2176 | cut -d' ' -f2,4,5)"
	assert_eq "$what: resume" 0 "$(result resume)"
	check 1 2176
	assert_eq "$what: the data" "$(fact guest data)" "$(fact guest kept | cut -d' ' -f3)"

	assert_eq "$what: reset" 0 "$(result reset)"
	check 2 2176
	assert_eq "$what: at boot" "2 2176" "$(fact guest start)"
	assert_eq "$what: more after it" 0 "$(result memory 2304)"
	check 2 2304
	assert_eq "$what: and without it" 0 "$(result memory 2176)"
	check 2 2176 2
	until_memory 2176
	assert_eq "$what: what the reset has made memory like any other" "0 2176 1024" \
		"$(ask memory 1152 | cut -d' ' -f2,4,5)"
	assert_eq "$what: reset" 0 "$(result reset)"
	until_memory 1152
	check 3 1152
	assert_eq "$what: at boot" "3 1152" "$(fact guest start)"
	echo stop >&5
	assert_exit eng 0
	exec 5>&-
}

total() { # MiB that the guest's kernel had at its last look
	fact guest total | cut -d' ' -f3
}

resident() { # MiB that the VM has of the host's memory
	awk '$1 == "VmRSS:" { print int($2 / 1024) }' "/proc/$(pid_of eng)/status"
}

# In blocks of 2 MiB, of which the guest gives back what it can; the host has these at once. A reset takes all, and the
# guest, when it has its driver, what is wanted.
by_device() {
	local what=virtio-mem before
	engine_run --cpus 2 --mem 1024:2048:virtio-mem "$@" --disk sill-script:script.img
	check 1 1024
	assert_eq "$what: the area is announced" 1 "$(fact guest hotplug-area)"
	assert_eq "$what: less than at the start" -1 "$(result memory 1022)"
	assert_eq "$what: 1 MiB" -1 "$(result memory 1025)"
	assert_eq "$what: more than there can be" -1 "$(result memory 3074)"
	before=$(total)
	assert_eq "$what: 66 MiB more" 0 "$(result memory 1090)"
	until_memory 1090
	wait_line guest '^memory 1 1152' # so many blocks of Linux's are there, one of them in part
	assert_eq "$what: MiB that have come" 66 $(($(total) - before))
	assert_eq "$what: 2 GiB" 0 "$(result memory 2048)"
	check 1 2048
	until_memory 2048
	# shellcheck disable=SC2046 # words are meant
	set -- $(fact guest movable)
	assert_ok "$what: the data is in what came ($*: pages, free; pages, free)" [ $(($2 - $4)) -gt 40000 ]

	before=$(resident)
	assert_eq "$what: without all that came" 0 "$(result memory 1024)"
	check 1 1024 2
	until_memory 1024
	assert_eq "$what: the data in what is left" "$(fact guest data)" "$(fact guest kept | cut -d' ' -f3)"
	set -- "$before" "$(resident)"
	assert_ok "$what: the host has it ($1 MiB before, $2 after)" [ $(($1 - $2)) -gt 64 ]

	assert_eq "$what: pause" 0 "$(result pause)"
	assert_eq "$what: 512 MiB more while paused" "0 1024 0" "$(ask memory 1536 | cut -d' ' -f2,4,5)"
	assert_eq "$what: resume" 0 "$(result resume)"
	check 1 1536
	until_memory 1536
	assert_eq "$what: the data" "$(fact guest data)" "$(fact guest kept | cut -d' ' -f3)"

	assert_eq "$what: reset" 0 "$(result reset)"
	check 2 1536
	until_memory 1536
	assert_eq "$what: at boot" "2 1024" "$(fact guest start)"
	assert_eq "$what: and without it" 0 "$(result memory 1024)"
	until_memory 1024
	check 2 1024
	echo stop >&5
	assert_exit eng 0
	exec 5>&-
}

direct() { # SCENARIO...
	"$@" --kernel "$GUEST/vmlinuz" --initrd "$GUEST/initrd" --cmdline "console=ttyS0 quiet"
}

direct scenario direct --balloon
direct by_device
if long; then
	cp "$OVMF/OVMF_VARS_4M.fd" vars.fd
	scenario uefi --code "$OVMF/OVMF_CODE_4M.fd" --vars vars.fd --disk system:"$GUEST/disk.img"
fi
