# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The rig itself: its command's output and status arrive as they are, and the ways to fail are told apart.
set -u
rig=$ROOT/tests/rig/rig
export SILL=/usr/bin/tail # any program will do
failures=0

# SILL_LONG=1, as for the tests inside
long() {
	[ -n "${SILL_LONG:-}" ]
}

ok() {
	echo "ok - $1"
}

not_ok() {
	echo "NOT OK - $1"
	failures=$((failures + 1))
}

# expect STATUS WHAT COMMAND...: output goes to out and err
expect() {
	local wanted=$1 what=$2 status=0
	shift 2
	"$@" >out 2>err || status=$?
	if [ $status -eq "$wanted" ]; then
		ok "$what: status $status"
	else
		not_ok "$what: status $status, not $wanted"
		cat err
	fi
}

says() { # FILE PATTERN
	grep -q -e "$2" "$1" || { not_ok "$1 does not say '$2'" && cat "$1"; }
}

# Bytes as they are, and the exit status, in two rigs at once.
head -c 1048576 /dev/urandom >random
printf 'one\r\ntwo\n\0three' >lines
"$rig" --add random --add lines:deep/er/lines -- sh -c \
	'cat random; cat deep/er/lines >&2; echo "'"it's"'" "$1" >>/rig/work/x; cat x >&2; exit 3' \
	sh '$HOME *  "q"' >out1 2>err1 &
first=$!
expect 4 "second of two rigs" "$rig" --disk 64 -- sh -c \
	'echo two; df /scratch | grep -q /dev/vdb && test -c /dev/kvm && sill --version && exit 4'
status=0
wait $first || status=$?
[ $status -eq 3 ] || not_ok "first of two rigs: status $status, not 3"
cmp -s random out1 && ok "1 MiB of random bytes" || not_ok "standard output differs"
{ cat lines && echo "it's \$HOME *  \"q\""; } >wanted
cmp -s wanted err1 && ok "standard error" || { not_ok "standard error differs" && cat err1; }

# The ways to fail.
# shellcheck disable=SC2016
expect 137 "killed by a signal" "$rig" -- sh -c 'echo before; kill -9 $$'
says out before
says err 'killed by signal 9 (SIGKILL)'
if long; then
	expect 137 "status 137 is no signal, a background process no reason to wait" \
		"$rig" -- sh -c 'sleep 1000 & echo done; exit 137'
	says out '^done$'
	grep -q 'killed by signal' err && not_ok "a status is taken for a signal"
fi
expect 124 "silent" "$rig" --timeout 6 -- sh -c 'echo before; sleep 1000'
says out before
says err 'was silent for 6 s'
# What it writes to a file of its own, and what its children write, is a sign of life; but not for ever.
! long || expect 8 "slow" "$rig" --timeout 20 -- sh -c '(for i in 1 2 3 4 5 6; do sleep 8; echo $i >>own; done); exit 8'
expect 124 "endless" "$rig" --timeout 20 --cap 30 -- sh -c 'while sleep 1; do echo >own; done'
says err 'did not end in 30 s'
expect 125 "the rig dies" "$rig" -- sh -c 'echo c >/proc/sysrq-trigger; sleep 100'
says err 'the rig stopped by itself'
says err 'Kernel panic'
! long || expect 127 "no such program" "$rig" -- no-such-program

# What tests wait for: a process that ends early ends the wait, and its last words are told. If it did not, the
# time of the whole would be up before. In the rig, and here as under --native.
cat >waits.sh <<'EOF'
. ./lib.sh
start early sh -c 'echo working; echo "no such disk" >&2; exit 3'
wait_line early never 1000
assert_exit early 3
start alive sh -c 'echo one; echo two; exec sleep 1000'
wait_line alive 'one|two' 60 2
wait_line alive three 1
kill -9 "$(pid_of alive)"
wait_line alive four 1000
assert_exit alive 137
start late sleep 1000
assert_exit late 0 1
start slow sh -c 'for i in 1 2 3 4; do sleep 1; echo; done; echo end; for i in 1 2 3; do sleep 1; echo >slow.own; done'
wait_line slow end 3
assert_exit slow 0 3
EOF
check_waits() { # WHERE COMMAND...
	expect 1 "a test whose processes end early, $1" "${@:2}"
	says out "^NOT OK 1 - early ended without saying 'never'"
	says out '^ .*no such disk'
	says out '^ .*working'
	says out "^ok 2 - early's exit status is 3"
	says out "^ok 3 - alive says 'one|two' 2 times"
	says out "^NOT OK 4 - alive has been silent for 1 s and does not say 'three'"
	says out "^NOT OK 5 - alive ended without saying 'four'"
	says out "^ok 6 - alive's exit status is 137"
	says out '^NOT OK 7 - late was silent for 1 s and did not end'
	says out "^ok 8 - slow says 'end'"
	says out "^ok 9 - slow's exit status is 0"
	says out '^4 of 9 assertions failed'
	! grep -q Killed out || not_ok "the shell's words are taken for a process's"
}
check_waits "in the rig" "$rig" --add "$ROOT/tests/rig/lib.sh" --add waits.sh -- sh waits.sh
cp "$ROOT/tests/rig/lib.sh" .
check_waits "on this machine" "$ROOT/tests/patience" -q 100 sh waits.sh

