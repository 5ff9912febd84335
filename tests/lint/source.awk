# SPDX-License-Identifier: Apache-2.0
# source.awk - rules for C: header comment, include guards and order, functions and words we do
# without. Comments and strings are taken out before words are looked for.
function bad(what) { printf "%s:%d: %s\n", FILENAME, FNR, what }
# allow: lines "rule path reason"
BEGIN {
	while ((getline line < allow) > 0)
		if (split(line, f, " ") >= 3 && f[1] !~ /^#/) ok[f[1], f[2]] = 1
	# function -> what to use
	no["strcpy"] = no["strcat"] = no["stpcpy"] = no["strncpy"] = "snprintf or memcpy"
	no["sprintf"] = no["vsprintf"] = "snprintf"
	no["gets"] = "fgets"
	no["strtok"] = "strchr"
	no["atoi"] = no["atol"] = no["atoll"] = no["atof"] = "strtoull with its checks"
	no["strerror"] = "strerrordesc_np"
	no["alloca"] = "an array with a limit"
	no["setjmp"] = no["longjmp"] = "return"
	no["signal"] = "sigaction or signalfd"
	no["sleep"] = no["usleep"] = "an event or a timer"
	no["rand"] = no["srand"] = "getrandom"
	no["system"] = no["popen"] = "posix_spawn"
	no["tmpnam"] = no["mktemp"] = "mkstemp"
	# the engine is a library
	lib["exit"] = lib["_exit"] = lib["_Exit"] = "an error to the caller"
	lib["printf"] = lib["puts"] = lib["putchar"] = lib["perror"] = "log_line"
	lib["chdir"] = lib["umask"] = lib["setenv"] = lib["fork"] = "nothing: it changes the whole process"
	lib["getenv"] = "struct sill_config"
	lib["sigfillset"] = "thread_signals: a fault must find its handler"
	lib["pthread_create"] = "thread_create"
	# a thread of the program blocks signals, but not those of its own faults: their handler puts the terminal back
	prog["pthread_create"] = prog["sigfillset"] = "worker_create"
}
FNR == 1 {
	name = FILENAME; sub(/.*\//, "", name)
	stem = name; sub(/\.[^.]*$/, "", stem)
	test = FILENAME ~ /^tests\//
	guest = FILENAME ~ /^tests\/(native|guest|efi)\// # programs of their own, often without a libc
	engine = FILENAME ~ /^vmm\//
	program = FILENAME ~ /^runner\//
	header = name ~ /\.h$/
	comment = 0; named = 0; guard = ""; includes = 0
	want = FILENAME; sub(/^(vmm|include)\//, "", want)
	gsub(/[^A-Za-z0-9]/, "_", want); want = toupper(want)
	own = FILENAME; sub(/^vmm\//, "", own); sub(/\.c$/, ".h", own)
	split("", seen)
}
FNR == 2 && !/^\/\*/ { bad("no header comment") }
FNR <= 4 && (index($0, name " - ") > 0 || index($0, " " stem " - ") > 0) { named = 1 }
FNR == 4 && !named { bad("the header comment does not begin with '" name " - '") }
header && guard == "" && /^#ifndef / {
	guard = $2
	if (!test && guard != want) bad("the include guard is " guard ", not " want)
}
header && /^#define / && FNR < 60 && $2 == guard { seen["guard"] = 1 }
/^#include/ {
	includes++
	if ($2 ~ /\.\.\// && !guest) bad("includes start at a root, never with ../")
	if (($2 in seen) && $2 !~ /\.def"$/) bad("included twice: " $2)
	seen[$2] = 1
	if (!test && includes == 1 && name ~ /\.c$/ && $2 != "\"" own "\"" &&
	    (getline line < ("vmm/" own)) >= 0 && FILENAME ~ /^vmm\//)
		bad("a file includes its own header first: \"" own "\"")
	close("vmm/" own)
	next
}
{
	code = $0
	# strings and characters
	gsub(/\\\\/, "", code); gsub(/\\"/, "", code); gsub(/'"'/, "", code)
	gsub(/"[^"]*"/, "\"\"", code)
	if (comment) {
		if (!sub(/^.*\*\//, "", code)) code = ""
		else comment = 0
	}
	while (match(code, /\/\*/)) {
		head = substr(code, 1, RSTART - 1); rest = substr(code, RSTART + 2)
		if ((at = index(rest, "*/")) > 0) code = head " " substr(rest, at + 2)
		else { code = head; comment = 1; break }
	}
	if (code ~ /\/\//) bad("comments are /* */; // is for what must not stay")
	if ($0 ~ /(^|[^A-Za-z])(TODO|FIXME|XXX)([^A-Za-z]|$)/ && $0 !~ /TODO\([^)]+\)/) bad("TODO(issue), or do it")
	if (code ~ /__attribute__ *\(\((packed|constructor)/)
		bad("no packed structs and no constructors")
	if (code ~ /(^|[^A-Za-z0-9_])volatile([^A-Za-z0-9_]|$)/ && engine && code !~ /asm(__)? volatile/ && !(("volatile", FILENAME) in ok))
		bad("volatile: use __atomic, or gmem")
	while (match(code, /[A-Za-z_][A-Za-z0-9_]* *\(/)) {
		word = substr(code, RSTART, RLENGTH); sub(/ *\($/, "", word)
		before = substr(code, 1, RSTART - 1)
		member = before ~ /(\.|->)$/
		code = substr(code, RSTART + RLENGTH)
		if (member || ((word, FILENAME) in ok)) continue
		if ((word in no) && !guest && !(test && word ~ /^(system|signal|setjmp|longjmp)$/))
			bad(word "(): use " no[word])
		else if (engine && (word in lib))
			bad(word "() in the engine: use " lib[word])
		else if (program && (word in prog))
			bad(word "() in the program: use " prog[word])
	}
}
