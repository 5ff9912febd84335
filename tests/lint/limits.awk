# SPDX-License-Identifier: Apache-2.0
# limits.awk - a file or function that is too long wants to be two.
# allow: lines "lines path[:function] reason", each good for a quarter more.
BEGIN {
	while ((getline line < allow) > 0)
		if (split(line, f, " ") >= 3 && f[1] == "lines") ok[f[2]] = 1
	file_max = 900; test_file_max = 1200; function_max = 120
}
function limit(key, max) { return key in ok ? int(max * 5 / 4) : max }
function file_end(   max) {
	max = limit(path, path ~ /^tests\// ? test_file_max : file_max)
	if (last > max) printf "%s:%d: %d lines; the limit is %d\n", path, last, last, max
}
FNR == 1 { if (path != "") file_end(); path = FILENAME; start = 0; name = "" }
{ last = FNR }
/^[A-Za-z_].*\(/ && !/;$/ && !/^#/ {
	name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name)
}
/^\{/ { start = FNR }
/^\}/ {
	if (start > 0 && FNR - start - 1 > limit(path ":" name, function_max))
		printf "%s:%d: %s() has %d lines; the limit is %d\n", path, start, name, FNR - start - 1,
			limit(path ":" name, function_max)
	start = 0
}
END { if (path != "") file_end() }
