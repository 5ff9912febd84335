# SPDX-License-Identifier: Apache-2.0
# lint.awk - rules on the disassembled DSDT that iasl does not know.
# usage: awk -v removable=COUNT -f lint.awk DSDT.dsl
#
#   - no two devices share (_HID, _UID): Windows stops with 0xA5
#   - _SUN and _EJ0 of PCI slots come together, on exactly COUNT slots
#   - a method that makes names is serialized
#   - no region on ports that Windows keeps from AML
#   - every _HID is one that Windows has a driver for or needs none, or the device is hidden; containers are hidden
#   - the memory windows of PCI0 and what the motherboard keeps for itself do not overlap, and end where they say
#   - _PRT has every slot and pin once
#   - no sleeping state but S5
#   - a method that fills in the length of a range has an answer for an empty one: with both ends fixed there is none
#   - _OSC never gives native hotplug away, which is ACPI's
function fail(what) { printf "%s:%d: %s\n", FILENAME, FNR, what; bad = 1 }
function value(line) { sub(/^[^,]*, */, "", line); sub(/\).*/, "", line); sub(/ *\/\/.*/, "", line); return line }
function overlaps(base, len, a, b) { return base <= b && base + len - 1 >= a }
function hex(s,  i, v) {
	s = tolower(s)
	if (s == "zero") return 0
	if (s == "one") return 1
	if (s !~ /^0x/) return s + 0
	v = 0
	for (i = 3; i <= length(s); i++) v = v * 16 + index("0123456789abcdef", substr(s, i, 1)) - 1
	return v
}
function device_end(d,  key) {
	if (hid[d] != "") {
		key = hid[d] "," uid[d]
		if (key in seen) fail("devices " seen[key] " and " name[d] " are both " key)
		seen[key] = name[d]
	}
	if (sun[d] != ej0[d] && name[d] ~ /^S[0-9A-F][0-9A-F]_?$/) fail(name[d] " has only one of _SUN and _EJ0")
	if (sun[d]) slots++
	if (hid[d] ~ /PNP0A06/ && sta[d] != 11) fail(name[d] " is a container that is not hidden")
	if (hid[d] != "" && hid[d] !~ known && cid[d] !~ /VM_Gen_Counter/ && sta[d] != 11)
		fail(name[d] " is " hid[d] ", which Windows shows as an unknown device")
}
# A range from @a to @b, both inside.
function range(a, b, what,  i) {
	for (i = 1; i <= ranges; i++)
		if (a <= to[i] && b >= from[i]) fail(what " overlaps " owner[i])
	from[++ranges] = a; to[ranges] = b; owner[ranges] = what
}
function number_of(line) { sub(/^ */, "", line); sub(/[, )].*/, "", line); return hex(line) }
BEGIN {
	known = "PNP0A08|PNP0C02|PNP0501|PNP0B00|PNP0C80|PNP0C0C|PNP0A06|ACPI0007|ACPI0010|ACPI0013"
	np = split("0-f 20-21 40-43 48-4b 70-71 74-76 81-83 87-87 89-8b 8f-91 93-94 96-97 a0-a1 c0-df 4d0-4d1 cf8-cff", ports, " ")
}
/^ *Device \(/ {
	match($0, /\([^)]*\)/)
	depth = match($0, /[^ ]/)
	level++
	indent[level] = depth; name[level] = substr($2, 2, length($2) - 2)
	hid[level] = uid[level] = cid[level] = ""; sta[level] = 15; sun[level] = ej0[level] = 0
	next
}
level > 0 && /^ *}/ && match($0, /[^ ]/) == indent[level] { device_end(level); level--; next }
level > 0 && /^ *Name \(_HID,/ { hid[level] = value($0) }
level > 0 && /^ *Name \(_UID,/ { uid[level] = value($0) }
level > 0 && /^ *Name \(_CID,/ { cid[level] = value($0) }
level > 0 && /^ *Name \(_STA,/ { sta[level] = hex(value($0)) }
/^ *Memory32Fixed \(/ { fixed = level > 0 && name[level] == "MBRD" }
fixed && /Address Base/ { base = number_of($0) }
fixed && /Address Length/ { range(base, base + number_of($0) - 1, "MBRD"); fixed = 0; windows++ }
/^ *[DQ]WordMemory \(ResourceProducer/ { window = level > 0 && name[level] == "PCI0" }
window && /Range Minimum/ { base = number_of($0) }
window && /Range Maximum/ { last = number_of($0) }
window && /, Length|\/\/ Length/ {
	if (last - base + 1 != number_of($0)) fail("a window whose length is not its end")
	range(base, last, "a window of PCI0"); window = 0; windows++
}
/^ *Name \(_PRT,/ { prt = match($0, /[^ ]/) }
prt && /^ *}\)/ && match($0, /[^ ]/) == prt { prt = 0 }
prt && /^ *0x[0-9A-F]*FFFF,/ { slot = number_of($0); routes++; next_is_pin = 1; next }
prt && next_is_pin { if (routed[slot, number_of($0)]++) fail("_PRT has a pin twice"); next_is_pin = 0 }
/Local0 = \(CDW3 & / { line = $0; sub(/.*& /, "", line); granted = number_of(line) }
/Name \(\\?_S[0-4]_?,/ { fail("a sleeping state that is not there") }
level > 0 && /^ *Name \(_SUN,/ { sun[level] = 1 }
level > 0 && /^ *Method \(_EJ0,/ { ej0[level] = 1 }
/^ *Method \(/ { in_method = match($0, /[^ ]/); serialized = /Serialized/ && !/NotSerialized/; method = $2 }
in_method && /Create[DQ]WordField \(.*_LEN,/ { length_field = $0; sub(/.*, */, "", length_field); sub(/\).*/, "", length_field) }
in_method && length_field != "" && index($0, "If ((" length_field " == Zero))") { length_field = "" }
in_method && /^ *}/ && match($0, /[^ ]/) == in_method {
	if (length_field != "") fail("method " method " may return a range with both ends fixed and no length")
	in_method = 0; length_field = ""
}
in_method && /^ *(Name|CreateDWordField|CreateQWordField|CreateField) \(/ && !serialized { fail("method " method " makes names and is not serialized") }
/OperationRegion \(/ && /SystemIO/ {
	line = $0; gsub(/[(),]/, " ", line); split(line, w, " ")
	for (i = 1; i <= np; i++) {
		split(ports[i], r, "-")
		if (overlaps(hex(w[4]), hex(w[5]), hex("0x" r[1]), hex("0x" r[2]))) fail("region " w[2] " is on protected ports")
	}
	regions++
}
END {
	if (slots + 0 != removable + 0) fail((slots + 0) " removable slots, expected " (removable + 0))
	if (granted < 2 || granted % 2 != 0) fail("_OSC grants " (granted + 0))
	if (windows < 4) fail("only " (windows + 0) " memory ranges of MBRD and PCI0")
	if (routes != 128) fail("_PRT has " (routes + 0) " of 128 pins")
	if (level != 0) fail("the devices do not nest")
	exit bad
}
