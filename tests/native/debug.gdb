# What a debugger does to the payload's section debug: run by case_debug of tests/native/run, which compares what
# the lines of "fact" say.
set pagination off
set confirm off
set remotetimeout 300
target remote vm.gdb
printf "fact cr0 %d\n", $cr0 & 1
break debug_lap
continue
printf "fact break %d\n", $rip == (unsigned long)debug_lap
printf "fact clean %d\n", *(unsigned char *)debug_lap != 0xcc
stepi
printf "fact step %d\n", $rip > (unsigned long)debug_lap && $rip < (unsigned long)debug_lap + 16
delete
hbreak debug_own_breakpoint
continue
printf "fact hbreak %d\n", $rip == (unsigned long)debug_own_breakpoint
set scheduler-locking on
set $other = *(unsigned long *)&debug_other_laps
stepi
stepi
stepi
printf "fact eax 0x%x\n", $eax
printf "fact stays %d\n", $other == *(unsigned long *)&debug_other_laps
set scheduler-locking off
delete
watch *(unsigned long *)&debug_tens
continue
set $tens = *(unsigned long *)&debug_tens
continue
printf "fact watch %d\n", *(unsigned long *)&debug_tens - $tens
printf "fact tenth %d\n", $tens % 10
delete
thread 2
set $rcx = 0x1234567812345678
printf "fact rcx 0x%lx\n", $rcx
stepi
printf "fact thread %d\n", $_thread
break debug_other_lap
continue
printf "fact other %d %d\n", $_thread, $rip == (unsigned long)debug_other_lap
set var *(unsigned int *)&debug_sum = 0xabcd1234
printf "fact sum 0x%x\n", *(unsigned int *)&debug_sum
monitor phys on
printf "fact phys 0x%x\n", *(unsigned int *)&debug_sum
monitor phys off
set var *(char *)&debug_done = 1
detach
