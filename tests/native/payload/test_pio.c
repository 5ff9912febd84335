/* SPDX-License-Identifier: Apache-2.0 */
/* test_pio.c - the chips behind ports: RTC, UART, PM block, fw_cfg, and nobody. */
#include "cpu.h"
#include "irq.h"
#include "lib.h"
#include "test.h"

/* ---- RTC: MC146818A */

enum { RTC_SECONDS = 0, RTC_A = 0x0a, RTC_B = 0x0b, RTC_C = 0x0c, RTC_D = 0x0d, RTC_NVRAM = 0x72 };
enum { RTC_IRQ = 8, UART_IRQ = 4, UART2_IRQ = 3 };

static uint8_t cmos_read(unsigned i)
{
	outb(0x70, (uint8_t)i);
	return inb(0x71);
}

static void cmos_write(unsigned i, uint8_t v)
{
	outb(0x70, (uint8_t)i);
	outb(0x71, v);
}

static unsigned rtc_number(unsigned reg)
{
	uint8_t v = cmos_read(reg);

	return (cmos_read(RTC_B) & 4) != 0 ? v : 10u * (v >> 4) + (v & 15u);
}

static void pio_rtc__shows_a_date(void)
{
	unsigned month = rtc_number(8), year = rtc_number(9);

	CHECK(rtc_number(0) < 60 && rtc_number(2) < 60, "minutes or seconds above 59");
	CHECK(rtc_number(7) >= 1 && rtc_number(7) <= 31, "day %u", rtc_number(7));
	CHECK(month >= 1 && month <= 12, "month %u", month);
	CHECK(year >= 24 && year <= 99, "year %u", year);
	CHECK((cmos_read(RTC_D) & 0x80) != 0, "the battery is said to be flat (D %x)",
	      cmos_read(RTC_D));
}

static bool second_changed(void *ctx)
{
	return cmos_read(RTC_SECONDS) != *(const uint8_t *)ctx;
}

/* A host that takes the processor away at the wrong moment spoils a second: many are tried. */
static void pio_rtc__second_is_a_second_of_the_pm_timer(void)
{
	uint8_t s = cmos_read(RTC_SECONDS);
	uint32_t from, ticks = 0;

	CHECK(poll_for(second_changed, &s, LONG_MS), "the seconds stand still");
	for (unsigned i = 0; i < 30; i++) {
		from = pm_timer();
		s = cmos_read(RTC_SECONDS);
		CHECK(poll_for(second_changed, &s, LONG_MS), "the seconds stopped");
		ticks = (pm_timer() - from) & 0xffffff;
		if (ticks > 3400000 && ticks < 3760000) /* 3579545 +- 5 % */
			return;
	}
	test_fail("%u PM timer ticks", ticks);
}

static void pio_rtc__ram_holds_bytes(void)
{
	uint8_t old = cmos_read(RTC_NVRAM);

	cmos_write(RTC_NVRAM, 0x5a);
	cmos_write(RTC_NVRAM + 1, 0xa5);
	CHECK(cmos_read(RTC_NVRAM) == 0x5a, "reads %x", cmos_read(RTC_NVRAM));
	CHECK(cmos_read(0x80 | RTC_NVRAM) == 0x5a, "the NMI bit of the index is in the way");
	cmos_write(RTC_NVRAM, old);
}

static void pio_rtc__periodic_interrupt_comes_on_irq_8(void)
{
	uint8_t a = cmos_read(RTC_A), b = cmos_read(RTC_B);
	uint32_t from = cpu0.count[VEC_LINE], n = 0;

	cmos_write(RTC_A, (a & 0x70) | 0x0a); /* 64 Hz */
	(void)cmos_read(RTC_C);
	ioapic_route(RTC_IRQ);
	cmos_write(RTC_B, b | 0x40);
	while (n < 5 && wait_vector(VEC_LINE, from + n + 1, LONG_MS)) {
		n++;
		CHECK((cmos_read(RTC_C) & 0xc0) == 0xc0, "register C does not name the interrupt");
	}
	cmos_write(RTC_B, b);
	cmos_write(RTC_A, a);
	(void)cmos_read(RTC_C);
	ioapic_mask(RTC_IRQ);
	CHECK(n == 5, "%u of 5 interrupts", n);
}

/* ---- PM block: ACPI 6.5, 4.8.3 */

enum { PM1_STS = 0x600, PM1_EN = 0x602, PM1_CNT = 0x604, GPE0_STS = 0x620, GPE0_EN = 0x628 };

