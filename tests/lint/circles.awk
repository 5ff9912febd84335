# circles.awk - no circle of files reaches across two folders: what stands in one folder is read, tested and
# changed as one, and two folders that need each other are one.
# usage: nm -A -P OBJECTS | awk -f order.awk -f symbols.awk -f circles.awk; the symbols are those of symbols.awk.
function folder(path) { sub(/\/[^\/]*$/, "", path); return path }
# Tarjan: the files that all lead to each other get one number.
function visit(f,   i, n, to, t) {
	seen[f] = low[f] = ++clock
	stack[++depth] = f
	open[f] = 1
	n = split(leads[f], to, " ")
	for (i = 1; i <= n; i++) {
		t = to[i]
		if (!(t in seen)) {
			visit(t)
			if (low[t] < low[f]) low[f] = low[t]
		} else if (open[t] && seen[t] < low[f])
			low[f] = seen[t]
	}
	if (low[f] != seen[f])
		return
	do {
		t = stack[depth--]
		open[t] = 0
		circle[t] = seen[f]
	} while (t != f)
}
END {
	for (i = 1; i <= n; i++) {
		to = file[used[i]]
		if (to == "" || to == user[i] || (user[i], to) in why)
			continue
		why[user[i], to] = used[i]
		leads[user[i]] = leads[user[i]] " " to
	}
	for (f in leads)
		if (!(f in seen))
			visit(f)
	for (pair in why) {
		split(pair, p, SUBSEP)
		if (circle[p[1]] != circle[p[2]] || folder(p[1]) == folder(p[2]))
			continue
		sub(/o$/, "c", p[1])
		sub(/o$/, "c", p[2])
		printf "%s:1: a circle across folders: uses %s() of %s, which leads back\n", p[1], why[pair], p[2] | "sort"
	}
}
