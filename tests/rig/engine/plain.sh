# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# In the guest without enlightenments: clocks and disk I/O in the first boot; then it lives until reset.
n=$(counter cmos)
fact boot "$n"
fact tsc "$(khz) $(cut -d' ' -f1 /proc/uptime) $(hw tsc 0) $(hw tsc 1)"
fact complaints "$(dmesg | grep -ciE 'acpi.*(error|warning|exception)|firmware bug|BUG:|rcu.*stall|soft lockup')"
if [ "$n" -eq 1 ]; then
	clocks
	dev=$(disk scratch)
	dd if=/dev/urandom of=/tmp/data bs=1M count=4 2>/dev/null
	sum=$(md5sum </tmp/data)
	bad=0 round=0
	echo "io begins"
	# until the first sector says so
	while [ "$(dd if="$dev" bs=512 count=1 iflag=direct 2>/dev/null | head -c 4)" != stop ] && [ $round -lt 5000 ]; do
		round=$((round + 1))
		at=$((round % 8 * 4 + 4))
		dd if=/tmp/data of="$dev" bs=64k seek=$((at * 16)) oflag=direct conv=notrunc 2>/dev/null || bad=$((bad + 1))
		[ "$(dd if="$dev" bs=64k skip=$((at * 16)) count=64 iflag=direct 2>/dev/null | md5sum)" = "$sum" ] ||
			bad=$((bad + 1))
		[ $round -ne 8 ] || echo "io goes round"
	done
	fact io-rounds $round
	fact io-bad $bad
	fact io-sum "${sum%% *}"
	fact io-errors "$(dmesg | grep -ciE 'I/O error|(vd[a-z]|virtio).*(error|time|reset|fail)')"
	dmesg | grep -iE 'error|timed out|reset'
fi
echo "boot $n is up"
while :; do
	echo "alive $n $(hw clock)"
	usleep 500000
done
