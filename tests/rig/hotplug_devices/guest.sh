# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# In the guest: disks and network cards come, are worked with, and go. A line "host: WORDS" is the test's to carry out,
# one after the other. ROUNDS and BOOTS are set in front of this.
n=$(counter cmos)
slots=/sys/bus/pci/slots
gpe=/sys/firmware/acpi/interrupts/gpe01
modprobe virtio_net
round=0 bad=0

oops() {
	bad=$((bad + 1))
	echo "oops: boot $n, round $round: $*"
}

# What the kernel does takes its time, here a lot.
until_so() { # COMMAND...
	while ! "$@" >/dev/null 2>&1; do
		usleep 50000
	done
}

no_disk() { # ID
	! disk "$1"
}

no_card() {
	[ ! -e /sys/class/net/eth0 ]
}

pci_slot() { # DEVICE: the slot of what is behind it
	local address
	address=$(readlink -f "$1/device")
	while case ${address##*/} in 0000:*) false ;; esac do
		address=${address%/*}
	done
	address=${address##*/0000:00:}
	echo $((0x${address%.0}))
}

work_disk() { # ID: what is written is what is read, and what the last one in its place had is not there
	until_so disk "$1"
	dev=$(disk "$1")
	dd if=/tmp/data of="$dev" bs=64k oflag=direct conv=notrunc 2>/dev/null || oops "$1: write"
	dd if="$dev" bs=64k count=2 iflag=direct 2>/dev/null | cmp -s - /tmp/data || oops "$1: read"
}

work_card() {
	until_so test -e /sys/class/net/eth0
	ip link set eth0 up
	ip addr add 192.168.77.2/24 dev eth0
	ping -c 1 -W 60 192.168.77.1 >/dev/null || oops "no answer"
}

# Reads that go on until they fail; it is for who waits.
read_on() {
	while dd if="$1" of=/dev/null bs=64k iflag=direct 2>/dev/null; do :; done
}

one_round() {
	round=$((round + 1))
	echo "host: add_disk data"
	echo "host: add_net net0"
	work_disk data
	work_card
	case $((round % 4)) in
	1) # busy
		read_on "$dev" &
		echo "host: remove data"
		until_so no_disk data
		wait
		;;
	2) # asked while it stands, and something comes
		echo "host: pause"
		echo "host: ask data"
		echo "host: add_disk more"
		echo "host: resume"
		work_disk more
		until_so no_disk data
		echo "host: remove more"
		until_so no_disk more
		;;
	3) # nobody has asked
		echo 0 >"$slots/$(pci_slot "/sys/block/${dev#/dev/}")/power"
		until_so no_disk data
		;;
	*) # all at once
		echo "host: race"
		until_so no_disk data
		;;
	esac
	echo "host: remove net0"
	until_so no_card
	echo "host: gone data net0"
}

dd if=/dev/urandom of=/tmp/data bs=64k count=2 2>/dev/null
fact slots "$n $(find $slots -mindepth 1 -maxdepth 1 | wc -l)"
if [ "$n" -eq 2 ]; then
	# What nobody answered has gone with the reset, what was there has stayed.
	fact silent "$(disk silent 2>&1)"
	work_disk kept
	echo "host: remove kept"
	until_so no_disk kept
	echo "host: gone kept"
fi
one_round
one_round
one_round
one_round
if [ "$n" -eq 1 ] && [ "$ROUNDS" -gt 0 ]; then
	echo "host: counts before"
	while [ $round -lt $((4 + ROUNDS)) ]; do
		one_round
		[ $((round % 16)) -ne 0 ] || echo "host: counts after"
	done
	echo "host: counts after"
fi
fact rounds "$n $round"
fact bad "$n $bad"
dmesg | grep -iE 'acpiphp|pci.*(fail|error|no space|can.t)|BUG:|Oops|ACPI.*(error|exception)|hung task' |
	grep -v 'acpiphp: Slot\|acpiphp: ACPI Hot Plug' | sed 's/^/complaint: /'
if [ "$n" -lt "$BOOTS" ]; then
	echo "host: add_disk kept"
	echo "host: add_disk silent"
	work_disk silent
	echo disable >$gpe
	echo "host: unanswered silent"
	echo "host: reset"
	while :; do
		sleep 1
	done
fi
