# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# hotplug_devices - disks and network cards come and go under a Linux guest, by the control API, as curl and sill ctl
# ask for it: used with data checks, removed while busy, ejected unasked, asked for while paused, by several at once; again
# after a reset in place, which takes what was never answered. By direct boot and through OVMF. Afterwards the process
# has as many descriptors, threads and mappings as before, and as much memory. SILL_HOTPLUG_ROUNDS for more rounds.
. ./lib.sh

ROUNDS=$(sed 's/.*sill.rounds=\([0-9]*\).*/\1/' /proc/cmdline)
cr=$(printf '\r')
modprobe tun
/usr/bin/ip tuntap add dev tap7 mode tap
/usr/bin/ip address add 192.168.77.1/24 dev tap7
/usr/bin/ip link set tap7 up
# --- what the guest asks for; what goes wrong is a line in "wrong" ---

wrong() {
	echo "$*" >>wrong
}

ctl() { # WORDS...
	sill ctl "$@" >answer 2>&1 || wrong "ctl $*: $(cat answer)"
}

put() { # STATUS ENDPOINT [BODY]
	local status
	status=$(curl -s -o answer -w '%{http_code}' --unix-socket "/run/sill/$vm/api.sock" -X PUT \
		-H 'Content-Type: application/json' -d "${3-}" "http://localhost/api/v1/$2")
	[ "$status" = "$1" ] || wrong "PUT $2 $3: $status $(cat answer)"
}

add_disk() {
	rm -f "$1.img"
	truncate -s 1M "$1.img"
	put 200 vm.add-disk "{\"path\": \"$PWD/$1.img\", \"id\": \"$1\", \"serial\": \"$1\", \"image_type\": \"Raw\"}"
}

add_net() {
	ctl "$vm" add-net "id=$1,tap=tap7"
}

# A guest that takes long has not answered, for a while.
remove() {
	local status=0
	sill ctl --wait "$vm" remove "$1" >answer 2>&1 || status=$?
	case $status in
	0 | 4) gone "$1" ;;
	*) wrong "remove $1: $status $(cat answer)" ;;
	esac
}

ask() {
	put 204 vm.remove-device "{\"id\": \"$1\"}"
}

pause() {
	put 204 vm.pause
}

resume() {
	ctl "$vm" resume
}

reset() {
	ctl "$vm" reset
}

# One device asked for by three, while a fourth adds and removes another. Of the three some come too late.
race() {
	truncate -s 1M other.img
	sill ctl --wait "$vm" remove data >/dev/null 2>&1 &
	sill ctl "$vm" remove data >/dev/null 2>&1 &
	sill ctl "$vm" remove data >/dev/null 2>&1 &
	ctl "$vm" add-disk "path=$PWD/other.img,id=other,serial=other,image_type=raw"
	remove other
	wait
	gone data
}

# gone ID...: none of them is in the VM any more
gone() {
	local id
	for id; do
		while curl -s --unix-socket "/run/sill/$vm/api.sock" http://localhost/api/v1/vm.info |
			sed 's/.*"device_tree"//' | grep -q "\"$id\""; do
			usleep 100000
		done
	done
}

# It listens no more: the request stands until a reset.
unanswered() {
	ctl "$vm" remove "$1"
	sill ctl "$vm" pending | grep -q "\"$1\"" || wrong "$1 is not pending"
}

# The API's workers are made as requests come, several at once, and stay; each has a stack, and a guard below it.
counts() {
	local pid workers
	pid=$(pid_of "$vm")
	workers=$(cat /proc/"$pid"/task/*/comm | grep -c '^api-worker')
	echo "$(find "/proc/$pid/fd" -mindepth 1 | wc -l) descriptors," \
		"$(($(find "/proc/$pid/task" -mindepth 1 -maxdepth 1 | wc -l) - workers)) threads," \
		"$(($(wc -l <"/proc/$pid/maps") - 2 * workers)) mappings" >"counts.$1"
	bytes "$pid" >"bytes.$1"
	echo "$(cat "counts.$1"), $(cat "bytes.$1") kB" # a campaign's progress
}

# bytes PID: kB of anonymous memory it has touched, without the guest's
bytes() {
	awk '$1 == "Size:" { small = $2 < 65536 } $1 == "Anonymous:" && small { sum += $2 } END { print sum + 0 }' \
		"/proc/$1/smaps"
}

# --- a life ---

carry_out() {
	local line
	while read -r line; do
		line=${line%"$cr"}
		case $line in
		'host: '*)
			echo "$line"
			${line#host: } </dev/null
			;;
		esac
	done
}

told() { # NAME FACT: what it was in each boot
	output "$1" | sed -n "s/^fact $2 //p" | tr '\n' ' '
}

# The API's workers have heaps of their own, which fill for some hundred rounds: a MiB or two, whatever the number of
# rounds, is theirs. A thousand rounds that lose 4 kB each are seen.
same_as_before() { # ROUNDS
	local kb
	assert_eq "$vm: before and after $1 rounds" "$(cat counts.before)" "$(cat counts.after)"
	kb=$(($(cat bytes.after) - $(cat bytes.before)))
	[ $kb -le 4096 ] && kb="$kb kB: at most 4096"
	assert_contains "$vm: memory that $1 rounds have taken" "$kb" "at most"
}

a_life() { # NAME ROUNDS BOOTS WHAT-BOOTS [DISK]
	vm=$1
	rm -f wrong counts.* bytes.* script.img
	: >wrong
	{
		echo "ROUNDS=$2 BOOTS=$3"
		cat guest.sh
	} >script.sh
	script_disk script.sh script.img
	cat >"$vm.yaml" <<Y
sill: 1
name: $vm
guest: linux
$4
cpus: {boot: 2}
memory: {size: 256M}
disk:${5:+
  - $5}
  - {path: script.img, serial: sill-script, format: raw, readonly: on}
serial: {mode: file, path: $vm.out}
Y
	start "$vm" sill run "$vm.yaml"
	listen "$vm" "$vm.out" | carry_out
	assert_exit "$vm" 0
	assert_eq "$vm: what went wrong" "" "$(cat wrong)"
	assert_eq "$vm: slots that can be ejected" "1 30" "$(told "$vm" slots | cut -d' ' -f1,2)"
	[ "$2" -eq 0 ] || same_as_before "$2"
	assert_eq "$vm: complaints of the kernel" "" "$(output "$vm" | grep '^complaint: ')"
	if [ "$3" -eq 1 ]; then
		assert_eq "$vm: rounds" "1 $(($2 + 4)) " "$(told "$vm" rounds)"
		assert_eq "$vm: rounds with wrong data" "1 0 " "$(told "$vm" bad)"
		return
	fi
	assert_eq "$vm: rounds" "1 $(($2 + 4)) 2 4 " "$(told "$vm" rounds)"
	assert_eq "$vm: rounds with wrong data" "1 0 2 0 " "$(told "$vm" bad)"
	assert_eq "$vm: what was never answered" "there is no disk with serial silent" "$(fact "$vm" silent)"
}

a_life direct "$ROUNDS" 2 "kernel: $GUEST/vmlinuz
initramfs: $GUEST/initrd
cmdline: console=ttyS0 quiet"
cp "$OVMF/OVMF_VARS_4M.fd" vars.fd
a_life uefi 0 1 "firmware: {code: $OVMF/OVMF_CODE_4M.fd, vars: vars.fd}" \
	"{path: $GUEST/disk.img, format: raw, readonly: on}"
