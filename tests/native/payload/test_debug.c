/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_debug.c - something for a debugger to look at: two processors that go round and round until it says that
 * they shall not. Its names are for the debugger; they are told by the symbols of payload.elf.
 */
#include "cpu.h"
#include "irq.h"
#include "lib.h"
#include "smp.h"
#include "test.h"

volatile uint64_t debug_laps, debug_other_laps; /* of the first processor, and the second */
volatile uint64_t debug_tens;                   /* written every tenth lap of the first */
volatile bool debug_done;                       /* the debugger sets it */
volatile uint32_t debug_sum;

void debug_lap(uint64_t n);
void debug_other_lap(void);
void debug_own_breakpoint(void);

__attribute__((noinline)) void debug_lap(uint64_t n)
{
	debug_laps = n;
	if (n % 10 == 0)
		debug_tens = n;
}

__attribute__((noinline)) void debug_other_lap(void)
{
	debug_other_laps++;
}

/* Four instructions that are known. */
__attribute__((naked, noinline)) void debug_own_breakpoint(void)
{
	__asm__("nop\n\tnop\n\tmov $0x1234, %eax\n\tret");
}

static void other(struct cpu *c)
{
	(void)c;
	while (!debug_done)
		debug_other_lap();
}

static void debug_laps__end_when_the_debugger_says_so(void)
{
	SKIP_IF(smp_start() < 2, "one processor");
	smp_run(smp_cpu[1], other);
	for (uint64_t n = 1; !debug_done; n++) {
		debug_lap(n);
		debug_own_breakpoint();
	}
	CHECK(smp_wait(smp_cpu[1], LONG_MS), "the other processor did not end");
}

const struct test debug_tests[] = {
	{ "debug_laps__end_when_the_debugger_says_so", debug_laps__end_when_the_debugger_says_so },
	{ 0 },
};
