/* SPDX-License-Identifier: Apache-2.0 */
/* test_rtc.c - clock, alarm, periodic interrupt, CMOS of the MC146818A. */
#include "kit.h"

#include <time.h>

#include "arch/x86_64/layout.h"
#include "devices/legacy/rtc.h"

enum { A = 10, B = 11, C = 12, D = 13 };
enum { SET = 0x80, PIE = 0x40, AIE = 0x20, UIE = 0x10, BINARY = 4, H24 = 2 };

/* 2026-11-23 13:05:09 UTC, a Monday. */
static const int64_t MONDAY = 1795439109;

/* A wall clock that stands until it is moved, or runs from there. */
static struct rtc_time wall;
static uint64_t wall_started;

static struct rtc_time wall_now(void *ctx)
{
	uint64_t ns = wall.ns;

	(void)ctx;
	if (wall_started != 0)
		ns += host_now() - wall_started;
	return (struct rtc_time){ wall.s + (int64_t)(ns / 1000000000),
				  (uint32_t)(ns % 1000000000) };
}

static void set_wall(int64_t s, uint32_t ns)
{
	wall = (struct rtc_time){ s, ns };
	wall_started = 0;
}

static void open_rtc(struct kit *k)
{
	static const struct rtc_config c = { .low_ram_end = 0x80000000,
					     .high_ram = 0x123450000,
					     .wall = wall_now };

	set_wall(MONDAY, 0);
	kit_open(k, 1000000);
	kit_plug(k, &rtc_ops, &c, IRQ_RTC);
}

static uint8_t get(struct kit *k, unsigned reg)
{
	wr(k, 0, 0, 1, reg);
	return (uint8_t)rd(k, 0, 1, 1);
}

static void put(struct kit *k, unsigned reg, unsigned v)
{
	wr(k, 0, 0, 1, reg);
	wr(k, 0, 1, 1, v);
}

static void assert_regs(struct kit *k, unsigned century, unsigned year, unsigned month,
			unsigned day, unsigned weekday, unsigned hour, unsigned min, unsigned sec)
{
	assert_int_equal(get(k, 0x32), century);
	assert_int_equal(get(k, 9), year);
	assert_int_equal(get(k, 8), month);
	assert_int_equal(get(k, 7), day);
	assert_int_equal(get(k, 6), weekday);
	assert_int_equal(get(k, 4), hour);
	assert_int_equal(get(k, 2), min);
	assert_int_equal(get(k, 0), sec);
}

static void rtc_index__reads_back_with_the_nmi_bit(void **state)
{
	struct kit k;

	(void)state;
	open_rtc(&k);
	wr(&k, 0, 0, 1, 0x8f);
	assert_int_equal(rd(&k, 0, 0, 1), 0x8f);
	wr(&k, 0, 1, 1, 0x5a);
	assert_int_equal(get(&k, 0x0f), 0x5a);
	assert_int_equal(k.resets, 0);
	/* Both ports in one access, as "out 0x70, ax". */
	wr(&k, 0, 0, 2, 0x77 << 8 | 0x40);
	assert_int_equal(get(&k, 0x40), 0x77);
	kit_close(&k);
}

static void rtc_time__is_read_in_every_format(void **state)
{
	struct kit k;

	(void)state;
	open_rtc(&k);
	assert_regs(&k, 0x20, 0x26, 0x11, 0x23, 2, 0x13, 0x05, 0x09);
	put(&k, B, H24 | BINARY);
	assert_regs(&k, 20, 26, 11, 23, 2, 13, 5, 9);
	put(&k, B, 0);
	assert_regs(&k, 0x20, 0x26, 0x11, 0x23, 2, 0x81, 0x05, 0x09);
	set_wall(MONDAY - 3600, 0);
	assert_int_equal(get(&k, 4), 0x92); /* noon */
	set_wall(MONDAY - 13 * 3600, 0);
	assert_int_equal(get(&k, 4), 0x12); /* midnight */
	put(&k, B, BINARY);
	assert_int_equal(get(&k, 4), 12);
	set_wall(MONDAY - 2 * 3600, 0);
	assert_int_equal(get(&k, 4), 11);
	kit_close(&k);
}

