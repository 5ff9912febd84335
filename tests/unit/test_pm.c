/* SPDX-License-Identifier: Apache-2.0 */
/* test_pm.c - ACPI fixed hardware: registers, SCI level, timer, power off. */
#include "kit.h"

#include "arch/x86_64/layout.h"
#include "devices/acpi/pm.h"

enum { STS = 0, EN = 2, CNT = 4, TMR = 8, GSTS = 0x20, GEN = 0x28 };

/* Guest time in ns at which the 24-bit timer's top bit changes for the @n-th time. */
static uint64_t half_period(uint64_t n)
{
	return (uint64_t)(((unsigned __int128)n * (1u << 23) * 1000000000 + 3579544) / 3579545);
}

static void open_pm(struct kit *k)
{
	kit_open(k, 1000);
	kit_plug(k, &pm_ops, NULL, IRQ_SCI);
}

static bool sci(const struct kit *k)
{
	return k->line[IRQ_SCI];
}

static void pm_reset__gives_the_documented_values(void **state)
{
	struct kit k;

	(void)state;
	open_pm(&k);
	wr(&k, 0, EN, 2, 0xffff);
	wr(&k, 0, CNT, 2, 0x1402);
	wr(&k, 0, GEN, 1, 0xff);
	pm_raise_gpe(k.dev, 3);
	assert_true(sci(&k));
	dev_reset(k.dev);
	assert_false(sci(&k));
	assert_int_equal(rd(&k, 0, STS, 2), 0);
	assert_int_equal(rd(&k, 0, EN, 2), 0);
	assert_int_equal(rd(&k, 0, CNT, 2), 1);
	for (unsigned i = 0; i < 16; i++)
		assert_int_equal(rd(&k, 0, GSTS + i, 1), 0);
	kit_close(&k);
}

static void pm_status__is_cleared_by_ones_in_any_size(void **state)
{
	static const unsigned size[] = { 1, 2, 4 };
	struct kit k;

	(void)state;
	open_pm(&k);
	for (unsigned i = 0; i < 3; i++) {
		wr(&k, 0, EN, 2, 0x100);
		assert_int_equal(pm_power_button(k.dev), 0);
		vmclock_set(&k.clock, half_period(10 + i));
		assert_int_equal(rd(&k, 0, STS, 2), 0x101);
		wr(&k, 0, STS, 2, 0); /* zeroes clear nothing */
		assert_int_equal(rd(&k, 0, STS, 2), 0x101);
		wr(&k, 0, STS, size[i], 1);
		assert_int_equal(rd(&k, 0, STS, 2), 0x100);
		assert_int_equal(rd(&k, 0, EN, 2), size[i] == 4 ? 0 : 0x100);
		if (size[i] == 1)
			wr(&k, 0, STS + 1, 1, 1);
		else
			wr(&k, 0, STS, size[i], 0x100);
		assert_int_equal(rd(&k, 0, STS, 2), 0);

		pm_raise_gpe(k.dev, 1);
		pm_raise_gpe(k.dev, 7);
		pm_raise_gpe(k.dev, 8);
		wr(&k, 0, GSTS, size[i], 0x02);
		assert_int_equal(rd(&k, 0, GSTS, 2), 0x180);
		wr(&k, 0, GSTS, 2, 0xffff);
		assert_int_equal(rd(&k, 0, GSTS, 2), 0);
	}
	kit_close(&k);
}

