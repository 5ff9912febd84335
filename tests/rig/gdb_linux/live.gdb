# What a kernel's developer does to a guest that runs; inside.sh compares what the lines of "fact" say.
set pagination off
set confirm off
set remotetimeout 900
target remote ./linux.gdb
info threads

break *vfs_read
continue
printf "fact break %d\n", $rip == (unsigned long)vfs_read
printf "fact clean %d\n", *(unsigned char *)vfs_read != 0xcc
backtrace
# While one steps the other runs, and is not to stop in the middle of it.
delete
set $at = $rip
stepi
stepi
stepi
printf "fact steps %d\n", $rip > $at && $rip < $at + 32
# The trap at the caller is for one vCPU, and the other one runs over it.
finish
printf "fact finish %d\n", $rip > (unsigned long)ksys_read && $rip < (unsigned long)ksys_read + 256

break *vfs_read
set $first = $_thread
set $laps = 0
while $_thread == $first && $laps < 100
	continue
	set $laps = $laps + 1
end
printf "fact both %d\n", $_thread != $first
delete

hbreak *do_sys_openat2
continue
printf "fact hbreak %d\n", $rip == (unsigned long)do_sys_openat2
continue
printf "fact again %d\n", $rip == (unsigned long)do_sys_openat2
delete

watch *(unsigned long *)&jiffies_64
set $before = *(unsigned long *)&jiffies_64
continue
printf "fact watch %d\n", *(unsigned long *)&jiffies_64 > $before
backtrace
delete
detach
