# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# engine - what a program may ask of a running VM: pause and resume with every clock held, NMI, power
# button, reset, stop; alone and on top of each other.
. ./lib.sh
. ./trace.sh
. ./ask.sh

engine() { # ARG...
	engine_run --kernel "$GUEST/vmlinuz" --initrd "$GUEST/initrd" --cmdline "console=ttyS0 quiet" --cpus 2 "$@"
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

# offset FROM TO COLUMN: of the guest's ticks that reached us between the host's FROM and TO (ns), the host's time
# less the guest's (the tick's word COLUMN), in s, of that which came fastest: a line is late by as much as the
# machine is busy, the fastest of many hardly.
offset() {
	tr -d '\r' <guest.out.at | awk -v from="$1" -v to="$2" -v word="$3" -v khz="$(fact guest khz)" '
		$2 == "tick" && $1 + 0 >= from + 0 && $1 + 0 <= to + 0 {
			late = $1 / 1e9 - (word == 3 ? $3 / 1e9 : $4 / khz / 1e3)
			if (!n++ || late < least) least = late
		}
		END { if (n >= 5) printf "%.6f\n", least; else print "none" }'
}

near() { # WHAT WANTED GOT MAY-DIFFER
	assert_ok "$1: $3, wanted $2" [ "$(calc "$3 - $2 <= $4 && $2 - $3 <= $4")" = 1 ]
}

# A pause of PAUSE seconds that the guest must not see on any clock but the RTC.
check_clocks() { # WHAT
	local at_pause at_resume a b lines passed paused now
	wait_line guest '^mark a'
	wait_line guest '^tick' "" 8
	at_pause=$(ask pause)
	assert_eq "$1: pause" 0 "$(word 2 "$at_pause")"
	sleep 3 # a pause of some length is what is tested, and what was said before it is in the file by now
	lines=$(lines .)
	sleep $((PAUSE - 3))
	assert_eq "$1: lines from a paused guest" "$lines" "$(lines .)"
	at_resume=$(ask resume)
	assert_eq "$1: resume" 0 "$(word 2 "$at_resume")"
	wait_line guest '^fact clocksource-after'
	at_pause=$(word 3 "$at_pause") at_resume=$(word 3 "$at_resume") now=$(word 3 "$(ask now)")
	a=$(output guest | grep '^mark a') b=$(output guest | grep '^mark b')
	paused=$(calc "($at_resume - $at_pause) / 1e9")
	passed=$(calc "($(word 3 "$b") - $(word 3 "$a")) / 1e9")
	echo "pause $at_pause resume $at_resume, $paused s; $a; $b; $(fact guest khz) kHz"
	near "$1: the pause, by CLOCK_MONOTONIC of both" "$paused" \
		"$(calc "$(offset "$at_resume" "$now" 3) - $(offset 0 "$at_pause" 3)")" 2
	near "$1: the pause, by the host's clock and the guest's TSC" "$paused" \
		"$(calc "$(offset "$at_resume" "$now" 4) - $(offset 0 "$at_pause" 4)")" 2
	near "$1: the pause, by the RTC and the guest's clock" "$paused" \
		"$(calc "$(word 5 "$b") - $(word 5 "$a") - $passed")" 4
	assert_eq "$1: ticks that went backwards" 0 "$(output guest | awk '
		/^tick/ { if (m && ($2 <= m || $3 <= t)) n++; m = $2; t = $3 }
		END { print n + 0 }')"
}

# ------------------------------------------------------------------ with enlightenments, enforced

cat clocks.sh hyperv.sh >script.sh
script_disk script.sh script.img
traced=yes
trace_start || traced=
engine --hyperv --enforce --generation 6f1c0c3e7b0a4a539d5e0f3d0b9a2c11 --disk sill-script:script.img
assert_eq "power button before the guest listens" -1 "$(result power)"
assert_eq "a command nobody knows" -2 "$(result nonsense)"
check_clocks hyperv
assert_eq "clock source" hyperv_clocksource_tsc_page "$(fact guest clocksource-used)"
assert_eq "clock source after the pause" hyperv_clocksource_tsc_page "$(fact guest clocksource-after)"
assert_eq "vendor" "Microsoft Hv" "$(fact guest hypervisor)"
# Its page says "read the register instead" while KVM has no master clock: hundreds of reads.
if [ -n "$traced" ] && [ "$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)" = tsc ]; then
	n=$(msr_reads 0x40000020)
	assert_ok "the TSC page serves, after the pause too: $n reads of the reference counter" [ "$n" -lt 30 ]
fi

wait_line guest '^waiting for the NMI'
assert_eq "NMI" 0 "$(result nmi)"
wait_line guest '^fact rcu'
assert_eq "processors that had the NMI" "0 1" "$(fact guest nmi | sed 's/ $//')"
assert_eq "NMIs counted" "1 1" "$(fact guest nmi-count)"
assert_eq "stalls and lockups seen" 0 "$(fact guest rcu)"

wait_line guest '^waiting for a new generation'
assert_eq "a generation id of zero" -1 "$(result generation 00000000000000000000000000000000)"
assert_eq "the generation id that it has" 0 "$(result generation 6f1c0c3e7b0a4a539d5e0f3d0b9a2c11)"
assert_eq "a new generation id" 0 "$(result generation 00112233445566778899aabbccddeeff)"
wait_line guest '^fact events-second'
assert_eq "the device" '\_SB_.VGEN SILL0005' "$(fact guest generation-device)"
assert_eq "the id, a GUID in memory" "0x6F1C0C3E 0x4A537B0A 0x3D0F5E9D 0x112C9A0B " "$(fact guest generation-first)"
assert_eq "the new id" "0x00112233 0x66774455 0xBBAA9988 0xFFEEDDCC " "$(fact guest generation-second)"
assert_eq "events before it was new, and after" "0 1" "$(fact guest events-first) $(fact guest events-second)"

wait_line guest '^waiting for the button'
assert_eq "power button" 0 "$(result power)"
wait_line guest '^press 1'
# The 30 seconds are the guest's.
assert_eq "pause after the first press" 0 "$(result pause)"
sleep 3
assert_eq "resume after the first press" 0 "$(result resume)"
wait_line guest '^press 2'
gap=$(output guest | awk '/^press 1/ { a = $3 } /^press 2/ { print int(($3 - a) / 1e9 + 0.5) }')
assert_ok "the second press comes after 30 s of guest time ($gap)" [ "$gap" -ge 29 -a "$gap" -le 60 ]
assert_exit eng 0
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

wait_line guest '^io begins'
i=0 bad=0
while [ $i -lt 20 ]; do
	i=$((i + 1))
	[ "$(result pause)" = 0 ] && [ "$(result resume)" = 0 ] || bad=$((bad + 1))
done
assert_eq "20 pauses and resumes under load, failed" 0 $bad
assert_eq "the load lasted longer than they did" 0 "$(lines '^fact io-bad')"
wait_line guest '^io goes round'
printf stop | dd of=scratch.img conv=notrunc 2>/dev/null
wait_line guest '^fact io-errors'
assert_eq "blocks that read back wrong" 0 "$(fact guest io-bad)"
assert_eq "I/O errors in the kernel's log" 0 "$(fact guest io-errors)"
assert_eq "data in the file" "$(fact guest io-sum)" "$(dd if=scratch.img bs=4M skip=1 count=1 2>/dev/null |
	md5sum | cut -c1-32)"

