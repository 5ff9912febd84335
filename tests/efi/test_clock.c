/* SPDX-License-Identifier: Apache-2.0 */
/* test_clock.c - TSC, PM timer, SCI and RTC: the clocks of the PC. */
#include <stddef.h>

#include "acpi.h"
#include "clock.h"
#include "cpu.h"
#include "cpuid.h"
#include "fw.h"
#include "lib.h"
#include "report.h"
#include "tests.h"
#include "trap.h"

/* --- PM timer ------------------------------------------------------------- */

static void pm_monotonic(void)
{
	enum { READS = 2000 };
	uint32_t last = pm_timer(), half = pm_timer_is_32bit() ? 1u << 31 : 1u << 23;

	rule_begin("pm-timer.monotonic");
	for (unsigned i = 0; i < READS; i++) {
		uint32_t now = pm_timer();

		if (pm_timer_diff(last, now) >= half)
			rule_bad("%x after %x", now, last);
		if (!pm_timer_is_32bit() && now > 0xffffff)
			rule_bad("%x has more than the 24 bits of the FADT", now);
		last = now;
	}
	(void)rule_end();
}

/* --- RTC ------------------------------------------------------------------ */

enum { RTC_SECONDS = 0, RTC_HOURS = 4, RTC_A = 10, RTC_B = 11, RTC_C = 12, RTC_D = 13 };
enum { A_UIP = 1 << 7, B_PIE = 1 << 6, B_DM = 1 << 2, B_24H = 1 << 1, D_VRT = 1 << 7 };

static uint8_t rtc_read(uint8_t reg)
{
	out8(0x70, reg);
	return in8(0x71);
}

static void rtc_write(uint8_t reg, uint8_t v)
{
	out8(0x70, reg);
	out8(0x71, v);
}

static unsigned rtc_value(uint8_t reg)
{
	uint8_t v = rtc_read(reg);

	return (rtc_read(RTC_B) & B_DM) != 0 ? v : (unsigned)(v >> 4) * 10 + (v & 0xf);
}

static bool second_changes(void)
{
	static uint8_t from = 0xff;
	uint8_t now = rtc_read(RTC_SECONDS);

	if (from == 0xff)
		from = now;
	if (now == from)
		return false;
	from = 0xff;
	return true;
}

/* From one change of the seconds to the next. */
struct second {
	uint32_t pm;
	uint64_t tsc;
};

static bool measure_second(struct second *ret)
{
	uint64_t deadline;
	uint8_t seconds;
	bool on;

	if (!clock_wait(second_changes))
		return false;
	on = irq_off();
	*ret = (struct second){ .pm = pm_timer(), .tsc = rdtsc() };
	seconds = rtc_read(RTC_SECONDS);
	deadline = ret->tsc + tsc_hz + tsc_hz / 2;
	while (rdtsc() < deadline && rtc_read(RTC_SECONDS) == seconds)
		;
	ret->pm = pm_timer_diff(ret->pm, pm_timer());
	ret->tsc = rdtsc() - ret->tsc;
	irq_restore(on);
	return true;
}

static bool within_2_percent(uint64_t v, uint64_t right)
{
	return v >= right / 100 * 98 && v <= right / 100 * 102;
}

/* The ends of a second are found by polling, and the host may be busy just then: several tries. */
static void rtc_second(void)
{
	enum { TRIES = 20 };
	struct second s = { 0 };
	bool changes = true;

	for (unsigned i = 0; i < TRIES && changes; i++) {
		changes = measure_second(&s);
		if (within_2_percent(s.pm, PM_HZ) && within_2_percent(s.tsc, tsc_hz))
			break;
	}
	rule_begin("rtc.second");
	if (!changes)
		rule_bad("the seconds do not change");
	else if (!within_2_percent(s.pm, PM_HZ))
		rule_bad("one second is %u ticks of the PM timer, not %u", s.pm, PM_HZ);
	else if (!within_2_percent(s.tsc, tsc_hz))
		rule_bad("one second is %lu ticks of the TSC, not %lu", s.tsc, tsc_hz);
	(void)rule_end();
}

static bool uip(void)
{
	return (in8(0x71) & A_UIP) != 0;
}

/*
 * It announces the update at least 244 us before: one read after the other, until it is seen. A busy host misses
 * some of these moments, never all.
 */
static void rtc_uip(void)
{
	rule_begin("rtc.uip");
	out8(0x70, RTC_A);
	if (!clock_wait(uip))
		rule_bad("UIP was not seen in half a minute");
	(void)rule_end();
}