static void pm_sci__is_the_level_of_enabled_status_bits(void **state)
{
	struct kit k;

	(void)state;
	open_pm(&k);
	for (unsigned gpe = 0; gpe < PM_GPE_COUNT; gpe++) {
		const unsigned byte = gpe / 8, bit = 1u << gpe % 8;

		pm_raise_gpe(k.dev, gpe);
		assert_false(sci(&k));
		for (unsigned other = 0; other < 8; other++) {
			wr(&k, 0, GEN + other, 1, other == byte ? 0xff & ~bit : 0xff);
			assert_false(sci(&k));
		}
		wr(&k, 0, GEN + byte, 1, bit);
		assert_true(sci(&k));
		wr(&k, 0, GEN + byte, 1, 0);
		assert_false(sci(&k));
		wr(&k, 0, GEN + byte, 1, bit);
		assert_true(sci(&k));
		wr(&k, 0, GSTS + byte, 1, bit);
		assert_false(sci(&k));
		for (unsigned other = 0; other < 8; other++)
			wr(&k, 0, GEN + other, 1, 0);
	}

	/* PM1: the timer and the button; every enable bit alone. */
	for (unsigned i = 0; i < 16; i++) {
		wr(&k, 0, EN, 2, 0x100);
		assert_int_equal(pm_power_button(k.dev), 0);
		vmclock_set(&k.clock, half_period(100 + i));
		wr(&k, 0, EN, 2, 1u << i);
		assert_int_equal(sci(&k), i == 0 || i == 8);
		wr(&k, 0, STS, 2, 0xffff);
		assert_false(sci(&k));
	}
	kit_close(&k);
}

/* A guest switches an event off while it handles one. */
static void pm_hears__since_it_was_enabled_once(void **state)
{
	struct kit k;

	(void)state;
	open_pm(&k);
	assert_false(pm_hears(k.dev, PM_GPE_CPU));
	wr(&k, 0, GEN, 1, 0);
	assert_int_equal(k.listens, 0);
	wr(&k, 0, GEN, 1, 1 << PM_GPE_CPU);
	assert_int_equal(k.listens, 1);
	assert_true(pm_hears(k.dev, PM_GPE_CPU));
	assert_false(pm_hears(k.dev, PM_GPE_MEMORY));
	wr(&k, 0, GEN, 1, 0);
	assert_true(pm_hears(k.dev, PM_GPE_CPU));
	wr(&k, 0, GEN, 1, 1 << PM_GPE_CPU);
	assert_int_equal(k.listens, 1); /* told once */
	wr(&k, 0, GEN, 1, 1 << PM_GPE_CPU | 1 << PM_GPE_PCI);
	assert_int_equal(k.listens, 2);
	dev_reset(k.dev);
	assert_false(pm_hears(k.dev, PM_GPE_CPU));
	wr(&k, 0, GEN, 1, 1 << PM_GPE_CPU);
	assert_int_equal(k.listens, 3);
	kit_close(&k);
}

static void pm_sci__stays_while_one_of_two_events_is_left(void **state)
{
	struct kit k;

	(void)state;
	open_pm(&k);
	wr(&k, 0, EN, 2, 0x100);
	wr(&k, 0, GEN, 1, 0x0e);
	assert_int_equal(pm_power_button(k.dev), 0);
	pm_raise_gpe(k.dev, PM_GPE_PCI);
	assert_int_equal(k.edges, 1);
	wr(&k, 0, GSTS, 1, 0x02);
	assert_true(sci(&k));
	wr(&k, 0, STS, 2, 0x100);
	assert_false(sci(&k));
	assert_int_equal(k.edges, 1);
	kit_close(&k);
}

static void pm_slp_en__powers_off_for_types_0_and_5(void **state)
{
	struct kit k;

	(void)state;
	open_pm(&k);
	for (unsigned type = 0; type < 8; type++) {
		const bool off = type == 0 || type == 5;

		k.power_offs = 0;
		wr(&k, 0, CNT, 2, type << 10 | 1);
		assert_int_equal(k.power_offs, 0);
		wr(&k, 0, CNT, 2, type << 10 | 0x2001);
		assert_int_equal(k.power_offs, off);
		assert_int_equal(rd(&k, 0, CNT, 2), type << 10 | 1); /* SLP_EN reads 0 */
		wr(&k, 0, CNT + 1, 1, type << 2 | 0x20);
		assert_int_equal(k.power_offs, 2 * off);
	}
	/* The low byte has no part in it, and SCI_EN cannot be cleared. */
	k.power_offs = 0;
	wr(&k, 0, CNT, 1, 0x20);
	assert_int_equal(k.power_offs, 0);
	assert_int_equal(rd(&k, 0, CNT, 1), 1);
	assert_int_equal(k.resets, 0);
	kit_close(&k);
}

