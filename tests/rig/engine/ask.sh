# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# ask.sh - a VM in tests/engine and what it is asked; for tests that have the program beside them.

# engine_run ARG...: the VM "eng"; its serial port's output is "guest"; commands go to descriptor 5
engine_run() {
	rm -f eng.fifo guest.out guest.out.at
	mkfifo eng.fifo
	: >guest.out
	start eng sh -c 'exec ./engine "$@" <eng.fifo' sh --serial guest.out "$@"
	exec 5>eng.fifo
	cp eng.pid guest.pid
	# the rest would wait for one that could not start
	[ "$(result now)" = 0 ] || exit 1
}

# ask COMMAND...: the answer's words
ask() {
	local before
	before=$(grep -c "^$1 " eng.out)
	echo "$*" >&5
	listen eng eng.out | grep -m $((before + 1)) "^$1 " | tail -n 1
}

result() { # COMMAND: the call's result
	# shellcheck disable=SC2046 # words are meant
	set -- $(ask "$@")
	echo "$2"
}