static void rtc_time__starts_local_when_asked(void **state)
{
	const struct rtc_config c = { .local = true, .wall = wall_now };
	struct kit k;

	(void)state;
	assert_int_equal(setenv("TZ", "XYZ-5:30", 1), 0);
	tzset();
	set_wall(MONDAY, 0);
	kit_open(&k, 0);
	kit_plug(&k, &rtc_ops, &c, IRQ_RTC);
	assert_regs(&k, 0x20, 0x26, 0x11, 0x23, 2, 0x18, 0x35, 0x09);
	kit_close(&k);
	assert_int_equal(unsetenv("TZ"), 0);
	tzset();
}

static void rtc_set__stops_the_clock_and_starts_it_at_the_new_time(void **state)
{
	struct kit k;

	(void)state;
	open_rtc(&k);
	set_wall(MONDAY, 700000000);
	put(&k, B, SET | H24);
	set_wall(MONDAY + 100, 250000000);
	assert_int_equal(get(&k, 0), 0x09); /* it stands */
	put(&k, 0x32, 0x19);
	put(&k, 9, 0x99);
	put(&k, 8, 0x12);
	put(&k, 7, 0x31);
	put(&k, 4, 0x23);
	put(&k, 2, 0x59);
	put(&k, 0, 0x59);
	assert_regs(&k, 0x19, 0x99, 0x12, 0x31, 2, 0x23, 0x59, 0x59);
	put(&k, B, H24);
	assert_regs(&k, 0x19, 0x99, 0x12, 0x31, 6, 0x23, 0x59, 0x59); /* a Friday */
	set_wall(MONDAY + 100, 999999999);
	assert_int_equal(get(&k, 0), 0x59);
	set_wall(MONDAY + 101, 0); /* the fraction went on */
	assert_regs(&k, 0x20, 0x00, 0x01, 0x01, 7, 0, 0, 0);
	dev_reset(k.dev); /* kept over a reset */
	assert_regs(&k, 0x20, 0x00, 0x01, 0x01, 7, 0, 0, 0);
	kit_close(&k);
}

static void rtc_divider__updates_half_a_second_after_release(void **state)
{
	struct kit k;

	(void)state;
	open_rtc(&k);
	/* As Linux sets its clock. */
	put(&k, B, SET | H24);
	put(&k, A, 0x76);
	put(&k, 0, 0x30);
	put(&k, B, H24);
	set_wall(MONDAY + 50, 100000000);
	assert_int_equal(get(&k, 0), 0x30); /* still stands: the divider is held */
	put(&k, A, 0x26);
	set_wall(MONDAY + 50, 599000000);
	assert_int_equal(get(&k, 0), 0x30);
	set_wall(MONDAY + 50, 601000000);
	assert_int_equal(get(&k, 0), 0x31);
	kit_close(&k);
}

static void rtc_time__can_be_set_while_it_runs(void **state)
{
	struct kit k;

	(void)state;
	open_rtc(&k);
	put(&k, 4, 0x22);
	assert_regs(&k, 0x20, 0x26, 0x11, 0x23, 2, 0x22, 0x05, 0x09);
	set_wall(MONDAY + 3600, 0);
	assert_int_equal(get(&k, 4), 0x23);
	kit_close(&k);
}

static void rtc_time__takes_any_byte(void **state)
{
	struct kit k;

	(void)state;
	open_rtc(&k);
	for (unsigned v = 0; v < 256; v++)
		for (unsigned b = 0; b < 8; b += 2) {
			put(&k, B, SET | b);
			for (unsigned reg = 0; reg < 10; reg++)
				put(&k, reg, v);
			put(&k, 0x32, v);
			put(&k, B, b | AIE | UIE | PIE);
			for (unsigned reg = 0; reg < 14; reg++)
				(void)get(&k, reg);
			set_wall(wall.s + 86400, 0);
			(void)get(&k, C);
		}
	kit_close(&k);
}

static void rtc_uip__is_up_before_the_update_only(void **state)
{
	struct kit k;

	(void)state;
	open_rtc(&k);
	assert_int_equal(get(&k, A), 0x26);
	set_wall(MONDAY, 999755000);
	assert_int_equal(get(&k, A), 0x26);
	set_wall(MONDAY, 999757000);
	assert_int_equal(get(&k, A), 0xa6);
	put(&k, B, SET | H24);
	assert_int_equal(get(&k, A), 0x26);
	put(&k, B, H24);
	put(&k, A, 0xff);
	assert_int_equal(get(&k, A), 0x7f); /* read-only, and the divider is held */
	kit_close(&k);
}