static void pm_byte_34__is_power_off_and_other_sizes_are_not(void **state)
{
	struct kit k;

	(void)state;
	open_pm(&k);
	wr(&k, 0, STS, 2, 0x34);
	wr(&k, 0, STS, 4, 0x34);
	wr(&k, 0, STS, 1, 0x30);
	wr(&k, 0, STS, 1, 0x35);
	wr(&k, 0, STS + 1, 1, 0x34);
	assert_int_equal(k.power_offs, 0);
	wr(&k, 0, STS, 1, 0x34);
	assert_int_equal(k.power_offs, 1);
	kit_close(&k);
}

static void pm_timer__counts_exactly_and_wraps_at_24_bits(void **state)
{
	uint64_t ns = 0, x = 88172645463325252ull;
	struct kit k;

	(void)state;
	open_pm(&k);
	for (unsigned i = 0; i < 20000; i++) {
		const uint64_t want = (uint64_t)((unsigned __int128)ns * 3579545 / 1000000000);

		vmclock_set(&k.clock, ns);
		assert_int_equal(rd(&k, 0, TMR, 4), want & 0xffffff);
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		ns = x >> (x & 63); /* of every magnitude */
		if (i % 3 ==
		    0) /* the exact edges: whole ticks every 200 ms, and their neighbours */
			ns = ns / 200000000 * 200000000 - (i % 2);
	}
	vmclock_set(&k.clock, half_period(2));
	assert_int_equal(rd(&k, 0, TMR, 4), 0);
	vmclock_set(&k.clock, half_period(2) - 1);
	assert_int_equal(rd(&k, 0, TMR, 4), 0xffffff);
	assert_int_equal(rd(&k, 0, TMR, 2), 0xffff);
	assert_int_equal(rd(&k, 0, TMR + 2, 2), 0xff);
	assert_int_equal(rd(&k, 0, TMR + 2, 1), 0xff);
	assert_int_equal(rd(&k, 0, TMR + 3, 1), 0);
	wr(&k, 0, TMR, 4, 0x1234);
	assert_int_equal(rd(&k, 0, TMR, 4), 0xffffff);
	kit_close(&k);
}

static void pm_timer__stands_still_in_a_pause(void **state)
{
	uint64_t before, then;
	struct kit k;

	(void)state;
	open_pm(&k);
	vmclock_thaw(&k.clock);
	before = rd(&k, 0, TMR, 4);
	do
		then = rd(&k, 0, TMR, 4);
	while (then == before);
	vmclock_freeze(&k.clock);
	then = rd(&k, 0, TMR, 4);
	for (unsigned i = 0; i < 10000; i++)
		assert_int_equal(rd(&k, 0, TMR, 4), then);
	kit_close(&k);
}

static void pm_tmr_sts__is_set_by_both_edges_of_the_top_bit(void **state)
{
	struct kit k;

	(void)state;
	open_pm(&k);
	for (uint64_t n = 1; n < 5; n++) {
		vmclock_set(&k.clock, half_period(n) - 1);
		assert_int_equal(rd(&k, 0, STS, 2), 0);
		vmclock_set(&k.clock, half_period(n));
		assert_int_equal(rd(&k, 0, STS, 2), 1);
		vmclock_set(&k.clock, half_period(n) + 1000);
		assert_int_equal(rd(&k, 0, STS, 2), 1);
		wr(&k, 0, STS, 2, 1);
		assert_int_equal(rd(&k, 0, STS, 2), 0);
	}
	kit_close(&k);
}

