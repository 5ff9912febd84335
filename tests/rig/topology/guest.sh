# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
# What lscpu would say, from the files it reads; one line a processor.
line() { # FILE: the lists do not like to be read byte by byte, as the shell does
	if [ -r "$1" ]; then
		cat "$1"
	else
		echo -
	fi
}
cpuinfo() { # CPU: APIC id and initial one, siblings, cores
	awk -v cpu="$1" -F '[ \t]*: *' '$1 == "processor" { me = $2 == cpu }
		me && /^(apicid|initial apicid|siblings|cpu cores)/ { printf "%s %s, ", $1, $2 }' /proc/cpuinfo
}
n=0
while [ -d "/sys/devices/system/cpu/cpu$n" ]; do
	cpu=/sys/devices/system/cpu/cpu$n
	t=$cpu/topology
	caches=''
	for c in "$cpu"/cache/index*; do
		[ ! -d "$c" ] || caches="$caches L$(line "$c/level") $(line "$c/type") $(line "$c/shared_cpu_list");"
	done
	echo "topology cpu $n: $(cpuinfo $n)package $(line $t/physical_package_id) die $(line $t/die_id)" \
		"core $(line $t/core_id), threads $(line $t/thread_siblings_list)," \
		"package cpus $(line $t/package_cpus_list);$caches"
	n=$((n + 1))
done
fact online "$(line /sys/devices/system/cpu/online)"
fact possible "$(line /sys/devices/system/cpu/possible)"
fact nodes "$(line /sys/devices/system/node/online)"
fact packages "$(dmesg | sed -n 's/.*smpboot: Max logical packages: //p')"
dmesg >/tmp/dmesg
fact complaints "$(grep -ciE 'acpi.*(error|warning|exception)|firmware (bug|warn)|bios bug|BUG:|apic ?id.*(mismatch|differ|already)|topology.*(wrong|inconsist|broken|differ)|sched.*(topology|domain).*(differ|broken)|smpboot.*(fail|not responding)|not in topology' /tmp/dmesg)"
grep -iE 'firmware (bug|warn)|mismatch|broken|BUG:|topology|siblings' /tmp/dmesg
