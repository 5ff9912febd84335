# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# lib.sh - for tests/rig/<name>/test.sh, which runs inside the rig under busybox sh:
#
#	. ./lib.sh
#	start vm sill run one-disk.yaml
#	wait_line vm SILL-GUEST-READY
#	assert_eq "vCPUs" 0-1 "$(fact vm cpus-online)"
#	assert_exit vm 0
#
# An assertion that fails is reported and counted, and the test goes on: one boot, many assertions. The
# test fails at its end if any failed or if there were none. "skip REASON" ends it as skipped.
# Nothing here sleeps for a fixed time: a wait ends with the event, with the process it waits for, or when that has been
# silent for SILENCE seconds. However slow the machine, who goes on is waited for.

SILENCE=600

# Is the long form of the test wanted (SILL_LONG=1)? What it adds is of a kind that the short one proves with one member.
long() {
	[ -n "${SILL_LONG:-}" ]
}

assertions=0
failures=0
started=''

# start NAME COMMAND...: in the background; what it prints goes to NAME.out and NAME.err, which exist by then.
# A shell of its own waits for it: until somebody has, a process that ended passes for alive with kill -0 and
# tail --pid, and this shell has other things to wait for.
start() {
	local name=$1 pid
	shift
	mkfifo "$name.started"
	{ # open for both: busybox gives up opening one end if NAME has ended meanwhile
		(
			"$@" 9>&- &
			echo $! >&9
			exec 9>&-
			wait $! 2>/dev/null # what the shell says of a signal is not NAME's
		) </dev/null >"$name.out" 2>"$name.err" &
		echo $! >"$name.waiter"
		read -r pid <&9
	} 9<>"$name.started"
	rm "$name.started"
	echo "$pid" >"$name.pid"
	started="$started $name"
}

pid_of() {
	cat "$1.pid"
}

# output NAME: all it has printed so far, without carriage returns
output() {
	tr -d '\r' <"$1.out"
}

# fact NAME KEY: the last value the test guest in NAME gave for it
fact() {
	output "$1" | sed -n "s/^fact $2 //p" | tail -n 1
}

ok() {
	assertions=$((assertions + 1))
	echo "ok $assertions - $1"
}

