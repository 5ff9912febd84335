/* SPDX-License-Identifier: Apache-2.0 */
/* exit.c - see exit.h. */
#include "exit.h"

#include "cpu.h"
#include "irq.h"
#include "lib.h"

enum { CMOS_INDEX = 0x70, CMOS_DATA = 0x71, CMOS_BOOTS = 0x70, CMOS_BOOTS_HIGH = 0x71 };
enum { SLOTS_EJECT = 0xcc8 };
enum { PM1_EVENT = 0x600, PM1_CONTROL = 0x604, SLP_EN = 1 << 13 };

extern uint8_t idt[4096]; /* start.S */

static unsigned boots;

static uint8_t cmos_read(uint8_t index)
{
	outb(CMOS_INDEX, index);
	return inb(CMOS_DATA);
}

static void cmos_write(uint8_t index, uint8_t v)
{
	outb(CMOS_INDEX, index);
	outb(CMOS_DATA, v);
}

unsigned exit_boot_count(void)
{
	if (boots == 0) {
		boots = (cmos_read(CMOS_BOOTS_HIGH) << 8 | cmos_read(CMOS_BOOTS)) + 1u;
		cmos_write(CMOS_BOOTS, (uint8_t)boots);
		cmos_write(CMOS_BOOTS_HIGH, (uint8_t)(boots >> 8));
	}
	return boots;
}

/* The doors of reset, in the order in which reset-all takes them. */
enum { DOOR_CF9, DOOR_64, DOOR_92, DOOR_TRIPLE, DOORS };

static unsigned reset_door(void)
{
	static const char *const name[DOORS] = { "reset-cf9", "reset-64", "reset-92", "triple" };

	if (opt_is("exit", "reset-all"))
		return boots % DOORS;
	for (unsigned i = 0; i < DOORS; i++)
		if (opt_is("exit", name[i]))
			return i;
	return DOORS;
}

bool exit_will_reset(void)
{
	return reset_door() < DOORS && boots < opt_number("boots", 2);
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
	switch (reset_door()) {
	case DOOR_CF9:
		outb(0xcf9, 0x02);
		outb(0xcf9, 0x06);
		break;
	case DOOR_64:
		outb(0x64, 0xfe);
		break;
	case DOOR_92:
		outb(0x92, 0x01);
		break;
	default:
		triple_fault();
		break;
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
	else if (opt_number("eject", 0) != 0)
		outl(SLOTS_EJECT, 1u << opt_number("eject", 0));
	hang();
}

_Noreturn void exit_failed(void)
{
	power_off();
	hang();
}
