# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# In the guest, before the other parts: every clock there is, through a pause that it knows nothing of.
khz() {
	dmesg | sed -n 's/.*tsc: Detected \([0-9]*\)\.\([0-9]*\) MHz.*/\1\2/p'
}
mark() { # NAME: monotonic ns, TSC, RTC in s
	echo "mark $1 $(hw clock) $(cat /sys/class/rtc/rtc0/since_epoch)"
}
clocks() {
	fact khz "$(khz)"
	fact clocksource-used "$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
	mark a
	i=0
	while [ $i -lt 40 ]; do
		i=$((i + 1))
		echo "tick $(hw clock)"
		usleep 150000
	done
	mark b
	fact clocksource-after "$(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
}
