# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh
# first_vm - what docs/FIRST-VM.md tells a newcomer to type, typed: from the downloaded disk to a login as root
# and back to the shell. The download is a Debian of our own; that it is one is all that differs.
. ./lib.sh

doc=$PWD/FIRST-VM.md
cd /scratch || exit 1

wget() {
	sill image convert --from raw --to qcow2 "$IMAGE" "${1##*/}"
}

# wait_text NAME PATTERN: as wait_line, for a prompt, which ends with a colon or a blank and not with its line
wait_text() {
	if timeout "$SILENCE" /usr/bin/tail -n +1 -f -s 0.1 --pid="$(pid_of "$1")" "$1.out" 2>/dev/null |
		tr ':#' '\n\n' | grep -q -m 1 -E -e "$2"; then
		ok "$1 says '$2'"
	else
		not_ok "$1 does not say '$2'" "$(last_words "$1")"
	fi
}

# The program, with a terminal that somebody types at: what is written to the FIFO "keys".
run() {
	"$@" <keys
}

log_in() { # COMMAND...
	mkfifo keys
	start first run "$@"
	exec 6>keys
	wait_text first ' login$'
	echo root >&6
	wait_text first 'root@[a-z]*$'
	echo 'echo "I am $(id -un)"; poweroff' >&6
	wait_line first 'I am root'
	exec 6>&-
	assert_exit first 0
}

awk '/^```/ { on = /^```sh/; next } on' "$doc" >commands
assert_eq "commands" 6 "$(grep -c . commands)"
while read -r line <&3; do
	echo "# $line"
	case $line in
	'sill run '*) log_in $line ;;
	*) assert_ok "$line" eval "$line" ;;
	esac
done 3<commands
assert_ok "what it leaves" test -s first.vars.fd -a -s first.yaml
