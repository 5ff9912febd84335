# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154
# In the rig. What is asserted goes to standard error: standard output is the core dump, packed.
exec 3>&1 1>&2
. ./lib.sh

# Both processors read files, and something says that they do.
cat >guest.sh <<'S'
for cpu in 1 2; do
	taskset $cpu sh -c 'while :; do read -r up </proc/uptime; done' &
done
lap=0
while :; do
	sleep 1
	lap=$((lap + 1))
	echo "lap $lap"
done
S
script_disk guest.sh script.img
cat >linux.yaml <<Y
sill: 1
name: linux
guest: linux
kernel: $GUEST/vmlinuz
initramfs: $GUEST/initrd
cmdline: console=ttyS0 quiet nokaslr
cpus: {boot: 2}
memory: {size: 256M}
disk: [{path: script.img, format: raw, readonly: on, serial: sill-script}]
serial: {mode: file, path: linux.out}
Y
start linux sill run --gdb ./linux.gdb linux.yaml

# It goes on: two more laps than now.
goes_on() {
	wait_line linux '^lap ' $SILENCE $(($(output linux | grep -c '^lap ') + 2)) >/dev/null
}

has() { # WHAT FILE PATTERN
	grep -qE -e "$3" "$2" && ok "$1: '$3'" || not_ok "$1: no '$3'" "$(tail -n 40 "$2")"
}

wait_line linux '^lap 2'
gdb -nx -batch -x live.gdb vmlinux >live.txt 2>&1
cat live.txt
for fact in break clean steps finish both hbreak again watch; do
	assert_eq "$fact" 1 "$(sed -n "s/^fact $fact //p" live.txt)"
done
has "threads" live.txt 'Thread 2'
for frame in '#0 .*vfs_read' '#1 .* ksys_read' ' do_syscall_64 ' ' entry_SYSCALL_64' 'Hardware watchpoint' ' tick_'; do
	has "backtrace" live.txt "$frame"
done
goes_on

# One that has a trap in the guest's memory while that runs, and is killed.
start killed gdb -nx -batch -ex 'target remote ./linux.gdb' -ex 'break *panic' -ex 'hbreak *start_kernel' -ex continue vmlinux
until grep -q 'breakpoint 2' killed.out || ! kill -0 "$(pid_of killed)"; do usleep 100000; done 2>/dev/null
goes_on
assert_ok "coredump" sill ctl linux coredump core linear=on
goes_on
assert_ok "gdb is there yet" kill -9 "$(pid_of killed)"
goes_on
assert_ok "a core dump afterwards" sill ctl linux coredump core2
sill ctl linux quit
assert_exit linux 0

gdb -nx -batch -ex 'info threads' -ex 'thread apply all backtrace' -ex 'x/bx panic' -ex 'x/bx vfs_read' \
	-ex 'print *(unsigned long *)&jiffies_64 > 4294892296' -ex 'x/s &linux_banner' vmlinux core >core.txt 2>&1
cat core.txt
has "core" core.txt 'LWP 2'
has "core" core.txt '#[2-9] .* (do_syscall_64|entry_SYSCALL_64|cpu_startup_entry|do_idle|asm_[a-z_]*) '
has "core" core.txt '"Linux version '
has "core: time has passed" core.txt '\$1 = 1'
assert_lacks "core" "$(grep '<panic\|<vfs_read' core.txt)" '0xcc'
gzip -1 <core >&3