static bool is_bcd(uint8_t v)
{
	return (v & 0xf) <= 9 && v >> 4 <= 9;
}

static void rtc_format(void)
{
	static const uint8_t regs[] = { 0, 2, 4, 6, 7, 8, 9, 0x32 };
	uint8_t b = rtc_read(RTC_B);
	unsigned century;

	rule_begin("rtc.format");
	if (rtc_read(RTC_D) != D_VRT)
		rule_bad("register D is %x, not %x", rtc_read(RTC_D), D_VRT);
	if ((b & B_24H) == 0)
		rule_bad("register B is %x: 12 hours", b);
	for (unsigned i = 0; (b & B_DM) == 0 && i < ARRAY_LEN(regs); i++)
		if (!is_bcd(rtc_read(regs[i])))
			rule_bad("register %x is %x, which is not BCD", regs[i], rtc_read(regs[i]));
	if (rtc_value(8) < 1 || rtc_value(8) > 12 || rtc_value(7) < 1 || rtc_value(7) > 31 ||
	    rtc_value(4) > 23 || rtc_value(2) > 59 || rtc_value(0) > 59)
		rule_bad("the date is not one");
	if (acpi_fadt8(FADT_CENTURY) != 0x32)
		rule_bad("the FADT has the century at %x", acpi_fadt8(FADT_CENTURY));
	century = rtc_value(0x32);
	if (century != 20)
		rule_bad("the century is %u", century);
	(void)rule_end();
}

/* --- interrupts through the IOAPIC ------------------------------------------ */

enum { IOAPIC = 0xfec00000, REDIR = 0x10, MASKED = 1 << 16, LEVEL = 1 << 15, ACTIVE_LOW = 1 << 13 };

static uint32_t ioapic_read(uint8_t reg)
{
	mmio_write32(IOAPIC, reg);
	return mmio_read32(IOAPIC + 0x10);
}

static void ioapic_write(uint8_t reg, uint32_t v)
{
	mmio_write32(IOAPIC, reg);
	mmio_write32(IOAPIC + 0x10, v);
}

/* Route pin @pin to us; returns the old entry. */
static uint64_t route(unsigned pin, uint32_t low, uint32_t apic_id)
{
	uint8_t reg = (uint8_t)(REDIR + 2 * pin);
	uint64_t old = ioapic_read(reg) | (uint64_t)ioapic_read((uint8_t)(reg + 1)) << 32;

	ioapic_write(reg, MASKED);
	ioapic_write((uint8_t)(reg + 1), apic_id << 24);
	ioapic_write(reg, low);
	return old;
}

static void route_back(unsigned pin, uint64_t old)
{
	uint8_t reg = (uint8_t)(REDIR + 2 * pin);

	ioapic_write(reg, MASKED);
	ioapic_write((uint8_t)(reg + 1), (uint32_t)(old >> 32));
	ioapic_write(reg, (uint32_t)old);
}

static void rtc_ack(void)
{
	(void)rtc_read(RTC_C);
}

static bool saw_20(void)
{
	return irq_seen[0].count >= 20;
}

/* IRQ 8 at 1024 Hz, acknowledged by reading register C. */
static void rtc_periodic(void)
{
	uint8_t a = rtc_read(RTC_A), b = rtc_read(RTC_B);
	uint64_t from, us, old;
	bool came;

	rule_begin("rtc.periodic");
	irq_seen[0].count = 0;
	irq_hook[0] = rtc_ack;
	old = route(8, IRQ_VECTOR, cpu_fw_apic_id[0]);
	rtc_write(RTC_A, (uint8_t)((a & 0x70) | 6));
	(void)rtc_read(RTC_C);
	from = clock_us();
	rtc_write(RTC_B, b | B_PIE);
	came = clock_wait(saw_20);
	us = clock_us() - from;
	rtc_write(RTC_B, b);
	rtc_write(RTC_A, a & 0x7f);
	(void)rtc_read(RTC_C);
	clock_spin_us(3000);
	route_back(8, old);
	irq_hook[0] = NULL;
	/* 20 periods of 977 us; late ones may bunch up, early ones may not come. */
	if (!came)
		rule_bad("%u interrupts in half a minute, 20 take 20 ms", irq_seen[0].count);
	else if (us < 17000)
		rule_bad("20 interrupts in %lu us, less than 20 periods", us);
	(void)rule_end();
}

static uint16_t pm1_status;

static void sci_ack(void)
{
	uint16_t evt = (uint16_t)acpi_fadt32(FADT_PM1A_EVT);

	pm1_status |= in16(evt);
	out16(evt, in16(evt));
}