static void rtc_d__says_valid_and_c_ignores_writes(void **state)
{
	struct kit k;

	(void)state;
	open_rtc(&k);
	put(&k, D, 0);
	assert_int_equal(get(&k, D), 0x80);
	put(&k, C, 0xff);
	assert_int_equal(get(&k, C), 0);
	assert_int_equal(get(&k, B), 0x02);
	kit_close(&k);
}

static void rtc_update__sets_uf_and_interrupts_when_enabled(void **state)
{
	struct kit k;

	(void)state;
	open_rtc(&k);
	set_wall(MONDAY + 1, 0);
	assert_int_equal(get(&k, C), 0x10);
	assert_int_equal(get(&k, C), 0);
	assert_false(k.line[IRQ_RTC]);
	put(&k, B, H24 | UIE);
	assert_false(k.line[IRQ_RTC]);

	set_wall(MONDAY + 1, 995000000);
	wall_started = host_now();
	put(&k, B, H24 | UIE);
	assert_true(kit_wait_line(&k, 60000));
	assert_int_equal(get(&k, C), 0x90);
	assert_false(k.line[IRQ_RTC]);
	/* The host's clock steps back: the next update comes all the same. */
	set_wall(MONDAY - 1000, 995000000);
	wall_started = host_now();
	(void)get(&k, C);
	assert_true(kit_wait_line(&k, 60000));
	/* SET takes UIE away. */
	put(&k, B, H24 | UIE | SET);
	assert_int_equal(get(&k, B), H24 | SET);
	assert_false(k.line[IRQ_RTC]);
	kit_close(&k);
}

static void rtc_alarm__matches_exact_and_any_fields(void **state)
{
	static const struct {
		uint8_t b, hour, min, sec;
		int64_t at; /* seconds from MONDAY 13:05:09; -1: never in two days */
	} t[] = {
		{ H24, 0x13, 0x05, 0x10, 1 },     { H24, 0x13, 0x05, 0x09, 86400 },
		{ H24, 0xff, 0x05, 0x09, 3600 },  { H24, 0xc0, 0xff, 0x09, 60 },
		{ H24, 0xff, 0xff, 0x00, 51 },    { H24, 0xff, 0xff, 0xff, 1 },
		{ H24, 0x14, 0xff, 0xff, 3291 },  { H24, 0x13, 0xff, 0x00, 51 },
		{ H24, 0x00, 0x00, 0x00, 39291 }, { H24, 0x12, 0x05, 0x09, 82800 },
		{ 0, 0x81, 0x05, 0x10, 1 },       { 0, 0x12, 0x00, 0x00, 39291 },
		{ H24 | BINARY, 13, 5, 10, 1 },   { BINARY, 0x80 | 1, 5, 10, 1 },
		{ H24, 0x24, 0x00, 0x00, -1 },    { H24, 0x13, 0x60, 0xff, -1 },
		{ H24, 0xff, 0xff, 0x7f, -1 },
	};
	struct kit k;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(t); i++) {
		open_rtc(&k);
		put(&k, B, t[i].b);
		put(&k, 5, t[i].hour);
		put(&k, 3, t[i].min);
		put(&k, 1, t[i].sec);
		put(&k, B, t[i].b | AIE);
		(void)get(&k, C);
		assert_false(k.line[IRQ_RTC]);
		if (t[i].at < 0) {
			set_wall(MONDAY + 172800, 0);
			assert_int_equal(get(&k, C), 0x10);
		} else {
			set_wall(MONDAY + t[i].at - 1, 0);
			assert_int_equal(get(&k, C) & 0x20, 0);
			set_wall(MONDAY + t[i].at, 0);
			assert_int_equal(get(&k, C) & 0xb0, 0xb0);
			/* Also when nobody looked in between. */
			put(&k, B, t[i].b);
			set_wall(MONDAY, 0);
			(void)get(&k, C);
			set_wall(MONDAY + t[i].at - 1, 0);
			if (t[i].at > 1)
				assert_int_equal(get(&k, C), 0x10);
			put(&k, B, t[i].b | AIE);
			set_wall(MONDAY, 0);
			(void)get(&k, C);
			set_wall(MONDAY + t[i].at, 0);
			assert_int_equal(get(&k, C), 0xb0);
		}
		kit_close(&k);
	}
}

