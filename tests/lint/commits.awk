# SPDX-License-Identifier: Apache-2.0
# commits.awk - the form of commit messages: "area: what it does", a blank line, and why.
# Input: \001 and the hash on a line, then the message.
function bad(what) { printf "commit %s: %s\n", hash, what }
function end_of_message() { if (hash != "" && body == 0) bad("says what, but not why: " subject) }
/^\001/ { end_of_message(); hash = substr($0, 2); row = 0; body = 0; next }
{ row++ }
row == 1 {
	subject = $0
	if (length > 72) bad("subject of " length " characters; the limit is 72")
	if ($0 !~ /^[a-z0-9][A-Za-z0-9_.\/+-]*(, [a-z0-9][A-Za-z0-9_.\/+-]*)*: [^ ]/)
		bad("the subject is not 'area: what it does': " subject)
	if (/\.$/) bad("full stop after the subject")
}
row == 2 && $0 != "" { bad("no blank line after the subject") }
row > 2 && $0 != "" { body++ }
row > 2 && length > 100 && !/:\/\// { bad("a line of " length " characters") }
/^(Co-[Aa]uthored-[Bb]y|Generated)/ { bad("no trailers of that kind: " $0) }
END { end_of_message() }
