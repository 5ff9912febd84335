# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# guest.sh - runs at the end of every boot of Debian; what it does depends on what the boots before have left.
exec 2>&1
cd /root || exit 1
boots=$(cat boots 2>/dev/null || echo 0)
fact boots "$boots"

# What every boot is like
fact state "$(systemctl is-system-running --wait)"
fact failed "$(systemctl --failed --plain --no-legend | tr '\n' ' ')"
fact firmware "$(test -d /sys/firmware/efi && echo uefi || echo none)"
fact uptime "$(cut -d' ' -f1 /proc/uptime)"
# All but what the rig's processor does to the kernel, whoever runs the machine, and what a host does to it that had other
# things to do for half a minute. On a busy host there are more.
fact complaints "$(journalctl -b -p warning -o cat --no-pager | awk '
	/BUG: soft lockup|^rcu: .*(stall|starved|kthread|last ran)|^NMI backtrace/ { late = 60 }
	late { late = /<\/TASK>/ ? 0 : late - 1; next }
	/cut here/ { block = "begins" }
	block { block = block "|" $0 }
	/end trace/ { if (block !~ /fpu__init_system_xstate/) print block; block = ""; next }
	!block && !/^CPUID.0d, /' | head -n 30 | tr '\n' '|')"
fact acpi "$(journalctl -k -b -o cat --no-pager | grep -E 'ACPI (BIOS )?(Error|Bug|Warning|Exception)|AE_[A-Z]' | head -n 10 | tr '\n' '|')"

tick() {
	echo "# $(cut -d' ' -f1 /proc/uptime): $1"
}

# piece N: a file that nobody guesses, in which its own sum stands; when it is said, it is on the disk
piece() {
	head -c 100000 /dev/urandom >piece.new
	md5sum <piece.new | cut -d' ' -f1 >>piece.new
	sync piece.new && mv piece.new "piece.$1" && sync . && printf '\nflushed %s\n' "$1"
}

# good FILE...: prints those that are whole
good() {
	local file
	for file; do
		[ "$(head -c 100000 "$file" | md5sum | cut -d' ' -f1)" = "$(tail -c +100001 "$file")" ] && echo "$file"
	done
}

# Files that are not what was packed
changed() {
	fact changed "$(dpkg --verify libc6 systemd udev e2fsprogs dpkg fio 2>&1 | head -n 5 | tr '\n' '|')"
	tick verified
}

job() { # NAME WORDS...
	local name=$1
	shift
	fio --name="$name" --filename="/root/fio.$name" --size=6m --bsrange=4k-64k --rw=randwrite --verify=crc32c \
		--verify_fatal=1 --do_verify=1 --verify_state_save=0 "$@" >/run/fio 2>&1 ||
		cat /run/fio
	fact "fio-$name" "$(grep -c 'err= 0' /run/fio)"
}

# What the card has, once it has all of it; who was asked for it is in the facts' names
card_has() { # CLIENT CARD
	local n=100
	while [ $n -gt 0 ] && ! ip -6 -o address show dev "$2" scope global -tentative | grep -q inet6; do
		sleep 1
		n=$((n - 1))
	done
	fact "$1-address" "$(ip -4 -o address show dev "$2" | awk '{ print $4 }')"
	fact "$1-seconds" "$(ip -4 address show dev "$2" | sed -n 's/.*valid_lft \([0-9]*\)sec.*/\1/p')"
	fact "$1-route" "$(ip -4 route show default | awk '{ print $3, $5 }')"
	fact "$1-address6" "$(ip -6 -o address show dev "$2" scope global | awk '{ print $4 }')"
	fact "$1-route6" "$(ip -6 route show default | awk '{ print $3, $5 }')"
}

# By dhclient, and the kernel itself for IPv6; then, from the beginning, by systemd-networkd. Nothing waits for ever.
leases() {
	local card net=/run/systemd/netif
	card=$(cd /sys/class/net && echo e*)
	fact card "$(basename "$(readlink -f "/sys/class/net/$card/device/driver")")"
	timeout 300 dhclient -1 -v "$card" >/run/dhclient 2>&1
	fact dhclient "$?"
	[ -s /etc/resolv.conf ] || cat /run/dhclient
	card_has dhclient "$card"
	fact dhclient-dns "$(sed -n 's/^nameserver //p' /etc/resolv.conf | tr '\n' ' ')"
	tick dhclient

	timeout 300 dhclient -x "$card" >/run/dhclient 2>&1 || cat /run/dhclient
	ip link set "$card" down
	ip address flush dev "$card"
	mkdir -p /run/systemd/network
	printf '[Match]\nName=%s\n[Network]\nDHCP=ipv4\n' "$card" >/run/systemd/network/card.network
	timeout 300 systemctl start systemd-networkd
	timeout 300 /lib/systemd/systemd-networkd-wait-online -i "$card" -4 -6 --timeout=290
	fact networkd "$?"
	card_has networkd "$card"
	fact networkd-dns "$(sed -n 's/^DNS=//p' $net/leases/* | tr '\n' ' ')$(sed -n 's/^DNS=//p' $net/links/*)"
	tick networkd
	printf '\nleases are taken\n'
	timeout 300 bash -c 'until cat </dev/tcp/192.168.249.1/81; do sleep 1; done' 2>/run/tcp
}

end() { # COMMAND
	echo $((boots + 1)) >boots
	sync
	printf '\nnow: %s\n' "$1"
	systemctl --no-wall "$1"
	exit
}

case $boots in
0)
	mount /boot/efi && fact esp "$(ls /boot/efi/EFI/BOOT)" && umount /boot/efi
	tick "what it is"
	fact packages "$(dpkg-query -W -f '${db:Status-Abbrev}\n' | sort | uniq -c | tr -s ' \n' ' ')"
	changed
	fact loader "$(ls /sys/firmware/efi/efivars | grep -c ^LoaderInfo)"
	job direct --ioengine=libaio --iodepth=8 --direct=1
	job buffered --ioengine=psync --fsync=32
	tick fio
	for n in 1 2 3 4; do
		piece $n
	done
	tick pieces
	head -c 20000000 /dev/urandom >big && sync && rm big && sync
	fact fstrim "$(fstrim -v / | sed 's/.*(\([0-9]*\) bytes.*/\1/')"
	tick fstrim
	systemd-analyze
	end reboot
	;;
1)
	fact pieces "$(good piece.* | wc -l)"
	job direct --verify_only=1 --ioengine=libaio --iodepth=8 --direct=1
	echo 2 >boots
	n=4
	while :; do
		n=$((n + 1))
		head -c 50000 /dev/urandom >"loose.$n" # in nobody's promise
		piece $n
	done
	;;
2)
	fact pieces "$(good piece.[0-9]* | tr '\n' ' ')"
	fact bad "$(($(ls piece.[0-9]* | wc -l) - $(good piece.[0-9]* | wc -l)))"
	fact recovery "$(journalctl -k -b -o cat --no-pager | grep -c 'EXT4-fs (vda2): recovery complete')"
	leases
	! grep -q 'sill\.long' /proc/cmdline || changed
	end poweroff
	;;
*)
	rm -rf piece.* fio.*
	dd if=/dev/urandom of=more bs=1M count=8 conv=fsync status=none
	end poweroff
	;;
esac
