/* SPDX-License-Identifier: Apache-2.0 */
/* exit.c - see exit.h. */
#include "exit.h"

#include "cpu.h"
#include "irq.h"
#include "lib.h"

enum { CMOS_INDEX = 0x70, CMOS_DATA = 0x71, CMOS_BOOTS = 0x70 };
enum { PM1_EVENT = 0x600, PM1_CONTROL = 0x604, SLP_EN = 1 << 13 };

extern uint8_t idt[4096]; /* start.S */

static unsigned boots;

unsigned exit_boot_count(void)
{
	if (boots == 0) {
		outb(CMOS_INDEX, CMOS_BOOTS);
		boots = inb(CMOS_DATA) + 1u;
		outb(CMOS_INDEX, CMOS_BOOTS);
		outb(CMOS_DATA, (uint8_t)boots);
	}
	return boots;
}

static bool is_reset_door(void)
{
	return opt_is("exit", "reset-cf9") || opt_is("exit", "reset-64") ||
	       opt_is("exit", "triple");
}

bool exit_will_reset(void)
{
	return is_reset_door() && boots < opt_number("boots", 2);
}

_Noreturn static void hang(void)
{
	for (;;) {
		if (cpu_ring() == 0)
			__asm__ volatile("cli; hlt");
		else
			cpu_idle(cpu0.irqs);
	}
}

static void power_off(void)
{
	/* Two writes, as operating systems do: the sleep type, then SLP_EN. */
	outw(PM1_CONTROL, 0);
	outw(PM1_CONTROL, SLP_EN);
}

/* With no gate present the first exception becomes a double fault, and that a triple fault. */
static void triple_fault(void)
{
	memset(idt, 0, sizeof(idt));
	__asm__ volatile("ud2");
}

static void reset(void)
{
	if (opt_is("exit", "reset-cf9")) {
		outb(0xcf9, 0x02);
		outb(0xcf9, 0x06);
	} else if (opt_is("exit", "reset-64")) {
		outb(0x64, 0xfe);
	} else {
		triple_fault();
	}
}

_Noreturn void exit_by_door(void)
{
	if (exit_will_reset())
		reset();
	else if (opt_is("exit", "byte600"))
		outb(PM1_EVENT, 0x34);
	else if (!opt_is("exit", "hang"))
		power_off();
	hang();
}

_Noreturn void exit_failed(void)
{
	power_off();
	hang();
}