wait_line guest '^boot 1 is up'
assert_eq "pause" 0 "$(result pause)"
assert_eq "pause again" 0 "$(result pause)"
sleep 3
before=$(lines .)
assert_eq "NMI while paused" 0 "$(result nmi)"
assert_eq "reset while paused" 0 "$(result reset)"
sleep 10 # long enough for a guest that runs to say something
assert_eq "lines from a guest that was reset while paused" "$before" "$(lines .)"
since=$(word 3 "$(ask now)")
assert_eq "resume" 0 "$(result resume)"
assert_eq "resume again" 0 "$(result resume)"

# Its TSC started at the reset and stood still while the VM was paused: it cannot be older, in seconds,
# than the time since (10 s would be, for a reset while paused). The same on both CPUs.
check_tsc() { # BOOT SINCE: what it is called, a time before the guest began to run
	now=$(word 3 "$(ask now)")
	# shellcheck disable=SC2046 # words are meant
	set -- "$1" "$2" $(fact guest tsc)
	echo "boot $1: $3 kHz, up $4 s, TSC $5 and $6, $(calc "$5 / $3 / 1000") s," \
		"began $(calc "($now - $2) / 1e9") s ago"
	assert_eq "boot $1: the TSC is no older than the boot" 1 "$(calc "$5 / $3 / 1000 < ($now - $2) / 1e9 + 0.5")"
	assert_eq "boot $1: the same on both CPUs" 1 "$(calc "($6 - $5) / $3 / 1000 < 5 && $6 > $5")"
	assert_eq "boot $1: complaints" 0 "$(fact guest complaints)"
}
wait_line guest '^boot 2 is up'
check_tsc 2 "$since"

assert_eq "reset" 0 "$(result reset)"
assert_eq "and again while it is under way" 0 "$(result reset)"
i=0
while [ $i -lt 10 ]; do
	i=$((i + 1))
	[ "$(result pause)" = 0 ] && [ "$(result resume)" = 0 ] || bad=$((bad + 1))
done
assert_eq "10 pauses and resumes during boot, failed" 0 $bad

assert_eq "three threads at once, failed calls" 0 "$(result storm 30)"
# From a pause, so that no line of the boot before comes behind the count.
assert_eq "pause after it" 0 "$(result pause)"
before=$(lines '^boot .* is up')
assert_eq "reset after it" 0 "$(result reset)"
since=$(word 3 "$(ask now)")
assert_eq "resume after it" 0 "$(result resume)"
wait_line guest '^boot .* is up' "" $((before + 1))
check_tsc last "$since"

assert_eq "pause" 0 "$(result pause)"
echo stop >&5
assert_exit eng 0
assert_contains "end" "$(output eng)" '^end stopped'
exec 5>&-
