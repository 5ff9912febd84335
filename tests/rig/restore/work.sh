# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# In the guest: disk I/O on one processor, sums on all, until the disk's first sector says stop.
dev=$(disk scratch)
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
while :; do
	sleep 1
done
