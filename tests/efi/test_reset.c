/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_reset.c - the doors out, and what a reset must have undone.
 *
 * Before the reset the application leaves marks: a pattern in the free pages of
 * the low 64 KiB, a TSC beyond 2^54, Hyper-V registers switched on, a
 * TSC_ADJUST. Firmware runs between the reset and our look, and uses memory:
 * what it overwrites cannot be judged, what still has the pattern was not wiped.
 */
#include <stddef.h>

#include "acpi.h"
#include "clock.h"
#include "cpu.h"
#include "cpuid.h"
#include "fw.h"
#include "hyperv.h"
#include "lib.h"
#include "pci.h"
#include "report.h"
#include "tests.h"
#include "trap.h"

#define PATTERN   0x57494e5445535421ull
#define TSC_LIMIT (1ull << 54)

enum { MSR_HV_RESET = 0x40000003 };

/* --- before ------------------------------------------------------------------ */

static void mark_low_memory(void)
{
	state.low_pages = 0;
	for (uint64_t page = 1; page < 16; page++) {
		uint64_t *p = (uint64_t *)(page << 12);

		if (!fw_page_at(page << 12))
			continue;
		for (unsigned i = 0; i < 512; i++)
			p[i] = PATTERN;
		state.low_pages |= 1u << page;
	}
}

void prepare_reset(void)
{
	mark_low_memory();
	(void)try_wrmsr(MSR_MC0_CTL, 0);
	hyperv_leave_on();
	state.hyperv = has_hyperv() ? 1 : 0;
	/* Last: our own clock jumps with it. */
	(void)try_wrmsr(MSR_TSC, rdtsc() + (1ull << 55));
}

/* --- after --------------------------------------------------------------------- */

static volatile uint64_t there[MAX_CPUS], adjust[MAX_CPUS];

static void take(unsigned cpu, void *ctx)
{
	(void)ctx;
	there[cpu] = rdtsc();
	adjust[cpu] = rdmsr(MSR_TSC_ADJUST);
}

/* Some versions of Windows hang on a reboot with a TSC above 2^54. */
static void tsc(uint64_t at_entry)
{
	enum { MINUTES = 5 };

	rule_begin("reset.tsc");
	if (at_entry >= TSC_LIMIT || at_entry > tsc_hz * 60 * MINUTES)
		rule_bad("%lx when we start, after %lx before the reset", at_entry, state.tsc);
	mp_each(take, NULL);
	for (unsigned cpu = 0; cpu < cpu_count; cpu++) {
		if (there[cpu] < at_entry || there[cpu] > rdtsc())
			rule_bad("processor %u reads %lx, between %lx and %lx is right", cpu,
				 there[cpu], at_entry, rdtsc());
		if (adjust[cpu] != 0 && adjust[cpu] != ~0ull)
			rule_bad("processor %u has TSC_ADJUST %lx", cpu, adjust[cpu]);
	}
	(void)rule_end();
}

static void low_memory(void)
{
	if (state.low_pages == 0) {
		rule_skip("reset.low-memory", "no free page below 64 KiB");
		return;
	}
	rule_begin("reset.low-memory");
	for (uint64_t page = 1; page < 16; page++)
		for (unsigned i = 0; i < 512 && bit(state.low_pages, (unsigned)page); i++)
			if (((volatile uint64_t *)(page << 12))[i] == PATTERN)
				rule_bad("%lx still has its old contents", (page << 12) + 8 * i);
	(void)rule_end();
}

static void machine_check(void)
{
	rule_begin("reset.machine-check");
	if (rdmsr(MSR_MC0_CTL) != ~0ull)
		rule_bad("MC0_CTL is %lx, all ones are right", rdmsr(MSR_MC0_CTL));
	(void)rule_end();
}

static void acpi_registers(void)
{
	uint16_t cnt = in16((uint16_t)acpi_fadt32(FADT_PM1A_CNT));

	rule_begin("reset.acpi");
	if ((cnt & 1) == 0)
		rule_bad("PM1a_CNT is %x: SCI_EN is clear", cnt);
	(void)rule_end();
}

void test_after_reset(uint64_t tsc_at_entry)
{
	tsc(tsc_at_entry);
	low_memory();
	acpi_registers();
	machine_check();
	hyperv_after_reset();
}

/* --- the doors --------------------------------------------------------------------- */

static void door_cold(void)
{
	fw_reset(DOOR_COLD);
}

static void door_warm(void)
{
	fw_reset(DOOR_WARM);
}

static void door_shutdown(void)
{
	fw_reset(DOOR_SHUTDOWN);
}

static void door_cf9(void)
{
	out8(0xcf9, 2);
	out8(0xcf9, 6);
}

static void door_kbd(void)
{
	while ((in8(0x64) & 2) != 0)
		;
	out8(0x64, 0xfe);
}

static void door_acpi(void)
{
	out8((uint16_t)acpi_fadt64(FADT_RESET_REG + 4), acpi_fadt8(FADT_RESET_VALUE));
}

/* The hypervisor interface's reset register, where it is offered. */
static void door_hyperv(void)
{
	(void)try_wrmsr(MSR_HV_RESET, 1);
}

static void door_triple(void)
{
	const struct idt_register none = { 0 };

	__asm__ volatile("lidt %0; int3" : : "m"(none));
}

static void enter_sleep(uint16_t type)
{
	uint16_t port = (uint16_t)acpi_fadt32(FADT_PM1A_CNT);

	out16(port, (uint16_t)((in16(port) & 0xc3ff) | type << 10));
	out16(port, (uint16_t)((in16(port) & 0xc3ff) | type << 10 | 1 << 13));
}

static void door_s5(void)
{
	enter_sleep(5);
}

static void door_s5_0(void)
{
	enter_sleep(0);
}

static void door_port600(void)
{
	out8(0x600, 0x34);
}

/* clang-format off */
static const struct {
	const char *name;
	void (*fn)(void);
} doors[] = {
	{ "cold", door_cold },
	{ "warm", door_warm },
	{ "shutdown", door_shutdown },
	{ "cf9", door_cf9 },
	{ "kbd", door_kbd },
	{ "acpi", door_acpi },
	{ "hyperv", door_hyperv },
	{ "triple", door_triple },
	{ "s5", door_s5 },
	{ "s5-0", door_s5_0 },
	{ "port600", door_port600 },
};
/* clang-format on */

void leave_by(const char *door)
{
	enum { LIMIT_TICKS = 5 * PM_HZ / 4 };
	const char *rule = "not ok wintest.door";
	uint32_t from;

	for (size_t i = 0; i < ARRAY_LEN(doors); i++) {
		if (!streq(doors[i].name, door))
			continue;
		doors[i].fn();
		rule = "not ok door";
		/* A reset may come a little later: by the PM timer, as the TSC may have jumped. */
		from = pm_timer();
		while (pm_timer_diff(from, pm_timer()) < LIMIT_TICKS)
			cpu_pause();
	}
	say("%s: still here after the door %s", rule, door);
	fw_reset(DOOR_SHUTDOWN);
}
