# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# restore - a Linux guest at work is paused and written to a file; another process goes on from there, twice. And as
# people do it, by sill ctl and sill run --restore, with a watchdog that fires at the end.
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

# What the work has come to, in the end.
check_work() { # WHAT
	wait_line guest '^work is done'
	assert_eq "$1: blocks that read back wrong" 0 "$(fact guest io-bad)"
	assert_eq "$1: processes that added up, wrong sums" "2 0" "$(fact guest sums)"
	assert_eq "$1: complaints of the kernel" 0 "$(fact guest complaints)"
	output guest | sed -n '/^fact complaints/,/^work is done/p'
	assert_eq "$1: data in the file" "$(fact guest io-sum)" "$(dd if=scratch.img bs=4M skip=2 count=1 2>/dev/null |
		md5sum | cut -c1-32)"
	assert_eq "$1: clock source" "$CLOCK" "$(fact guest clocksource)"
}

check_ticks() { # WHAT
	assert_eq "$1: ticks that went backwards, by either clock" 0 "$(awk '
		/^tick/ { if (m && ($2 <= m || $3 <= t)) n++; m = $2; t = $3 }
		END { print n + 0 }')"
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
	check_work "$what"
	output guest >all
	check_ticks "$what" <all
	assert_eq "$what: boots" 1 "$(output guest | grep -c '^work begins')"
	echo stop >&5
	assert_exit "$what-3" 0
	exec 5>&-
}

# The program's own files; the watchdog counts all the time, and is answered on both sides.
by_the_program() {
	local dir=/run/sill/guest
	cat >guest.yaml <<-Y
		sill: 1
		name: guest
		guest: linux
		kernel: $GUEST/vmlinuz
		initramfs: $GUEST/initrd
		cmdline: console=ttyS0 quiet
		cpus: 2
		memory: 192M
		watchdog: on
		disk:
		  - {path: script.img, format: raw, serial: sill-script}
		  - {path: scratch.img, format: raw, serial: scratch}
		serial: {mode: file, path: guest.out}
	Y
	rm -f scratch.img
	truncate -s 64M scratch.img
	script_disk work.sh script.img
	start guest sill run guest.yaml
	wait_line guest '^tick' "" 3
	assert_ok "program: snapshot" sill ctl guest snapshot /scratch/snapshot
	assert_ok "program: quit" sill ctl guest quit
	assert_exit guest 0
	output guest >first
	start guest sill run --restore /scratch/snapshot
	wait_line guest '^tick' "" 3
	assert_contains "program: told" "$(cat $dir/events.jsonl)" '"restored"'
	printf stop | dd of=scratch.img conv=notrunc 2>/dev/null
	check_work program
	cat first guest.out | tr -d '\r' >all
	check_ticks program <all
	assert_eq "program: ticks that are missing" 0 $(($(fact guest io-rounds) - $(grep -c '^tick' all)))
	wait_line guest '^fact killed'
	assert_eq "watchdog: while it is open, let go, left alone" "active inactive active" \
		"$(fact guest state) $(fact guest let-go) $(fact guest killed)"
	assert_lacks "watchdog: what is said before" "$(cat guest.err)" 'has not answered'
	wait_line guest '^fact fired'
	assert_eq "watchdog: boot, and the last reset was the watchdog's" "2 32" "$(fact guest boot) $(fact guest fired)"
	assert_contains "watchdog: what is said" "$(cat guest.err)" 'has not answered for 10 s: reset'
	assert_eq "watchdog: events" 1 "$(grep -c '"rebooted"' $dir/events.jsonl)"
	assert_ok "program: quit" sill ctl guest quit
	assert_exit guest 0
}

if long; then
	CLOCK=kvm-clock
	a_life plain
fi
CLOCK=hyperv_clocksource_tsc_page
a_life hyperv --hyperv --enforce
CLOCK=kvm-clock
by_the_program
