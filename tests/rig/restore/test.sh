# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# restore - a Linux guest at work is paused and written to a file; another process goes on from there, twice.
. ./lib.sh

# engine NAME ARG...: its serial port's output is "guest"; commands go to descriptor 5
engine() {
	name=$1
	shift
	rm -f eng.fifo
	mkfifo eng.fifo
	start "$name" sh -c 'exec ./engine "$@" <eng.fifo' sh --kernel "$GUEST/vmlinuz" --initrd "$GUEST/initrd" \
		--cmdline "console=ttyS0 quiet" --cpus 2 --mem 192 --serial guest.out \
		--disk sill-script:script.img --disk scratch:scratch.img "$@"
	exec 5>eng.fifo
	cp "$name.pid" guest.pid
	[ "$(result now)" = 0 ] || exit 1
}

# result COMMAND: what the call came back with
result() {
	local before
	before=$(grep -c "^$1 " "$name.out")
	echo "$*" >&5
	listen "$name" "$name.out" | grep -m $((before + 1)) "^$1 " | tail -n 1 | cut -d' ' -f2
}

ticks() {
	output guest | grep -c '^tick'
}

# go_on FROM TO ARG...: FROM is saved and ends; TO begins there, and the guest goes on
go_on() {
	local from=$1 to=$2 before
	shift 2
	wait_line guest '^tick' "" $(($(ticks) + 3))
	assert_eq "$from: save" 0 "$(result save /scratch/saved)"
	before=$(ticks)
	echo stop >&5
	assert_exit "$from" 0
	exec 5>&-
	echo "saved: $(du -k /scratch/saved | cut -f1) KiB"
	engine "$to" --load /scratch/saved "$@"
	assert_eq "$to: lines before it is resumed" "$before" "$(ticks)"
	assert_eq "$to: resume" 0 "$(result resume)"
	wait_line guest '^tick' "" $((before + 3))
}

# a_life WHAT ARG...
a_life() {
	local what=$1
	shift
	rm -f guest.out guest.out.at scratch.img
	: >guest.out
	truncate -s 64M scratch.img
	script_disk work.sh script.img
	engine "$what-1" "$@"
	wait_line guest '^work begins'
	go_on "$what-1" "$what-2" "$@"
	go_on "$what-2" "$what-3" "$@"
	printf stop | dd of=scratch.img conv=notrunc 2>/dev/null
	wait_line guest '^work is done'
	assert_eq "$what: blocks that read back wrong" 0 "$(fact guest io-bad)"
	assert_eq "$what: processes that added up, wrong sums" "2 0" "$(fact guest sums)"
	assert_eq "$what: complaints of the kernel" 0 "$(fact guest complaints)"
	output guest | sed -n '/^fact complaints/,/^work is done/p'
	assert_eq "$what: data in the file" "$(fact guest io-sum)" "$(dd if=scratch.img bs=4M skip=1 count=1 2>/dev/null |
		md5sum | cut -c1-32)"
	assert_eq "$what: ticks that went backwards, by either clock" 0 "$(output guest | awk '
		/^tick/ { if (m && ($2 <= m || $3 <= t)) n++; m = $2; t = $3 }
		END { print n + 0 }')"
	assert_eq "$what: boots" 1 "$(output guest | grep -c '^work begins')"
	assert_eq "$what: clock source" "$CLOCK" "$(fact guest clocksource)"
	echo stop >&5
	assert_exit "$what-3" 0
	exec 5>&-
}

CLOCK=kvm-clock
a_life plain
CLOCK=hyperv_clocksource_tsc_page
a_life hyperv --hyperv --enforce
