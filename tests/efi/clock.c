/* SPDX-License-Identifier: Apache-2.0 */
/* clock.c - see clock.h. */
#include "clock.h"

#include <stddef.h>

#include "acpi.h"
#include "cpu.h"
#include "report.h"

uint64_t tsc_hz = 1000000000;

static uint16_t pm_port = 0x608;
static bool pm_32bit;

uint32_t pm_timer(void)
{
	return in32(pm_port);
}

uint32_t pm_timer_diff(uint32_t from, uint32_t to)
{
	return pm_32bit ? to - from : (to - from) & 0xffffff;
}

bool pm_timer_is_32bit(void)
{
	return pm_32bit;
}

static uint64_t read_pm(void)
{
	return pm_timer();
}

struct sample clock_sample(uint64_t (*read)(void))
{
	enum { TRIES = 8 };
	struct sample best = { 0 };
	uint64_t took = ~0ull;

	for (unsigned i = 0; i < TRIES; i++) {
		uint64_t before = rdtsc(), value = read(), after = rdtsc();

		if (after - before >= took)
			continue;
		took = after - before;
		best = (struct sample){ value, before + took / 2 };
	}
	return best;
}

void clock_init(void)
{
	enum { TMR_VAL_EXT = 8, CALIBRATE_TICKS = PM_HZ / 20 };
	struct sample from, to;
	bool on;

	if (acpi.fadt != NULL) {
		pm_port = (uint16_t)acpi_fadt32(FADT_PM_TMR_BLK);
		pm_32bit = (acpi_fadt32(FADT_FLAGS) >> TMR_VAL_EXT & 1) != 0;
	}
	on = irq_off();
	from = clock_sample(read_pm);
	while (pm_timer_diff((uint32_t)from.value, pm_timer()) < CALIBRATE_TICKS)
		cpu_pause();
	to = clock_sample(read_pm);
	irq_restore(on);
	tsc_hz = (to.tsc - from.tsc) * PM_HZ /
		 pm_timer_diff((uint32_t)from.value, (uint32_t)to.value);
}

uint64_t clock_us(void)
{
	uint64_t t = rdtsc(), s = t / tsc_hz;

	return s * 1000000 + (t - s * tsc_hz) * 1000000 / tsc_hz;
}

bool clock_wait(bool (*done)(void))
{
	enum { LIMIT_S = 30 };
	uint64_t from = rdtsc();

	while (!done()) {
		if (rdtsc() - from > LIMIT_S * tsc_hz)
			return done();
		cpu_pause();
	}
	return true;
}

void clock_spin_us(uint64_t us)
{
	uint64_t from = rdtsc(), ticks = us * (tsc_hz / 1000) / 1000;

	while (rdtsc() - from <= ticks)
		cpu_pause();
}