static void rtc_alarm__interrupts_even_when_time_is_not_read(void **state)
{
	struct kit k;

	(void)state;
	open_rtc(&k);
	put(&k, 5, 0x13);
	put(&k, 3, 0x05);
	put(&k, 1, 0x11);
	set_wall(MONDAY + 1, 995000000);
	wall_started = host_now();
	put(&k, B, H24 | AIE);
	(void)get(&k, C);
	assert_true(kit_wait_line(&k, 60000));
	assert_int_equal(get(&k, C) & 0xa0, 0xa0);
	/* A paused machine is woken by nothing, but the alarm is not lost. */
	put(&k, 1, 0x13);
	set_wall(MONDAY + 3, 995000000);
	wall_started = host_now();
	(void)get(&k, C);
	dev_pause(k.dev);
	assert_false(kit_wait_line(&k, 20));
	dev_resume(k.dev);
	assert_true(k.line[IRQ_RTC]);
	kit_close(&k);
}

static void rtc_periodic__has_the_rates_of_the_data_sheet(void **state)
{
	/* Hz, by RS. */
	static const unsigned rate[16] = { 0,   256, 128, 8192, 4096, 2048, 1024, 512,
					   256, 128, 64,  32,   16,   8,    4,    2 };
	struct kit k;

	(void)state;
	for (unsigned rs = 0; rs < 16; rs++) {
		unsigned seen = 0;

		open_rtc(&k);
		vmclock_set(&k.clock, 7000000000);
		put(&k, A, 0x20 | rs);
		(void)get(&k, C);
		/* Look 16,384 times in a second, just after each tick of the fastest rate. */
		for (unsigned i = 1; i <= 16384; i++) {
			vmclock_set(&k.clock,
				    7000000000 + ((uint64_t)i * 1000000000 + 16383) / 16384);
			seen += (get(&k, C) & 0x40) != 0;
		}
		assert_int_equal(seen, rate[rs]);
		kit_close(&k);
	}
}

static void rtc_periodic__makes_up_for_a_bounded_number_of_ticks(void **state)
{
	struct kit k;
	unsigned seen = 0;

	(void)state;
	open_rtc(&k);
	vmclock_thaw(&k.clock);
	put(&k, A, 0x26);
	put(&k, B, H24 | PIE);
	(void)get(&k, C);
	assert_true(kit_wait_line(&k, 60000)); /* by host timer */
	vmclock_freeze(&k.clock);
	(void)get(&k, C);
	(void)get(&k, C);
	assert_false(kit_wait_line(&k, 10)); /* and the loop does not turn on the spot */
	/* The guest was away for an hour of its time. */
	vmclock_set(&k.clock, vmclock_now(&k.clock) + 3600000000000);
	for (unsigned i = 0; i < 1000; i++) {
		seen += (get(&k, C) & 0x40) != 0;
		assert_int_equal(get(&k, C) & 0x40, 0); /* never two at once */
		/* Less than a period each time: only owed ticks can come. */
		vmclock_set(&k.clock, vmclock_now(&k.clock) + 244141);
	}
	/* 250 periods went by meanwhile, each counted once. */
	assert_in_range(seen, 250 + RTC_OWED_MAX, 252 + RTC_OWED_MAX);
	kit_close(&k);
}

static void rtc_cmos__has_memory_sizes_and_their_checksum(void **state)
{
	unsigned sum = 0;
	struct kit k;

	(void)state;
	open_rtc(&k);
	assert_int_equal(get(&k, 0x15) | get(&k, 0x16) << 8, 640);
	assert_int_equal(get(&k, 0x17) | get(&k, 0x18) << 8, 0xffff);
	assert_int_equal(get(&k, 0x30) | get(&k, 0x31) << 8, 0xffff);
	assert_int_equal(get(&k, 0x34) | get(&k, 0x35) << 8, (0x80000000 - 0x1000000) / 65536);
	assert_int_equal(get(&k, 0x5b) | get(&k, 0x5c) << 8 | get(&k, 0x5d) << 16, 0x12345);
	for (unsigned i = 0x10; i < 0x2e; i++)
		sum += get(&k, i);
	assert_int_equal(get(&k, 0x2e) << 8 | get(&k, 0x2f), sum);
	assert_int_equal(get(&k, 0x0f), 0);
	/* RAM survives a reset, the sizes are put right. */
	put(&k, 0x7f, 0x99);
	put(&k, 0x0f, 0xfe);
	put(&k, 0x5b, 0);
	dev_reset(k.dev);
	assert_int_equal(get(&k, 0x7f), 0x99);
	assert_int_equal(get(&k, 0x0f), 0xfe);
	assert_int_equal(get(&k, 0x5b), 0x45);
	kit_close(&k);
}

