# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# In the guest with enlightenments, each one enforced: clocks, NMI, power button.
clocks

nmis() { # which processors had one
	dmesg | sed -n 's/.*NMI received for unknown reason .* on CPU \([0-9]*\).*/\1/p' | sort -u | tr '\n' ' '
}
i=0
echo "waiting for the NMI"
while [ "$(nmis)" != "0 1 " ] && [ $i -lt 1000 ]; do
	i=$((i + 1))
	usleep 200000
done
fact nmi "$(nmis)"
fact nmi-count "$(sed -n 's/^ *NMI: *\([0-9]*\) *\([0-9]*\) .*/\1 \2/p' /proc/interrupts)"
fact rcu "$(dmesg | grep -ciE 'rcu.*stall|soft lockup|hung task|clocksource.*unstable')"

# The 16 bytes at the address that \_SB.VGEN.ADDR names, as Windows reads them; and GPE 5, by which it is told.
events() {
	sed 's/ *\([0-9]*\).*/\1/' /sys/firmware/acpi/interrupts/gpe05
}
generation() { # WHEN
	fact "generation-$1" "$(for at in 0 4 8 12; do devmem $((0xe8000 + at)) 32; done | tr '\n' ' ')"
	fact "events-$1" "$(events)"
}
fact generation-device "$(cat /sys/bus/acpi/devices/SILL0005:00/path) $(cat /sys/bus/acpi/devices/SILL0005:00/hid)"
generation first
i=0
echo "waiting for a new generation"
while [ "$(events)" -lt 1 ] && [ $i -lt 1000 ]; do
	i=$((i + 1))
	usleep 200000
done
generation second

modprobe evdev
for dev in /sys/class/input/input*; do
	[ "$(cat "$dev/name")" != "Power Button" ] || event=/dev/input/$(cd "$dev" && echo event*)
done
# struct input_event is 24 bytes: time 16, type 2 (1: key), code 2 (116: power), value 4 (1: down)
presses=0
echo "waiting for the button at $event"
exec 3<"$event"
while [ $presses -lt 2 ]; do
	# shellcheck disable=SC2046 # words are meant
	set -- $(dd bs=24 count=1 2>/dev/null <&3 | od -An -v -j 16 -t u2)
	[ "$1 $2 $3" = "1 116 1" ] || continue
	presses=$((presses + 1))
	echo "press $presses $(hw clock)"
done