static void pio_pm_timer__never_goes_back(void)
{
	uint32_t last = pm_timer();

	for (unsigned i = 0; i < 2000; i++) {
		uint32_t now = pm_timer();

		CHECK(((now - last) & 0xffffff) < 0x800000, "%x after %x", now, last);
		last = now;
	}
}

struct moment {
	uint32_t pm;
	uint64_t tsc, lapic; /* lapic counts up here */
};

/*
 * The three clocks at one moment, as near as can be told: the reading with the
 * least time between its two TSCs, of many. The host may take the processor
 * away between any two instructions.
 */
static struct moment moment(void)
{
	struct moment best = { 0 };
	uint64_t least = UINT64_MAX;

	for (unsigned i = 0; i < 32; i++) {
		uint64_t before = tsc();
		uint32_t pm = pm_timer(), lapic = lapic_read(LAPIC_TIMER_NOW);
		uint64_t took = tsc() - before;

		if (took < least) {
			least = took;
			best = (struct moment){ pm, before + took / 2, 0xffffffff - lapic };
		}
	}
	return best;
}

/* TSC ticks and LAPIC ticks for about @ms of the PM timer, scaled to exactly that. */
static void measure(unsigned ms, uint64_t *ret_tsc, uint64_t *ret_lapic)
{
	uint32_t want = ms * 3580, ticks;
	struct moment from, to;

	lapic_write(LAPIC_LVT_TIMER, 1 << 16);
	lapic_write(LAPIC_TIMER_COUNT, 0xffffffff);
	from = moment();
	while (((pm_timer() - from.pm) & 0xffffff) < want)
		;
	to = moment();
	ticks = (to.pm - from.pm) & 0xffffff;
	*ret_tsc = (to.tsc - from.tsc) * want / ticks;
	*ret_lapic = (to.lapic - from.lapic) * want / ticks;
	lapic_write(LAPIC_TIMER_COUNT, 0);
	lapic_write(LAPIC_LVT_TIMER, VEC_TIMER);
}

static bool near(uint64_t a, uint64_t b)
{
	return a > b - b / 20 && a < b + b / 20;
}

static void pio_pm_timer__keeps_pace_with_lapic_and_tsc(void)
{
	uint64_t tsc_short, tsc_long, lapic_short, lapic_long;

	for (unsigned i = 0; i < 20; i++) {
		measure(30, &tsc_short, &lapic_short);
		measure(150, &tsc_long, &lapic_long);
		CHECK(lapic_short != 0 && tsc_short != 0, "a timer stands still");
		if (near(tsc_long, 5 * tsc_short) && near(lapic_long, 5 * lapic_short))
			return;
	}
	CHECK(near(tsc_long, 5 * tsc_short), "TSC: %lu in 30 ms, %lu in 150 ms", tsc_short,
	      tsc_long);
	CHECK(near(lapic_long, 5 * lapic_short), "LAPIC: %lu in 30 ms, %lu in 150 ms", lapic_short,
	      lapic_long);
}

static void pio_pm1__holds_its_enable_bits(void)
{
	uint16_t old = inw(PM1_EN);

	outw(PM1_EN, 0x0121);
	CHECK(inw(PM1_EN) == 0x0121, "PM1_EN reads %x", inw(PM1_EN));
	outb(PM1_EN, 0x20);
	CHECK(inw(PM1_EN) == 0x0120 || !vmm_is_sill(), "a byte write changed both bytes: %x",
	      inw(PM1_EN));
	outw(PM1_EN, old);
	CHECK((inw(PM1_CNT) & 1) == 1 || !vmm_is_sill(), "SCI_EN reads 0");
	outw(PM1_STS, 0xffff); /* one clears; nothing may be left */
	CHECK((inw(PM1_STS) & ~1u) == 0, "PM1_STS reads %x", inw(PM1_STS));
}

static void pio_gpe0__has_eight_status_and_enable_bytes(void)
{
	SKIP_IF(!vmm_is_sill(), "the block is elsewhere on other machines");
	for (unsigned i = 0; i < 8; i++) {
		outb((uint16_t)(GPE0_EN + i), (uint8_t)(1 << i));
		outb((uint16_t)(GPE0_STS + i), 0xff);
	}
	for (unsigned i = 0; i < 8; i++) {
		CHECK(inb((uint16_t)(GPE0_EN + i)) == 1 << i, "enable byte %u reads %x", i,
		      inb((uint16_t)(GPE0_EN + i)));
		CHECK(inb((uint16_t)(GPE0_STS + i)) == 0, "status byte %u reads %x", i,
		      inb((uint16_t)(GPE0_STS + i)));
		outb((uint16_t)(GPE0_EN + i), 0);
	}
}

