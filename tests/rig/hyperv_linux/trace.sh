# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=dash
#
# trace.sh - KVM's own account of what guests do: histograms of its trace events. To be sourced.
TRACING=/sys/kernel/debug/tracing/events/kvm

# trace_start: count from here on; fails where the host's kernel cannot
trace_start() {
	[ -d /sys/kernel/debug/kvm ] || mount -t debugfs debugfs /sys/kernel/debug || return
	trace_set 'keys=ecx,write' kvm_msr && trace_set 'keys=code' kvm_hv_hypercall &&
		trace_set 'keys=exit_reason' kvm_exit
}

trace_set() { # KEYS EVENT
	[ -e "$TRACING/$2/trigger" ] && echo "hist:$1" >"$TRACING/$2/trigger"
}

trace_clear() {
	echo 'hist:keys=ecx,write:clear' >>$TRACING/kvm_msr/trigger
	echo 'hist:keys=code:clear' >>$TRACING/kvm_hv_hypercall/trigger
	echo 'hist:keys=exit_reason:clear' >>$TRACING/kvm_exit/trigger
}

hits() { # EVENT PATTERN: how often
	sed -n "s/^{ *$2 *} hitcount: *//p" "$TRACING/$1/hist" | awk '{ n += $1 } END { print n + 0 }'
}

msr_reads() { # MSR
	hits kvm_msr "ecx: *$(($1)), write: *0"
}

msr_writes() { # MSR
	hits kvm_msr "ecx: *$(($1)), write: *1"
}

hypercalls() { # CODE
	hits kvm_hv_hypercall "code: *$(($1))"
}
