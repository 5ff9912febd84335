# symbols.awk - an object may use only symbols of its own layer or of one listed for it.
# usage: nm -A -P OBJECTS | awk -f order.awk -f symbols.awk; OBJECTS end in vmm/LAYER/..., runner/... or schema/...
# Runner and schema see the engine's public functions, sill_*, and no others.
{
	path = $1
	sub(/:$/, "", path)
	sub(/^build\/[^\/]*\//, "", path)
	split(path, p, "/")
	layer = p[1] == "vmm" ? p[2] : p[1]
	if ($3 ~ /^[TDBRVWC]$/) {
		home[$2] = layer
		file[$2] = path
	} else if ($3 == "U") {
		n++
		user[n] = path
		from[n] = layer
		used[n] = $2
	}
}
END {
	for (i = 1; i <= n; i++) {
		to = home[used[i]]
		if (to == "" || index(" " allow[from[i]] " ", " " to " ") != 0)
			continue
		if (from[i] ~ /^(runner|schema)$/ && used[i] ~ /^sill_/)
			continue
		path = user[i]
		sub(/o$/, "c", path)
		printf "%s:1: %s uses %s() of %s (%s)\n", path, from[i], used[i], to, file[used[i]]
	}
}
