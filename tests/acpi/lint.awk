# SPDX-License-Identifier: Apache-2.0
# lint.awk - rules on the disassembled DSDT that iasl does not know.
# usage: awk -v removable=COUNT -f lint.awk DSDT.dsl
#
#   - no two devices share (_HID, _UID): Windows stops with 0xA5
#   - _SUN and _EJ0 of PCI slots come together, on exactly COUNT slots
#   - a method that makes names is serialized
#   - no region on ports that Windows keeps from AML
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
}
BEGIN {
	np = split("0-f 20-21 40-43 48-4b 70-71 74-76 81-83 87-87 89-8b 8f-91 93-94 96-97 a0-a1 c0-df 4d0-4d1 cf8-cff", ports, " ")
}
/^ *Device \(/ {
	match($0, /\([^)]*\)/)
	depth = match($0, /[^ ]/)
	level++
	indent[level] = depth; name[level] = substr($2, 2, length($2) - 2)
	hid[level] = uid[level] = ""; sun[level] = ej0[level] = 0
	next
}
level > 0 && /^ *}/ && match($0, /[^ ]/) == indent[level] { device_end(level); level--; next }
level > 0 && /^ *Name \(_HID,/ { hid[level] = value($0) }
level > 0 && /^ *Name \(_UID,/ { uid[level] = value($0) }
level > 0 && /^ *Name \(_SUN,/ { sun[level] = 1 }
level > 0 && /^ *Method \(_EJ0,/ { ej0[level] = 1 }
/^ *Method \(/ { in_method = match($0, /[^ ]/); serialized = /Serialized/ && !/NotSerialized/; method = $2 }
in_method && /^ *}/ && match($0, /[^ ]/) == in_method { in_method = 0 }
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
	if (level != 0) fail("the devices do not nest")
	exit bad
}
