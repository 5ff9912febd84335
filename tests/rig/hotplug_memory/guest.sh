# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# In the guest: whatever memory comes is brought online where it can leave again, and holds data.
n=$(counter cmos)
blocks=/sys/devices/system/memory
mib=$((0x$(cat $blocks/block_size_bytes) / 1048576))

online() { # MiB of blocks that are
	local sum=0 i
	for i in "$blocks"/memory[0-9]*/state; do
		[ "$(cat "$i" 2>/dev/null)" != online ] || sum=$((sum + mib))
	done
	echo $sum
}

movable() { # pages of the zone that can be emptied: "present free"
	awk '/zone *Movable/ { z = 1 } z && /nr_free_pages|pages free/ { f = $NF } z && /present/ { p = $NF; z = 0 }
		END { print p + 0, f + 0 }' /proc/zoneinfo
}

has() { # DEVICE
	grep -q "$1" /sys/bus/pci/devices/*/device
}

! has 0x1045 || modprobe virtio_balloon
fact listens "$(sed 's/  */ /g' /sys/firmware/acpi/interrupts/gpe03)"
fact start "$n $(online)"
fact hotplug-area "$(dmesg | grep -c 'ACPI: SRAT:.*hotplug')"
! has 0x1058 || modprobe virtio_mem
mkdir -p /tmp/hold
mount -t tmpfs -o size=90% hold /tmp/hold
last=
while :; do
	for i in "$blocks"/memory[0-9]*/state; do
		[ "$(cat "$i" 2>/dev/null)" != offline ] || echo online_movable >"$i"
	done 2>/dev/null
	now=$(online)
	if [ "$now" != "$last" ]; then
		last=$now
		[ ! -e /tmp/hold/data ] || fact kept "$n $now $(md5sum </tmp/hold/data | cut -c1-32)"
		fact total "$n $now $(($(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' /proc/meminfo) / 1024))"
		if [ "$n $now" = "1 2048" ]; then
			before=$(movable)
			yes "so that there is something in it" | head -c 8388608 >/tmp/piece
			for i in $(seq 25); do
				cat /tmp/piece
			done >/tmp/hold/data
			fact data "$(md5sum </tmp/hold/data | cut -c1-32)"
			fact movable "$before $(movable)"
			if has 0x1058; then # the host has given this, and nobody needs it
				head -c 104857600 /dev/zero >/tmp/hold/more
				rm /tmp/hold/more
			fi
		fi
		fact complaints "$n $now $(dmesg |
			grep -cE '(ACPI|acpi).*([Ee]rror|ERROR|[Ww]arning|[Ee]xception)|Firmware Bug|BUG:|add_memory failed|virtio_mem.*([Ee]rror|fail)|rcu.*stall|soft lockup')"
		echo "memory $n $now"
	fi
	usleep 300000
done
