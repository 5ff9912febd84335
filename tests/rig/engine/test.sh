# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# engine - what a program may ask of a running VM: pause and resume with every clock held, NMI, power
# button, reset, stop; alone and on top of each other.
. ./lib.sh

# engine ARG...: the VM "eng"; its serial port's output is "guest"; commands go to descriptor 5
engine() {
	rm -f eng.fifo guest.out
	mkfifo eng.fifo
	: >guest.out
	start eng sh -c 'exec ./engine "$@" <eng.fifo' sh --kernel "$GUEST/vmlinuz" --initrd "$GUEST/initrd" \
		--cmdline "console=ttyS0 quiet" --cpus 2 --serial guest.out "$@"
	exec 5>eng.fifo
	cp eng.pid guest.pid
}

# ask COMMAND...: the answer's words
ask() {
	local before
	before=$(grep -c "^$1 " eng.out)
	echo "$*" >&5
	timeout "${ASK:-60}" /usr/bin/tail -n +1 -f --pid="$(pid_of eng)" eng.out |
		grep -m $((before + 1)) "^$1 " | tail -n 1
}

result() { # COMMAND: the call's result
	# shellcheck disable=SC2046 # words are meant
	set -- $(ask "$@")
	echo "$2"
}

lines() { # PATTERN: how many the guest has printed
	output guest | grep -c -E -e "$1"
}

calc() {
	awk "BEGIN { print ($1) }"
}

word() { # N TEXT
	echo "$2" | cut -d' ' -f"$1"
}

PAUSE=8

# Ten seconds of the host's time, PAUSE of them paused; the guest must not see those, on any clock.
check_clocks() { # WHAT
	local begin end at_pause at_resume a b passed skew
	wait_line guest '^mark a' 120
	begin=$(word 3 "$(ask now)")
	wait_line guest '^tick' 30 6
	at_pause=$(ask pause)
	assert_eq "$1: pause" 0 "$(word 2 "$at_pause")"
	b=$(lines .)
	sleep $PAUSE # a pause of some length is what is tested
	assert_eq "$1: lines from a paused guest" "$b" "$(lines .)"
	at_resume=$(ask resume)
	assert_eq "$1: resume" 0 "$(word 2 "$at_resume")"
	wait_line guest '^mark b' 120
	end=$(word 3 "$(ask now)")
	a=$(output guest | grep '^mark a') b=$(output guest | grep '^mark b')
	echo "begin $begin pause $at_pause resume $at_resume end $end; $a; $b; $(fact guest khz) kHz"
	passed=$(calc "($(word 3 "$b") - $(word 3 "$a")) / 1e9")
	skew=$(calc "($end - $begin - $(word 3 "$at_resume") + $(word 3 "$at_pause")) / 1e9 - $passed")
	echo "$1: $passed s for the guest, $skew s more for the host without the pause"
	assert_ok "$1: host's time is the guest's and the pause" [ "$(calc "$skew < 1.5 && $skew > -0.2")" = 1 ]
	assert_ok "$1: the TSC went on as the clock did" [ "$(calc "($(word 4 "$b") - $(word 4 "$a")) / $(
		fact guest khz) / 1000 - $passed < 0.3 && ($(word 4 "$b") - $(word 4 "$a")) / $(
		fact guest khz) / 1000 - $passed > -0.3")" = 1 ]
	assert_eq "$1: the RTC went on through the pause" 1 \
		"$(calc "$(word 5 "$b") - $(word 5 "$a") - $passed > $PAUSE - 2 &&
			$(word 5 "$b") - $(word 5 "$a") - $passed < $PAUSE + 2")"
	assert_eq "$1: ticks that went backwards, or were seconds apart" 0 "$(output guest | awk '
		/^tick/ { if (m && ($2 <= m || $3 <= t || $2 - m > 5e9 || ($3 - t) / khz > 5e3)) n++; m = $2; t = $3 }
		/^fact khz/ { khz = $3 }
		END { print n + 0 }')"
}

# ------------------------------------------------------------------ with enlightenments, enforced

cat clocks.sh hyperv.sh >script.sh
script_disk script.sh script.img
engine --hyperv --enforce --disk sill-script:script.img
assert_eq "power button before the guest listens" -1 "$(result power)"
assert_eq "a command nobody knows" -2 "$(result nonsense)"
check_clocks hyperv
assert_eq "clock source" hyperv_clocksource_tsc_page "$(fact guest clocksource-used)"
assert_eq "vendor" "Microsoft Hv" "$(fact guest hypervisor)"

wait_line guest '^waiting for the NMI' 30
assert_eq "NMI" 0 "$(result nmi)"
wait_line guest '^fact rcu' 60
assert_eq "processors that had the NMI" "0 1" "$(fact guest nmi | sed 's/ $//')"
assert_eq "NMIs counted" "1 1" "$(fact guest nmi-count)"
assert_eq "stalls and lockups seen" 0 "$(fact guest rcu)"