/* ---- UART: 16550A, COM1. It is also the console: no output while it is not itself. */

enum {
	UART = 0x3f8,
	UART_IER = UART + 1,
	UART_IIR = UART + 2,
	UART_FCR = UART + 2,
	UART_LCR = UART + 3,
	UART_MCR = UART + 4,
	UART_LSR = UART + 5,
	UART_MSR = UART + 6,
	UART_SCRATCH = UART + 7,
};

static void pio_uart__scratch_and_divisor_hold_values(void)
{
	uint8_t lcr = inb(UART_LCR), lo, hi;
	bool ok;

	outb(UART_SCRATCH, 0x5a);
	CHECK(inb(UART_SCRATCH) == 0x5a, "scratch reads %x", inb(UART_SCRATCH));
	outb(UART_LCR, lcr | 0x80);
	lo = inb(UART);
	hi = inb(UART_IER);
	outb(UART, 0x34);
	outb(UART_IER, 0x12);
	ok = inb(UART) == 0x34 && inb(UART_IER) == 0x12;
	outb(UART, lo);
	outb(UART_IER, hi);
	outb(UART_LCR, lcr);
	CHECK(ok, "the divisor latch does not hold 0x1234");
}

static bool data_ready(void *ctx)
{
	(void)ctx;
	return (inb(UART_LSR) & 1) != 0;
}

static void pio_uart__loopback_returns_what_was_sent(void)
{
	uint8_t mcr = inb(UART_MCR), msr, got[16];
	unsigned n = 0;

	outb(UART_FCR, 0x07); /* FIFOs on and empty */
	outb(UART_MCR, 0x1f);
	msr = inb(UART_MSR) & 0xf0;
	for (unsigned i = 0; i < 16; i++)
		outb(UART, (uint8_t)(0xa0 + i));
	while (n < 16 && poll_for(data_ready, NULL, LONG_MS))
		got[n++] = inb(UART);
	outb(UART_MCR, mcr);
	CHECK(msr == 0xf0, "modem status does not follow modem control: %x", msr);
	CHECK(n == 16, "%u of 16 bytes came back", n);
	for (unsigned i = 0; i < 16; i++)
		CHECK(got[i] == 0xa0 + i, "byte %u is %x", i, got[i]);
	CHECK((inb(UART_IIR) & 0xc0) == 0xc0, "no FIFOs in IIR: %x", inb(UART_IIR));
}

static void pio_uart__empty_transmitter_raises_irq_4(void)
{
	uint8_t mcr = inb(UART_MCR), iir;
	uint32_t from = cpu0.count[VEC_LINE];
	bool came;

	outb(UART_MCR, mcr | 0x08); /* OUT2 gates the line on a PC */
	ioapic_route(UART_IRQ);
	outb(UART_IER, 0x02);
	came = wait_vector(VEC_LINE, from + 1, LONG_MS);
	iir = inb(UART_IIR) & 0x0f;
	outb(UART_IER, 0);
	outb(UART_MCR, mcr);
	ioapic_mask(UART_IRQ);
	CHECK(came, "no interrupt");
	CHECK(iir == 0x02, "IIR names something else: %x", iir);
	CHECK((inb(UART_IIR) & 1) == 1, "still pending after IER is 0");
}

/* ---- COM2, and the debug console: only where the manifest has them. */

enum { UART2 = 0x2f8, DEBUG_CONSOLE = 0xe9 };

static bool uart2_absent(void)
{
	return inb(UART2 + 5) == 0xff;
}

static void pio_uart2__is_a_port_of_its_own(void)
{
	static const char text[] = "hello, second port\n";
	const uint8_t first = inb(UART_SCRATCH), other = first ^ 0xff;

	SKIP_IF(uart2_absent(), "no second serial port");
	outb(UART2 + 7, other);
	CHECK(inb(UART2 + 7) == other, "scratch reads %x", inb(UART2 + 7));
	CHECK(inb(UART_SCRATCH) == first, "COM1 changed to %x", inb(UART_SCRATCH));
	outsb(UART2, text, sizeof(text) - 1);
}