static void sci_leave(void)
{
	/* Nothing is acknowledged: a level must come again after the end of interrupt. */
	uint16_t evt = (uint16_t)acpi_fadt32(FADT_PM1A_EVT);

	if (irq_seen[1].count >= 3)
		out16((uint16_t)(evt + 2), 0); /* enough: no enable, no interrupt */
}

static bool saw_sci(void)
{
	return irq_seen[1].count >= 1;
}

static bool saw_3_sci(void)
{
	return irq_seen[1].count >= 3;
}

/* The PM timer's carry (bit 23 changes every 2.3 s) raises the SCI, a level until it is cleared. */
static void sci(void)
{
	enum { TMR_STS = 1, TMR_EN = 1, SCI_FLAGS = 5 };
	uint16_t evt = (uint16_t)acpi_fadt32(FADT_PM1A_EVT), enable;
	uint32_t flags = LEVEL;
	uint64_t old;

	if (evt == 0 || pm_timer_is_32bit()) {
		rule_skip("sci.level", "no PM1a event block, or a timer whose carry takes minutes");
		return;
	}
	for (const uint8_t *p = NULL; (p = acpi_madt_next(2, p)) != NULL;)
		if (get32(p + 4) == acpi_fadt16(FADT_SCI_INT) && (get16(p + 8) & 3) == 3)
			flags |= ACTIVE_LOW;
	rule_begin("sci.level");
	enable = in16((uint16_t)(evt + 2));
	out16((uint16_t)(evt + 2), 0);
	out16(evt, in16(evt));
	irq_seen[1].count = 0;
	pm1_status = 0;
	irq_hook[1] = sci_leave;
	old = route(acpi_fadt16(FADT_SCI_INT), flags | (IRQ_VECTOR + 1), cpu_fw_apic_id[0]);
	out16((uint16_t)(evt + 2), TMR_EN);
	if (!clock_wait(saw_3_sci))
		rule_bad("%u interrupts of a status that nobody clears", irq_seen[1].count);
	clock_spin_us(1000);
	if (irq_seen[1].count > 3)
		rule_bad("%u interrupts after the enable bit was cleared", irq_seen[1].count - 3);
	if ((in16(evt) & TMR_STS) == 0)
		rule_bad("PM1_STS is %x: TMR_STS is gone", in16(evt));
	/* Once more with an acknowledgement: one interrupt, and the line goes down. */
	irq_seen[1].count = 0;
	irq_hook[1] = sci_ack;
	out16((uint16_t)(evt + 2), TMR_EN);
	if (!clock_wait(saw_sci))
		rule_bad("no interrupt for a status that is set when it is enabled");
	clock_spin_us(1000);
	if (irq_seen[1].count != 1 || (pm1_status & TMR_STS) == 0)
		rule_bad("%u interrupts, status %x: one with TMR_STS is right", irq_seen[1].count,
			 pm1_status);
	out16((uint16_t)(evt + 2), 0);
	route_back(acpi_fadt16(FADT_SCI_INT), old);
	out16(evt, in16(evt));
	out16((uint16_t)(evt + 2), enable);
	irq_hook[1] = NULL;
	(void)rule_end();
}

static void ioapic(void)
{
	uint32_t version = ioapic_read(1);

	rule_begin("ioapic.version-read-only");
	ioapic_write(1, 0);
	if (ioapic_read(1) != version || bits(version, 23, 16) != 23)
		rule_bad("version %x, then %x after a write; 24 pins are right", version,
			 ioapic_read(1));
	(void)rule_end();
}

/* --- TSC on all processors -------------------------------------------------- */

static volatile uint64_t tsc_there[MAX_CPUS];

static void take_tsc(unsigned cpu, void *ctx)
{
	(void)ctx;
	tsc_there[cpu] = rdtsc();
}

/* Asked one after the other, each lies between our own readings around it. */
static void tsc_equal(void)
{
	rule_begin("tsc.equal");
	for (unsigned cpu = 1; cpu < cpu_count; cpu++) {
		uint64_t before = rdtsc(), after;

		mp_on(cpu, take_tsc, NULL);
		after = rdtsc();
		if (tsc_there[cpu] < before || tsc_there[cpu] > after)
			rule_bad("processor %u reads %lx, between %lx and %lx is right", cpu,
				 tsc_there[cpu], before, after);
	}
	(void)rule_end();
}

void test_clock(void)
{
	pm_monotonic();
	tsc_equal();
	rtc_format();
	rtc_second();
	rtc_uip();
	ioapic();
	rtc_periodic();
	sci();
}
