# SPDX-License-Identifier: Apache-2.0
# text.awk - rules for every text file: white space, licence line, words that do not belong here.
function bad(what) { printf "%s:%d: %s\n", FILENAME, FNR, what }
# allow: lines "space path reason"
BEGIN {
	while ((getline line < allow) > 0)
		if (split(line, f, " ") >= 3 && f[1] == "space") spaced[f[2]] = 1
	# Places on the authors' machines; in pieces, so that this file does not name them.
	elsewhere = "(^|[^A-Za-z0-9_.])(/wo" "rk/|(\\.\\./)*sha" "red/|/tmp/(to" "ols|w" "t)/)"
}
FNR == 1 {
	finish()
	path = FILENAME
	licensed = !(path ~ /\.(c|h|S)$/ || $0 ~ /^#!/)
	shebang = $0 ~ /^#!/
}
FNR <= 2 && /SPDX-License-Identifier: Apache-2\.0/ { licensed = 1 }
FNR == 2 && !licensed { bad("no SPDX line") }
/[ \t]$/ && !(FILENAME in spaced) { bad("white space at the end") }
/\r/ { bad("carriage return") }
/^ +\t/ { bad("blanks before a tab") }
/^(<<<<<<<|>>>>>>>)/ { bad("left over from a merge") }
{
	if (match($0, elsewhere))
		bad("names a place outside of the repository: " substr($0, RSTART, RLENGTH))
	blank = $0 == ""
	last = FNR
}
function finish() {
	if (path != "" && blank) printf "%s:%d: blank line at the end\n", path, last
}
END { finish() }