not_ok() { # WHAT DETAILS...
	assertions=$((assertions + 1))
	failures=$((failures + 1))
	echo "NOT OK $assertions - $1"
	shift
	[ $# -eq 0 ] || printf '%s\n' "$@" | sed 's/^/    /'
}

# last_words NAME: for a report
last_words() {
	local file
	for file in "$1.err" "$1.out"; do
		echo "the end of $file:"
		tail -n 5 "$file" 2>/dev/null | tr -d '\r' | sed 's/^/  /'
	done
}

# threads_of NAME: what each is at, and what it has used of the processor in user and kernel mode (1/100 s)
threads_of() {
	local task
	for task in "/proc/$(pid_of "$1")"/task/*; do
		echo "$(cat "$task/comm") $(cut -d' ' -f3,14,15 "$task/stat") $(cat "$task/wchan")"
	done 2>/dev/null | sort | uniq -c
}

# silent NAME SECONDS: until NAME has not written a byte, nor its output grown, for so long; fails if it ends before
silent() {
	local pid step=5 still=0 key bytes now before=
	pid=$(pid_of "$1")
	[ "$2" -ge 20 ] || step=1
	while kill -0 "$pid" 2>/dev/null; do
		sleep $step
		now=$(wc -c <"$1.out")
		while read -r key bytes; do
			[ "$key" != wchar: ] || now="$now $bytes"
		done <"/proc/$pid/io"
		if [ "$now" = "$before" ]; then
			still=$((still + step))
			[ $still -lt "$2" ] || return 0
		else
			still=0
			before=$now
		fi
	done 2>/dev/null
	return 1
}

# listen NAME FILE [SECONDS]: FILE as it grows, to a pipe; until its reader or NAME ends, or NAME falls silent
listen() {
	local tail
	# GNU tail by its path: it ends when its reader or NAME does
	/usr/bin/tail -n +1 -f -s 0.1 --pid="$(pid_of "$1")" "$2" 2>/dev/null &
	tail=$!
	{ ! silent "$1" "${3:-$SILENCE}" || kill $tail; } >/dev/null 2>&1 &
	wait $tail 2>/dev/null # what the shell says of a signal is nobody's
	kill $! 2>/dev/null
	:
}

# wait_line NAME PATTERN [SECONDS [COUNT]]: until a line of NAME's output matches (an extended regular
# expression), COUNT lines if given. Prints the last. Fails, as an assertion, when NAME has been silent for SECONDS
# (SILENCE), or at once when it ends.
wait_line() {
	local lines seconds=${3:-$SILENCE}
	lines=$(listen "$1" "$1.out" "$seconds" | grep -m "${4:-1}" -E -e "$2" | tr -d '\r')
	if [ "$(printf '%s\n' "$lines" | grep -c .)" -ge "${4:-1}" ]; then
		ok "$1 says '$2'${4:+ $4 times}"
		printf '%s\n' "$lines" | tail -n 1
		return 0
	fi
	if kill -0 "$(pid_of "$1")" 2>/dev/null; then
		not_ok "$1 has been silent for $seconds s and does not say '$2'" "$(last_words "$1")" \
			"$(threads_of "$1")"
	else
		not_ok "$1 ended without saying '$2'" "$(last_words "$1")"
	fi
	return 1
}

# wait_exit NAME [SECONDS]: its exit status; 124, and it is killed, when it has been silent for SECONDS
wait_exit() {
	local status=0
	{
		if silent "$1" "${2:-$SILENCE}"; then
			: >"$1.late"
			kill -9 "$(pid_of "$1")"
		fi
	} >/dev/null 2>&1 &
	wait "$(cat "$1.waiter")" || status=$?
	[ ! -e "$1.late" ] || status=124
	return $status
}

# assert_exit NAME STATUS [SECONDS]
assert_exit() {
	local status=0
	wait_exit "$1" "${3:-$SILENCE}" || status=$?
	if [ $status -eq 124 ]; then
		not_ok "$1 was silent for ${3:-$SILENCE} s and did not end"
	else
		assert_eq "$1's exit status" "$2" $status
	fi
}

assert_eq() { # WHAT WANTED GOT
	if [ "$2" = "$3" ]; then
		ok "$1 is $2"
	else
		not_ok "$1" "wanted: $2" "got:    $3"
	fi
}

assert_contains() { # WHAT TEXT PATTERN
	if printf '%s\n' "$2" | grep -q -E -e "$3"; then
		ok "$1 contains '$3'"
	else
		not_ok "$1 does not contain '$3'" "$2"
	fi
}

assert_lacks() { # WHAT TEXT PATTERN
	if printf '%s\n' "$2" | grep -q -i -E -e "$3"; then
		not_ok "$1 contains '$3'" "$(printf '%s\n' "$2" | grep -i -E -e "$3" | head -n 10)"
	else
		ok "$1 is free of '$3'"
	fi
}

assert_ok() { # WHAT COMMAND...
	local what=$1 output status=0
	shift
	output=$("$@" 2>&1) || status=$?
	if [ $status -eq 0 ]; then
		ok "$what"
	else
		not_ok "$what: '$*' gave $status" "$output"
	fi
}

skip() {
	echo "SKIP: $*"
	trap - EXIT
	exit 77
}

# script_disk SCRIPT IMAGE: the script as a disk image; give it the serial "sill-script" in the manifest
script_disk() {
	cp "$1" "$2"
	truncate -s 65536 "$2"
}

# far_side OURS THEIRS: another network namespace (far COMMAND... runs in it, $far is a process there) behind the device up0,
# which leads everywhere. Addresses are of a /24. Wants iproute2's ip (BINS): busybox's knows no veth.
far_side() {
	modprobe veth
	unshare -n sleep 1000000 &
	far=$!
	until ! [ "/proc/$far/ns/net" -ef /proc/self/ns/net ]; do
		usleep 10000
	done
	/usr/bin/ip link add up0 type veth peer name far0
	/usr/bin/ip link set far0 netns $far
	/usr/bin/ip address add "$1/24" dev up0
	/usr/bin/ip link set up0 up
	/usr/bin/ip link set lo up
	far /usr/bin/ip link set lo up
	far /usr/bin/ip address add "$2/24" dev far0
	far /usr/bin/ip link set far0 up
	/usr/bin/ip route add default via "$2"
}

far() {
	nsenter -t $far -n "$@"
}

# The verdict, whichever way the test ends.
finish() {
	local status=$? name
	trap - EXIT
	for name in $started; do
		kill -9 "$(pid_of "$name")" 2>/dev/null
		[ $failures -eq 0 ] && [ $status -eq 0 ] && continue
		echo "--- the end of $name's output"
		tail -n 30 "$name.out" | tr -d '\r'
		echo "--- the end of its standard error"
		tail -n 30 "$name.err"
		echo "---"
	done
	if [ $status -ne 0 ]; then
		echo "the test itself failed, status $status"
	elif [ $assertions -eq 0 ]; then
		echo "the test asserted nothing"
		status=1
	elif [ $failures -gt 0 ]; then
		echo "$failures of $assertions assertions failed"
		status=1
	else
		echo "$assertions assertions"
	fi
	exit $status
}
trap finish EXIT