static void pio_uart2__empty_transmitter_raises_irq_3(void)
{
	const uint32_t from = cpu0.count[VEC_LINE];
	bool came;

	SKIP_IF(uart2_absent(), "no second serial port");
	outb(UART2 + 4, 0x08);
	ioapic_route(UART2_IRQ);
	outb(UART2 + 1, 0x02);
	came = wait_vector(VEC_LINE, from + 1, 500);
	outb(UART2 + 1, 0);
	ioapic_mask(UART2_IRQ);
	CHECK(came, "no interrupt");
}

static void pio_debug_console__takes_bytes(void)
{
	static const char text[] = "hello, debug console\n";

	SKIP_IF(inb(DEBUG_CONSOLE) != 0xe9, "no debug console");
	outsb(DEBUG_CONSOLE, text, sizeof(text) - 1);
}

static void pio_string_output__arrives_whole(void)
{
	static const char text[] = "rep outsb: one instruction, one line\n";

	outsb(UART, text, sizeof(text) - 1);
	outsb(0x80, text, sizeof(text) - 1);
}

/* ---- fw_cfg: QEMU's docs/specs/fw_cfg */

enum { FW_SELECT = 0x510, FW_DATA = 0x511, FW_DMA_HIGH = 0x514, FW_DMA_LOW = 0x518 };
enum { FW_SIGNATURE = 0, FW_ID = 1, FW_DIRECTORY = 0x19 };
enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8 };
enum { FW_FILE_SIZE = 64, FW_MAX_FILES = 64 };

struct fw_dma {
	uint32_t control, length; /* big-endian, all three */
	uint64_t address;
};

static bool fw_absent(void)
{
	outw(FW_SELECT, FW_SIGNATURE);
	return inb(FW_DATA) == 0xff;
}

static void fw_read(unsigned key, void *p, size_t n)
{
	outw(FW_SELECT, (uint16_t)key);
	insb(FW_DATA, p, n);
}

/* Runs to its end within the write. Returns the control word that is left: 0 is success. */
static uint32_t fw_dma(uint32_t control, uint64_t address, uint32_t length)
{
	static volatile struct fw_dma d __attribute__((aligned(16)));

	d.control = __builtin_bswap32(control);
	d.length = __builtin_bswap32(length);
	d.address = __builtin_bswap64(address);
	outl(FW_DMA_HIGH, __builtin_bswap32((uint32_t)((uint64_t)&d >> 32)));
	outl(FW_DMA_LOW, __builtin_bswap32((uint32_t)(uint64_t)&d));
	return __builtin_bswap32(d.control);
}

static void pio_fw_cfg__has_signature_and_dma(void)
{
	char sig[4];
	uint32_t id;

	SKIP_IF(fw_absent(), "no fw_cfg on this machine");
	fw_read(FW_SIGNATURE, sig, sizeof(sig));
	CHECK(memcmp(sig, "QEMU", 4) == 0, "signature %x %x %x %x", sig[0], sig[1], sig[2], sig[3]);
	fw_read(FW_ID, &id, sizeof(id));
	CHECK((id & 3) == 3, "id %x: no DMA", id);
	CHECK(inl(FW_DMA_HIGH) == __builtin_bswap32(0x51454d55), "DMA signature %x",
	      inl(FW_DMA_HIGH));
	CHECK(inl(FW_DMA_LOW) == __builtin_bswap32(0x20434647), "DMA signature %x",
	      inl(FW_DMA_LOW));
}

static void pio_fw_cfg__directory_is_the_same_by_port_and_dma(void)
{
	static uint8_t by_port[4 + FW_MAX_FILES * FW_FILE_SIZE], by_dma[sizeof(by_port)];
	uint32_t count, left;
	size_t n;

	SKIP_IF(fw_absent(), "no fw_cfg on this machine");
	fw_read(FW_DIRECTORY, &count, sizeof(count));
	count = __builtin_bswap32(count);
	CHECK(count > 0 && count <= FW_MAX_FILES, "%u files", count);
	n = 4 + (size_t)count * FW_FILE_SIZE;
	fw_read(FW_DIRECTORY, by_port, n);
	left = fw_dma((uint32_t)FW_DIRECTORY << 16 | DMA_SELECT | DMA_READ, (uint64_t)by_dma,
		      (uint32_t)n);
	CHECK(left == 0, "DMA control is left at %x", left);
	CHECK(memcmp(by_port, by_dma, n) == 0, "the two differ");

	/* Skip to the second half and read on. */
	CHECK(fw_dma((uint32_t)FW_DIRECTORY << 16 | DMA_SELECT | DMA_SKIP, 0, 4) == 0, "skip");
	memset(by_dma, 0, sizeof(by_dma));
	CHECK(fw_dma(DMA_READ, (uint64_t)by_dma, 60) == 0, "read after skip");
	CHECK(memcmp(by_port + 4, by_dma, 60) == 0, "a read after a skip is elsewhere");
}