static void pm_tmr_sts__interrupts_by_a_host_timer(void **state)
{
	struct kit k;

	(void)state;
	open_pm(&k);
	vmclock_thaw(&k.clock);
	vmclock_set(&k.clock, half_period(7) - 5000000);
	wr(&k, 0, STS, 2, 1);
	wr(&k, 0, EN, 2, 1);
	assert_false(sci(&k));
	assert_true(kit_wait_line(&k, 60000));
	assert_true(sci(&k));
	assert_int_equal(rd(&k, 0, STS, 2), 1);
	wr(&k, 0, STS, 2, 1);
	assert_false(sci(&k));

	/* Not enabled, or paused: nothing comes. */
	wr(&k, 0, EN, 2, 0);
	vmclock_set(&k.clock, half_period(8) - 1000000);
	assert_false(kit_wait_line(&k, 10));
	wr(&k, 0, STS, 2, 1);
	vmclock_set(&k.clock, half_period(9) - 1000000);
	dev_pause(k.dev);
	vmclock_freeze(&k.clock);
	wr(&k, 0, EN, 2, 1);
	assert_false(kit_wait_line(&k, 10));
	vmclock_thaw(&k.clock);
	dev_resume(k.dev);
	assert_true(kit_wait_line(&k, 60000));

	/* A clock that stands without a pause: the loop must not turn on the spot. */
	wr(&k, 0, STS, 2, 1);
	vmclock_freeze(&k.clock);
	vmclock_set(&k.clock, half_period(11) - 1000);
	wr(&k, 0, STS, 2, 1);
	assert_false(kit_wait_line(&k, 10));
	kit_close(&k);
}

static void pm_power_button__needs_a_guest_that_listens(void **state)
{
	struct kit k;

	(void)state;
	open_pm(&k);
	assert_int_equal(pm_power_button(k.dev), -1);
	assert_int_equal(rd(&k, 0, STS, 2), 0);
	wr(&k, 0, EN, 2, 0x120);
	assert_int_equal(pm_power_button(k.dev), 0);
	assert_true(sci(&k));
	assert_int_equal(rd(&k, 0, STS, 2), 0x100);
	kit_close(&k);
}

static void pm_io__of_holes_is_no_register(void **state)
{
	static const struct {
		unsigned off, size;
	} hole[] = { { 6, 1 }, { 6, 2 }, { 7, 1 }, { 0xc, 4 }, { 0x10, 1 }, { 0x1c, 4 } };
	struct kit k;

	(void)state;
	open_pm(&k);
	for (unsigned i = 0; i < ARRAY_LEN(hole); i++) {
		struct io io = { .off = hole[i].off, .size = (uint8_t)hole[i].size };

		assert_int_equal(kit_access(&k, 0, &io), IO_NO_REGISTER);
		io.write = true;
		assert_int_equal(kit_access(&k, 0, &io), IO_NO_REGISTER);
	}
	assert_int_equal(rd(&k, 0, CNT, 4), 1);
	kit_close(&k);
}

/* One access of a recorded start: what a guest does, and what it must read. */
struct step {
	char op;
	unsigned off, size;
	uint32_t val;
};

static void replay(struct kit *k, const struct step *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (s[i].op == 'w')
			wr(k, 0, s[i].off, s[i].size, s[i].val);
		else
			assert_int_equal(rd(k, 0, s[i].off, s[i].size), s[i].val);
	}
}

static void pm_io__serves_ovmf_and_linux_as_recorded(void **state)
{
	static const struct step ovmf[] = { { 'r', CNT, 2, 1 },
					    { 'w', CNT, 2, 1 },
					    { 'r', CNT, 2, 1 } };
	static const struct step linux_start[] = {
		{ 'r', EN, 2, 0 },      { 'w', EN, 2, 0 },      { 'w', STS, 2, 0x20 },
		{ 'w', EN, 2, 0x20 },   { 'r', EN, 2, 0x20 },   { 'w', GEN, 1, 0x02 },
		{ 'w', GEN, 1, 0x06 },  { 'w', GEN, 1, 0x0e },  { 'r', GEN, 1, 0x0e },
		{ 'w', STS, 2, 0x400 }, { 'w', EN, 2, 0x420 },  { 'r', EN, 2, 0x420 },
		{ 'w', EN, 2, 0x20 },   { 'w', STS, 2, 0x100 }, { 'w', EN, 2, 0x120 },
		{ 'r', EN, 2, 0x120 },  { 'r', STS, 2, 0 },
	};
	static const struct step linux_off[] = {
		{ 'w', GEN, 1, 0 },      { 'w', STS, 2, 0x8000 }, { 'w', STS, 2, 0xc731 },
		{ 'w', GSTS, 1, 0xff },  { 'w', GEN, 1, 0 },      { 'r', CNT, 2, 1 },
		{ 'w', CNT, 2, 0x0001 },
	};
	struct kit k;

	(void)state;
	open_pm(&k);
	replay(&k, ovmf, ARRAY_LEN(ovmf));
	/* Linux switches every GPE byte off before it begins. */
	pm_raise_gpe(k.dev, 2);
	for (unsigned i = 0; i < 8; i++) {
		wr(&k, 0, GEN + i, 1, 0);
		wr(&k, 0, GSTS + i, 1, 0xff);
		assert_int_equal(rd(&k, 0, GSTS + i, 1), 0);
	}
	replay(&k, linux_start, ARRAY_LEN(linux_start));
	assert_false(sci(&k));
	assert_int_equal(rd(&k, 0, GEN + PM_GPE_PCI / 8, 1) >> PM_GPE_PCI % 8 & 1, 1);
	assert_int_equal(pm_power_button(k.dev), 0);
	assert_int_equal(rd(&k, 0, STS, 2), 0x100);
	wr(&k, 0, STS, 2, 0x100);
	replay(&k, linux_off, ARRAY_LEN(linux_off));
	assert_int_equal(k.power_offs, 0);
	wr(&k, 0, CNT, 2, 0x2001);
	assert_int_equal(k.power_offs, 1);
	kit_close(&k);
}

