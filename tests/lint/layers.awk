# layers.awk - a file may include only its own layer or one listed for it.
# usage: awk -f order.awk -f layers.awk $(git ls-files 'vmm/*.[ch]' 'runner/*.[ch]' 'schema/*.[ch]')
BEGIN {
	kvm["core"] = kvm["arch"] = kvm["vm"] = 1
}
FNR == 1 {
	n = split(FILENAME, p, "/"); layer = ""
	for (i = 1; i < n; i++) if (p[i] == "vmm") layer = p[i + 1]
	if (p[1] == "runner" || p[1] == "schema") layer = p[1]
}
layer == "" { next }
/^#include "/ {
	split($2, q, /["\/]/); to = q[2]
	if ((to in allow) && index(" " allow[layer] " ", " " to " ") == 0) {
		printf "%s:%d: %s must not include %s\n", FILENAME, FNR, layer, to; bad = 1
	}
	if ($2 ~ /\.\.\//) {
		printf "%s:%d: includes start at the root, never with ../\n", FILENAME, FNR; bad = 1
	}
}
/^#include <linux\/kvm.h>/ && !(layer in kvm) && FILENAME != "runner/host/doctor.c" {
	printf "%s:%d: only core/, arch/ and vm/ may see KVM\n", FILENAME, FNR; bad = 1
}
END { exit bad }