wait_line guest '^waiting for the button' 60
assert_eq "power button" 0 "$(result power)"
wait_line guest '^press 1' 30
# The 30 seconds are the guest's.
assert_eq "pause after the first press" 0 "$(result pause)"
sleep 3
assert_eq "resume after the first press" 0 "$(result resume)"
wait_line guest '^press 2' 60
gap=$(output guest | awk '/^press 1/ { a = $3 } /^press 2/ { print int(($3 - a) / 1e9 + 0.5) }')
assert_ok "the second press comes after 30 s of guest time ($gap)" [ "$gap" -ge 29 -a "$gap" -le 32 ]
assert_exit eng 0 60
assert_contains "end" "$(output eng)" '^end power-off'
assert_contains "log" "$(cat eng.err)" 'power button pressed again'
exec 5>&-

# ------------------------------------------------------------------ without; disk I/O; on top of each other

truncate -s 64M scratch.img
cat clocks.sh plain.sh >script.sh
script_disk script.sh script.img
engine --disk sill-script:script.img --disk scratch:scratch.img
check_clocks plain
assert_eq "vendor" KVMKVMKVM "$(fact guest hypervisor)"

wait_line guest '^io begins' 120
i=0 bad=0
while [ $i -lt 20 ]; do
	i=$((i + 1))
	[ "$(result pause)" = 0 ] && [ "$(result resume)" = 0 ] || bad=$((bad + 1))
done
assert_eq "20 pauses and resumes under load, failed" 0 $bad
assert_eq "the load lasted longer than they did" 0 "$(lines '^fact io-bad')"
wait_line guest '^fact io-errors' 180
assert_eq "blocks that read back wrong" 0 "$(fact guest io-bad)"
assert_eq "I/O errors in the kernel's log" 0 "$(fact guest io-errors)"
assert_eq "data in the file" "$(fact guest io-sum)" "$(dd if=scratch.img bs=4M skip=1 count=1 2>/dev/null |
	md5sum | cut -c1-32)"

wait_line guest '^boot 1 is up' 120
assert_eq "pause" 0 "$(result pause)"
assert_eq "pause again" 0 "$(result pause)"
before=$(lines .)
assert_eq "NMI while paused" 0 "$(result nmi)"
assert_eq "reset while paused" 0 "$(result reset)"
sleep 10 # long enough for a guest that runs to say something
assert_eq "lines from a guest that was reset while paused" "$before" "$(lines .)"
since=$(ask resume)
assert_eq "resume" 0 "$(word 2 "$since")"
assert_eq "resume again" 0 "$(result resume)"

# Its TSC started at the reset and stood still while the VM was paused: it cannot be older, in seconds,
# than the time since (10 s would be, for a reset while paused). The same on both CPUs.
check_tsc() { # BOOT SINCE: what it is called, when the guest began to run
	now=$(word 3 "$(ask now)")
	# shellcheck disable=SC2046 # words are meant
	set -- "$1" "$2" $(fact guest tsc)
	echo "boot $1: $3 kHz, up $4 s, TSC $5 and $6, $(calc "$5 / $3 / 1000") s," \
		"began $(calc "($now - $2) / 1e9") s ago"
	assert_eq "boot $1: the TSC is no older than the boot" 1 "$(calc "$5 / $3 / 1000 < ($now - $2) / 1e9 + 0.5")"
	assert_eq "boot $1: the same on both CPUs" 1 "$(calc "($6 - $5) / $3 / 1000 < 1 && $6 > $5")"
	assert_eq "boot $1: complaints" 0 "$(fact guest complaints)"
}
wait_line guest '^boot 2 is up' 120
check_tsc 2 "$(word 3 "$since")"

since=$(ask reset)
assert_eq "reset" 0 "$(word 2 "$since")"
assert_eq "and again while it is under way" 0 "$(result reset)"
i=0
while [ $i -lt 10 ]; do
	i=$((i + 1))
	[ "$(result pause)" = 0 ] && [ "$(result resume)" = 0 ] || bad=$((bad + 1))
done
assert_eq "10 pauses and resumes during boot, failed" 0 $bad
wait_line guest '^boot [34] is up' 120
check_tsc 3 "$(word 3 "$since")"

assert_eq "three threads at once, failed calls" 0 "$(ASK=180 result storm 30)"
since=$(ask reset)
assert_eq "reset after it" 0 "$(word 2 "$since")"
before=$(lines '^boot .* is up')
wait_line guest '^boot .* is up' 90 $((before + 1))
check_tsc last "$(word 3 "$since")"

assert_eq "pause" 0 "$(result pause)"
echo stop >&5
assert_exit eng 0 30
assert_contains "end" "$(output eng)" '^end stopped'
exec 5>&-