static void pm_load__gives_the_same_registers_and_level(void **state)
{
	struct kit a, b;
	uint8_t *saved;
	size_t n;

	(void)state;
	open_pm(&a);
	vmclock_set(&a.clock, half_period(3) + 5);
	wr(&a, 0, EN, 2, 0x121);
	wr(&a, 0, CNT, 2, 0x1403);
	wr(&a, 0, GEN, 4, 0x80000002);
	pm_raise_gpe(a.dev, 31);
	pm_raise_gpe(a.dev, 40);
	assert_true(sci(&a));
	saved = kit_save(&a, &n);

	open_pm(&b);
	vmclock_set(&b.clock, half_period(3) + 5);
	assert_int_equal(kit_load(&b, saved, n), 0);
	assert_true(sci(&b));
	for (unsigned off = 0; off < 6; off += 2)
		assert_int_equal(rd(&a, 0, off, 2), rd(&b, 0, off, 2));
	for (unsigned off = 0; off < 16; off++)
		assert_int_equal(rd(&a, 0, GSTS + off, 1), rd(&b, 0, GSTS + off, 1));
	wr(&b, 0, STS, 2, 0xffff);
	wr(&b, 0, GSTS, 4, 0xffffffff);
	assert_false(sci(&b)); /* GPE 40 is not enabled */

	free(saved);
	kit_close(&a);
	kit_close(&b);
}

static void pm_load__refuses_damage(void **state)
{
	struct kit k;

	(void)state;
	open_pm(&k);
	kit_load_damaged(&k);
	kit_close(&k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pm_reset__gives_the_documented_values),
		cmocka_unit_test(pm_status__is_cleared_by_ones_in_any_size),
		cmocka_unit_test(pm_sci__is_the_level_of_enabled_status_bits),
		cmocka_unit_test(pm_hears__since_it_was_enabled_once),
		cmocka_unit_test(pm_sci__stays_while_one_of_two_events_is_left),
		cmocka_unit_test(pm_slp_en__powers_off_for_types_0_and_5),
		cmocka_unit_test(pm_byte_34__is_power_off_and_other_sizes_are_not),
		cmocka_unit_test(pm_timer__counts_exactly_and_wraps_at_24_bits),
		cmocka_unit_test(pm_timer__stands_still_in_a_pause),
		cmocka_unit_test(pm_tmr_sts__is_set_by_both_edges_of_the_top_bit),
		cmocka_unit_test(pm_tmr_sts__interrupts_by_a_host_timer),
		cmocka_unit_test(pm_power_button__needs_a_guest_that_listens),
		cmocka_unit_test(pm_io__of_holes_is_no_register),
		cmocka_unit_test(pm_io__serves_ovmf_and_linux_as_recorded),
		cmocka_unit_test(pm_load__gives_the_same_registers_and_level),
		cmocka_unit_test(pm_load__refuses_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