static void rtc_reset__clears_enables_and_flags(void **state)
{
	struct kit k;

	(void)state;
	open_rtc(&k);
	put(&k, B, H24 | BINARY | UIE | AIE | PIE);
	set_wall(MONDAY + 1, 0);
	vmclock_set(&k.clock, 2000000000);
	put(&k, B, H24 | BINARY | UIE | AIE | PIE);
	assert_true(k.line[IRQ_RTC]);
	dev_reset(k.dev);
	assert_false(k.line[IRQ_RTC]);
	assert_int_equal(get(&k, C), 0);
	assert_int_equal(get(&k, B), H24 | BINARY);
	kit_close(&k);
}

static void rtc_serves__ovmf_init_as_recorded(void **state)
{
	struct kit k;

	(void)state;
	open_rtc(&k);
	assert_int_equal(get(&k, 0x8f), 0);
	put(&k, 0x8f, 0);
	put(&k, 0x8a, 0x26);
	(void)get(&k, 0x8c);
	put(&k, 0x8d, 0);
	assert_int_equal(get(&k, 0x8d) & 0x80, 0x80);
	assert_int_equal(get(&k, 0x8a) & 0x80, 0);
	put(&k, 0x8b, 0x02);
	assert_int_equal(get(&k, 0x80), 0x09);
	assert_int_equal(get(&k, 0x89), 0x26);
	/* It rewrites a bad time whole, with SET. */
	put(&k, 0x8b, 0x82);
	put(&k, 0x84, 0x08);
	put(&k, 0x8b, 0x02);
	assert_int_equal(get(&k, 0x84), 0x08);
	kit_close(&k);
}

static void rtc_load__gives_the_same_clock_and_level(void **state)
{
	struct kit a, b;
	uint8_t *saved;
	size_t n;

	(void)state;
	open_rtc(&a);
	put(&a, 4, 0x01);
	put(&a, 0x40, 0xcd);
	put(&a, B, H24 | UIE);
	set_wall(MONDAY + 5, 0);
	put(&a, B, H24 | UIE);
	assert_true(a.line[IRQ_RTC]);
	wr(&a, 0, 0, 1, 0xc0);
	saved = kit_save(&a, &n);
	open_rtc(&b);
	set_wall(MONDAY + 60, 0); /* a minute passed in between: wall time goes on */
	assert_int_equal(kit_load(&b, saved, n), 0);
	assert_int_equal(rd(&b, 0, 0, 1), 0xc0);
	assert_true(b.line[IRQ_RTC]);
	assert_int_equal(get(&b, 4), 0x01);
	assert_int_equal(get(&b, 2), 0x06);
	assert_int_equal(get(&b, 0x40), 0xcd);
	assert_int_equal(get(&b, C), 0x90);
	assert_false(b.line[IRQ_RTC]);
	kit_load_damaged(&b);
	free(saved);
	kit_close(&a);
	kit_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rtc_index__reads_back_with_the_nmi_bit),
		cmocka_unit_test(rtc_time__is_read_in_every_format),
		cmocka_unit_test(rtc_time__starts_local_when_asked),
		cmocka_unit_test(rtc_set__stops_the_clock_and_starts_it_at_the_new_time),
		cmocka_unit_test(rtc_divider__updates_half_a_second_after_release),
		cmocka_unit_test(rtc_time__can_be_set_while_it_runs),
		cmocka_unit_test(rtc_time__takes_any_byte),
		cmocka_unit_test(rtc_uip__is_up_before_the_update_only),
		cmocka_unit_test(rtc_d__says_valid_and_c_ignores_writes),
		cmocka_unit_test(rtc_update__sets_uf_and_interrupts_when_enabled),
		cmocka_unit_test(rtc_alarm__matches_exact_and_any_fields),
		cmocka_unit_test(rtc_alarm__interrupts_even_when_time_is_not_read),
		cmocka_unit_test(rtc_periodic__has_the_rates_of_the_data_sheet),
		cmocka_unit_test(rtc_periodic__makes_up_for_a_bounded_number_of_ticks),
		cmocka_unit_test(rtc_cmos__has_memory_sizes_and_their_checksum),
		cmocka_unit_test(rtc_reset__clears_enables_and_flags),
		cmocka_unit_test(rtc_serves__ovmf_init_as_recorded),
		cmocka_unit_test(rtc_load__gives_the_same_clock_and_level),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
