# SPDX-License-Identifier: Apache-2.0
# limits.awk - a file or function that is too long wants to be two.
# So does one with many parameters; where an error goes (struct sill_err *) is not one of them.
# allow: "lines path[:function] reason", each good for a quarter more; "parameters path:function reason".
BEGIN {
	while ((getline line < allow) > 0)
		if (split(line, f, " ") >= 3) ok[f[1], f[2]] = 1
	file_max = 850; test_file_max = 1200; function_max = 60; test_function_max = 120; parameters_max = 5
}
function limit(key, max) { return ("lines", key) in ok ? int(max * 5 / 4) : max }
# How many parameters has a function whose head is text?
function parameters(text,   i, c, depth, n) {
	sub(/struct sill_err \*[a-z_]*/, "", text)
	sub(/, *\)/, ")", text)
	for (i = index(text, "("); i > 0 && i <= length(text); i++) {
		c = substr(text, i, 1)
		depth += (c == "(") - (c == ")")
		if (depth == 0) break
		n += c == "," && depth == 1
	}
	return n + 1
}
function file_end(   max) {
	max = limit(path, path ~ /^tests\// ? test_file_max : file_max)
	if (last > max) printf "%s:%d: %d lines; the limit is %d\n", path, last, last, max
}
FNR == 1 { if (path != "") file_end(); path = FILENAME; start = 0; name = "" }
{ last = FNR }
/^[A-Za-z_].*\(/ && !/;$/ && !/^#/ {
	name = $0; sub(/\(.*/, "", name); sub(/.*[ *]/, "", name)
	head = ""
}
start == 0 { head = head $0 }
/^\{/ {
	start = FNR
	count = path ~ /^tests\// || head !~ /\(/ ? 0 : parameters(head)
	if (count > parameters_max && !(("parameters", path ":" name) in ok))
		printf "%s:%d: %s() has %d parameters; the limit is %d\n", path, FNR - 1, name, count, parameters_max
}
/^\}/ {
	max = limit(path ":" name, path ~ /^tests\// ? test_function_max : function_max)
	if (start > 0 && FNR - start - 1 > max)
		printf "%s:%d: %s() has %d lines; the limit is %d\n", path, start, name, FNR - start - 1, max
	head = ""
	start = 0
}
END { if (path != "") file_end() }