# The emulator is killed from outside; then the rig's own script is.
find_emulator() {
	pgrep -P "$1" -f '^[^ ]*qemu-system-x86_64 '
}

# start_rig: in the background; sets pid and emulator when its command runs
start_rig() {
	: >err
	"$rig" -v -- sh -c 'echo is-up; sleep 1000' >out 2>err &
	pid=$!
	timeout 300 tail -n +1 -f err | grep -q -m 1 is-up || not_ok "the rig comes up"
	emulator=$(find_emulator $pid)
	run_dir=$(tr '\0' '\n' <"/proc/$emulator/cmdline" | sed -n 's|^file:\(.*\)/console$|\1|p')
}

# gone: nothing of the rig that start_rig started is left, neither the emulator nor a helper. (A process
# that stays behind would also hold whatever its caller had open, a lock, say.)
gone() {
	local left
	[ -n "$run_dir" ] || return
	for left in $(pgrep -f "$run_dir"); do
		timeout 60 tail -f --pid="$left" /dev/null || return
	done
}

start_rig
kill -KILL "$emulator"
status=0
wait $pid || status=$?
[ $status -eq 125 ] && ok "emulator killed: 125" || not_ok "emulator killed: status $status"
says err 'died of signal 9 (SIGKILL)'
gone || not_ok "it leaves something running: $(pgrep -af "$run_dir")"

expect 2 "wrong option" "$rig" --no-such-option -- true
expect 2 "wrong number" "$rig" --mem 0 -- true
expect 2 "no such file" "$rig" --add no-such-file -- true
if ! long; then
	[ $failures -eq 0 ]
	exit
fi

start_rig
kill -TERM $pid
status=0
wait $pid || status=$?
[ $status -eq 143 ] && ok "rig terminated: 143" || not_ok "rig terminated: status $status"
gone || not_ok "a terminated rig leaves something running: $(pgrep -af "$run_dir")"
[ ! -e "$run_dir" ] || not_ok "a terminated rig leaves its directory"

start_rig
kill -KILL $pid
wait $pid 2>/dev/null
gone && ok "nothing outlives a killed rig" ||
	not_ok "a killed rig leaves something running: $(pgrep -af "$run_dir")"

# The known abort starts the run over and its output is not seen; another abort does not. A stand-in for
# the emulator aborts with given words the first two times.
real=$(command -v qemu-system-x86_64)
cat >stand-in <<EOF
#!/bin/bash
echo >>"$PWD/starts"
if [ \$(wc -l <"$PWD/starts") -le 2 ]; then
	echo up >/dev/fd/5
	echo "\$WORDS" >&2
	kill -ABRT \$\$
fi
exec "$real" "\$@"
EOF
chmod +x stand-in
known='ERROR:../../accel/tcg/tcg-accel-ops.c:82:tcg_handle_interrupt: assertion failed: (qemu_mutex_iothread_locked())'
SILL_RIG_QEMU=$PWD/stand-in WORDS=$known expect 5 "known abort" "$rig" -- sh -c 'echo once; exit 5'
[ "$(cat out)" = once ] || not_ok "the output of an aborted attempt is seen"
says err 'starting over, attempt 3 of 6'
rm starts
SILL_RIG_QEMU=$PWD/stand-in WORDS="${known/locked/free}" expect 125 "another abort" "$rig" -- true

# So does an emulator whose clock has stopped, which cannot even notice that its time is up; one that
# never gets further fails.
cat >stand-in <<EOF
#!/bin/bash
echo >>"$PWD/starts"
if [ \$(wc -l <"$PWD/starts") -le \$STANDS ]; then
	echo up >/dev/fd/5
	exec sleep 1000
fi
exec "$real" "\$@"
EOF
export SILL_RIG_QEMU=$PWD/stand-in
rm starts
STANDS=1 SILL_RIG_STILL=20 expect 6 "stands still once" "$rig" -- sh -c 'sleep 8; echo once; exit 6'
[ "$(cat out)" = once ] || not_ok "the output after a rig that stood still"
says err 'stands still .*starting over, attempt 2 of 6'
rm starts
STANDS=9 SILL_RIG_STILL=1 expect 125 "stands still" "$rig" -- true
says err 'stands still, 6 times in a row'

[ $failures -eq 0 ]