static void pio_fw_cfg__refuses_dma_beyond_memory(void)
{
	uint32_t left;

	SKIP_IF(fw_absent(), "no fw_cfg on this machine");
	left = fw_dma((uint32_t)FW_SIGNATURE << 16 | DMA_SELECT | DMA_READ, 0xfffffffffffff000, 4);
	CHECK((left & DMA_ERROR) != 0 || !vmm_is_sill(), "control is left at %x", left);
	outl(FW_DMA_HIGH, 0xffffffff); /* a descriptor that is nowhere */
	outl(FW_DMA_LOW, 0xffffffff);
	CHECK(!fw_absent(), "fw_cfg is gone");
}

/* ---- nobody */

static void pio_unassigned__reads_ones(void)
{
	static const uint16_t ports[] = { 0x0110, 0x0148, 0x0260, 0x0340, 0x0850, 0x1234, 0x9ab0 };

	for (unsigned i = 0; i < ARRAY_LEN(ports); i++) {
		outl(ports[i], 0x12345678);
		CHECK(inb(ports[i]) == 0xff, "port 0x%x, 1 byte: %x", ports[i], inb(ports[i]));
		CHECK(inw(ports[i]) == 0xffff, "port 0x%x, 2 bytes: %x", ports[i], inw(ports[i]));
		CHECK(inl(ports[i]) == 0xffffffff, "port 0x%x, 4 bytes: %x", ports[i],
		      inl(ports[i]));
	}
}

static void pio_debug_ports__take_bytes(void)
{
	static const char text[] = "payload: a line for the firmware's debug port\n";

	for (const char *p = text; *p != '\0'; p++)
		outb(0x402, (uint8_t)*p);
	for (unsigned i = 0; i < 256; i++)
		outb(0x80, (uint8_t)i);
}

const struct test pio_tests[] = {
	{ "pio_rtc__shows_a_date", pio_rtc__shows_a_date },
	{ "pio_rtc__second_is_a_second_of_the_pm_timer",
	  pio_rtc__second_is_a_second_of_the_pm_timer },
	{ "pio_rtc__ram_holds_bytes", pio_rtc__ram_holds_bytes },
	{ "pio_rtc__periodic_interrupt_comes_on_irq_8",
	  pio_rtc__periodic_interrupt_comes_on_irq_8 },
	{ "pio_pm_timer__never_goes_back", pio_pm_timer__never_goes_back },
	{ "pio_pm_timer__keeps_pace_with_lapic_and_tsc",
	  pio_pm_timer__keeps_pace_with_lapic_and_tsc },
	{ "pio_pm1__holds_its_enable_bits", pio_pm1__holds_its_enable_bits },
	{ "pio_gpe0__has_eight_status_and_enable_bytes",
	  pio_gpe0__has_eight_status_and_enable_bytes },
	{ "pio_uart__scratch_and_divisor_hold_values", pio_uart__scratch_and_divisor_hold_values },
	{ "pio_uart__loopback_returns_what_was_sent", pio_uart__loopback_returns_what_was_sent },
	{ "pio_uart__empty_transmitter_raises_irq_4", pio_uart__empty_transmitter_raises_irq_4 },
	{ "pio_uart2__is_a_port_of_its_own", pio_uart2__is_a_port_of_its_own },
	{ "pio_uart2__empty_transmitter_raises_irq_3", pio_uart2__empty_transmitter_raises_irq_3 },
	{ "pio_debug_console__takes_bytes", pio_debug_console__takes_bytes },
	{ "pio_string_output__arrives_whole", pio_string_output__arrives_whole },
	{ "pio_fw_cfg__has_signature_and_dma", pio_fw_cfg__has_signature_and_dma },
	{ "pio_fw_cfg__directory_is_the_same_by_port_and_dma",
	  pio_fw_cfg__directory_is_the_same_by_port_and_dma },
	{ "pio_fw_cfg__refuses_dma_beyond_memory", pio_fw_cfg__refuses_dma_beyond_memory },
	{ "pio_unassigned__reads_ones", pio_unassigned__reads_ones },
	{ "pio_debug_ports__take_bytes", pio_debug_ports__take_bytes },
	{ 0 },
};
