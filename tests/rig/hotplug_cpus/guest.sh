# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# In the guest: whatever processor comes is brought online, and what there is computes.
n=$(counter cmos)
cpus=/sys/devices/system/cpu
acpi=/sys/firmware/acpi/interrupts

# Those that are online: one that is only there has no time of its own, and nothing can be put on it.
online() {
	sed -n 's/^cpu\([0-9][0-9]*\) .*/\1/p' /proc/stat
}

# The time-stamp counters, each read on its own processor, one after the other: a step back would be seen.
backwards() {
	local bad=0 last=0 tsc
	for i in $(online); do
		tsc=$(hw tsc "$i") || { bad=$((bad + 1)); continue; }
		[ "$tsc" -gt "$last" ] || bad=$((bad + 1))
		last=$tsc
	done
	echo $bad
}


# Each is given something to do that only it may do; jiffies in user mode tell that it has.
idle() {
	local i ran=0 before after
	for i in $(online); do
		before=$(grep "^cpu$i " /proc/stat | cut -d' ' -f2,4)
		while taskset "$(printf %x $((1 << i)))" sh -c 'i=0; while [ $i -lt 3000 ]; do i=$((i + 1)); done'; do
			after=$(grep "^cpu$i " /proc/stat | cut -d' ' -f2,4)
			[ "$before" = "$after" ] || { ran=$((ran + 1)) && break; }
		done
	done
	echo $ran
}

fact start "$n $(cat $cpus/online)"
fact possible "$(cat $cpus/possible)"
fact listens "$(sed 's/  */ /g' $acpi/gpe02)"
last=
while :; do
	for i in "$cpus"/cpu[1-9]*/online; do
		[ "$(cat "$i" 2>/dev/null)" != 0 ] || echo 1 >"$i"
	done 2>/dev/null
	now=$(cat $cpus/online)
	if [ "$now" != "$last" ]; then
		last=$now
		fact worked "$n $now $(idle)"
		fact ids "$n $now $(sed -n 's/^apicid.*: //p' /proc/cpuinfo | tr '\n' ' ')"
		fact backwards "$n $now $(backwards)"
		fact complaints "$n $now $(dmesg | grep -cE '(ACPI|acpi).*([Ee]rror|ERROR|[Ww]arning|[Ee]xception)|Firmware Bug|BUG:|TSC.*warp|rcu.*stall|soft lockup')"
		echo "online $n $now"
	fi
	usleep 200000
done
