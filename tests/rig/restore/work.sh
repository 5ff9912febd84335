# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# In the guest: disk I/O on one processor, sums on all, until the disk's first sector says stop. Where there is a
# watchdog, it is answered meanwhile, and then no more.
wdog=/sys/class/watchdog/watchdog0
dev=$(disk scratch)
exec 7>/dev/null
if [ -e /sys/firmware/acpi/tables/WDAT ]; then
	modprobe wdat_wdt
	boot=$(counter cmos)
	fact boot "$boot"
	fact fired "$(cat $wdog/bootstatus)" # 32: the last reset was the watchdog's
	while [ "$boot" != 1 ]; do
		sleep 1
	done
	exec 7>/dev/watchdog0
fi
dd if=/dev/urandom of=/tmp/data bs=1M count=4 2>/dev/null
sum=$(md5sum </tmp/data)
sums() {
	local wrong=0 n=0
	while [ ! -e /tmp/stop ]; do
		n=$((n + 1))
		[ "$(md5sum </tmp/data)" = "$sum" ] || wrong=$((wrong + 1))
	done
	echo "$n $wrong" >"/tmp/sums.$1"
}
sums a &
sums b &
complaints() {
	echo "complaints:" # never without a line, for grep -f
	dmesg | grep -iE 'I/O error|(vd[a-z]|virtio).*(error|time|reset|fail)|BUG:|Oops|rcu.*stall|soft lockup|hung task|clocksource.*unstable'
}
complaints >/tmp/before
bad=0 round=0
echo "work begins"
while [ "$(dd if="$dev" bs=512 count=1 iflag=direct 2>/dev/null | head -c 4)" != stop ] && [ $round -lt 5000 ]; do
	round=$((round + 1))
	at=$((round % 8 * 4 + 4))
	dd if=/tmp/data of="$dev" bs=64k seek=$((at * 16)) oflag=direct conv=notrunc 2>/dev/null || bad=$((bad + 1))
	[ "$(dd if="$dev" bs=64k skip=$((at * 16)) count=64 iflag=direct 2>/dev/null | md5sum)" = "$sum" ] ||
		bad=$((bad + 1))
	echo "tick $(hw clock) $round"
	echo >&7
done
: >/tmp/stop
wait
fact io-rounds $round
fact io-bad $bad
fact io-sum "${sum%% *}"
fact sums "$(cat /tmp/sums.a /tmp/sums.b | awk '{ n += ($1 > 0); bad += $2 } END { print n, bad }')"
fact clocksource "$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
complaints >/tmp/after
fact complaints "$(grep -cvxFf /tmp/before /tmp/after)"
cat /tmp/before /tmp/after
echo "work is done"
left() { # TEST SECONDS: until that is true of the seconds that the watchdog has left
	until test "$(cat $wdog/timeleft)" "$1" "$2"; do
		usleep 100000
	done
}
if [ -e $wdog ]; then
	fact state "$(cat $wdog/state)"
	echo V >&7
	exec 7>&-
	fact let-go "$(cat $wdog/state)"
	watchdog -F -T 10 -t 3 /dev/watchdog0 &
	until [ "$(cat $wdog/timeout)" = 10 ]; do
		usleep 100000
	done
	left -le 8
	left -gt 8
	kill -9 $!
	wait $!
	fact killed "$(cat $wdog/state)"
fi
while :; do
	sleep 1
done
