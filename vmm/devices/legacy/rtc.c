/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtc.c - see rtc.h.
 *
 * How it works: while the clock runs, the time registers are computed when
 * they are read and nothing happens in between. While it stands (SET, or the
 * divider chain held in reset) they are plain bytes; when it starts again,
 * they are turned into the offset between the guest's time and the host's.
 *
 * The flags of register C are computed the same way: catch_up() compares now
 * with the moment up to which the flags are known. IRQF is the level of the
 * interrupt line. A host timer runs only while some interrupt is enabled and
 * the line is low: a flag that comes while it is high changes nothing that the
 * guest could see before it reads register C.
 */
#include "devices/legacy/rtc.h"

#include <string.h>
#include <time.h>

#include "base/le.h"
#include "devices/dev.h"

enum {
	REG_SECONDS = 0x00,
	REG_SECONDS_ALARM = 0x01,
	REG_MINUTES = 0x02,
	REG_MINUTES_ALARM = 0x03,
	REG_HOURS = 0x04,
	REG_HOURS_ALARM = 0x05,
	REG_WEEKDAY = 0x06,
	REG_DAY = 0x07,
	REG_MONTH = 0x08,
	REG_YEAR = 0x09,
	REG_A = 0x0a,
	REG_B = 0x0b,
	REG_C = 0x0c,
	REG_D = 0x0d,
	REG_EQUIPMENT = 0x14,
	REG_BASE_KIB = 0x15,
	REG_EXTENDED_KIB = 0x17,
	REG_CHECKSUM = 0x2e, /* high byte first; over 0x10..0x2d */
	REG_EXTENDED_KIB_2 = 0x30,
	REG_CENTURY = 0x32,
	REG_ABOVE_16M = 0x34, /* in 64 KiB */
	REG_ABOVE_4G = 0x5b,  /* three bytes, in 64 KiB */
	CMOS_SIZE = 128,
};

enum {
	A_UIP = 1 << 7,
	A_DV_SHIFT = 4,
	A_DV_MAX_RUNNING = 2,
	A_RS = 0x0f,
	A_RESET = 0x26, /* 32,768 Hz, 1,024 Hz periodic: what every PC has after POST */

	B_SET = 1 << 7,
	B_PIE = 1 << 6,
	B_AIE = 1 << 5,
	B_UIE = 1 << 4,
	B_SQWE = 1 << 3,
	B_BINARY = 1 << 2,
	B_24H = 1 << 1,
	/* The RESET pin clears these (data sheet, "RESET"). */
	B_CLEARED_BY_RESET = B_PIE | B_AIE | B_UIE | B_SQWE,

	C_IRQF = 1 << 7,
	C_PF = 1 << 6,
	C_AF = 1 << 5,
	C_UF = 1 << 4,
	C_FLAGS = C_PF | C_AF | C_UF, /* at the same bits as their enables in B */

	D_VRT = 1 << 7,

	ALARM_ANY = 0xc0,
	HOUR_PM = 1 << 7,
	EQUIPMENT_FPU = 1 << 1,

	NS_PER_S = 1000000000,
	UIP_NS = 244000,   /* UIP is up this long before an update (data sheet, "update cycle") */
	LOOK_AGAIN_S = 30, /* a jump of the host's clock delays an alarm by no more than this */
};

/* About the year 33,000: far beyond what the registers can say. */
static const int64_t OFFSET_MAX_S = 1000000000000;

struct rtc {
	struct dev *dev; /* borrowed, for the timer's callback */
	struct rtc_time (*wall)(void *ctx);
	void *wall_ctx; /* borrowed */
	uint64_t low_ram_end, high_ram;

	uint8_t index; /* with the NMI bit */
	uint8_t a, b;  /* a without UIP */
	uint8_t c;     /* flags only; IRQF is computed */
	uint8_t cmos[CMOS_SIZE];
	struct rtc_time offset; /* guest's time less host's wall time */
	int64_t known_s;        /* UF and AF are up to date to this second of the guest's time */
	uint64_t known_period;  /* PF is up to date to this number of periods */
	uint32_t owed;          /* periodic interrupts that came too fast for the guest */
	uint64_t redo_at;       /* guest's clock, ns: when the next owed one is due; 0: none */
	struct loop_timer timer;
	bool paused;
};

static struct rtc_time host_wall(void *ctx)
{
	struct timespec ts;

	(void)ctx;
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (struct rtc_time){ .s = ts.tv_sec, .ns = (uint32_t)ts.tv_nsec };
}

static struct rtc_time time_add(struct rtc_time x, struct rtc_time y)
{
	struct rtc_time sum = { .s = x.s + y.s, .ns = x.ns + y.ns };

	if (sum.ns >= NS_PER_S) {
		sum.ns -= NS_PER_S;
		sum.s++;
	}
	return sum;
}

static struct rtc_time time_sub(struct rtc_time x, struct rtc_time y)
{
	struct rtc_time diff = { .s = x.s - y.s, .ns = x.ns - y.ns };

	if (x.ns < y.ns) {
		diff.ns += NS_PER_S;
		diff.s--;
	}
	return diff;
}

static struct rtc_time guest_now(const struct rtc *s)
{
	return time_add(s->wall(s->wall_ctx), s->offset);
}

static bool divider_runs(uint8_t a)
{
	return (a >> A_DV_SHIFT & 7) <= A_DV_MAX_RUNNING;
}

static bool clock_runs(const struct rtc *s)
{
	return divider_runs(s->a) && (s->b & B_SET) == 0;
}

static uint8_t encode(const struct rtc *s, unsigned v)
{
	return (uint8_t)((s->b & B_BINARY) != 0 ? v : (v / 10 % 10) << 4 | v % 10);
}

/* Any byte has a meaning, if an odd one, as in the chip. */
static unsigned decode(const struct rtc *s, uint8_t v)
{
	return (s->b & B_BINARY) != 0 ? v : (unsigned)(v >> 4) * 10 + (v & 0x0f);
}

static uint8_t encode_hour(const struct rtc *s, unsigned hour)
{
	uint8_t v;

	if ((s->b & B_24H) != 0)
		return encode(s, hour);
	v = encode(s, hour % 12 == 0 ? 12 : hour % 12);
	return hour >= 12 ? v | HOUR_PM : v;
}

static unsigned decode_hour(const struct rtc *s, uint8_t v)
{
	if ((s->b & B_24H) != 0)
		return decode(s, v);
	return decode(s, v & (uint8_t)~HOUR_PM) % 12 + ((v & HOUR_PM) != 0 ? 12 : 0);
}

static bool is_time_reg(unsigned reg)
{
	return reg == REG_SECONDS || reg == REG_MINUTES || reg == REG_HOURS ||
	       (reg >= REG_WEEKDAY && reg <= REG_YEAR) || reg == REG_CENTURY;
}

/*
 * Civil dates by ourselves: the C library's functions read the host's time zone the first time, from a
 * file, on a vCPU. Years begin in March, so that the leap day is a year's last; an era is 400 of them.
 */
enum { DAY_S = 86400 };
enum { ERA_DAYS = 146097, ERA_YEARS = 400, EPOCH_DAYS = 719468 /* 0000-03-01 to 1970-01-01 */ };

struct civil {
	int64_t year;
	unsigned month, day; /* from 1 */
};

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* Day 0 is 1970-01-01. @month may be any number: it carries into the year. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
	const int64_t m = month - 3; /* from March */
	const int64_t y = year + floor_div(m, 12);
	const int64_t era = floor_div(y, ERA_YEARS);
	const int64_t in_era = y - era * ERA_YEARS,
		      in_year = (153 * (m - floor_div(m, 12) * 12) + 2) / 5;

	return era * ERA_DAYS + in_era * 365 + in_era / 4 - in_era / 100 + in_year + day - 1 -
	       EPOCH_DAYS;
}

static struct civil civil_of(int64_t days)
{
	const int64_t d = days + EPOCH_DAYS, era = floor_div(d, ERA_DAYS);
	const unsigned in_era = (unsigned)(d - era * ERA_DAYS);
	const unsigned y = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	const unsigned in_year = in_era - (365 * y + y / 4 - y / 100);
	const unsigned m = (5 * in_year + 2) / 153; /* from March */

	return (struct civil){ .year = era * ERA_YEARS + y + (m >= 10),
			       .month = m < 10 ? m + 3 : m - 9,
			       .day = in_year - (153 * m + 2) / 5 + 1 };
}

/* Fill the ten time bytes from the guest's time. */
static void time_to_regs(struct rtc *s, int64_t now_s)
{
	const int64_t days = floor_div(now_s, DAY_S);
	const unsigned in_day = (unsigned)(now_s - days * DAY_S);
	const struct civil c = civil_of(days);
	const unsigned year = (unsigned)(c.year - floor_div(c.year, 10000) * 10000);
	const unsigned weekday = (unsigned)(days + 4 - floor_div(days + 4, 7) * 7); /* a Thursday */

	s->cmos[REG_SECONDS] = encode(s, in_day % 60);
	s->cmos[REG_MINUTES] = encode(s, in_day / 60 % 60);
	s->cmos[REG_HOURS] = encode_hour(s, in_day / 3600);
	s->cmos[REG_WEEKDAY] = encode(s, weekday + 1);
	s->cmos[REG_DAY] = encode(s, c.day);
	s->cmos[REG_MONTH] = encode(s, c.month);
	s->cmos[REG_YEAR] = encode(s, year % 100);
	s->cmos[REG_CENTURY] = encode(s, year / 100);
}

/* The seconds that the time bytes stand for; fields out of range carry into the next. */
static int64_t regs_to_time(const struct rtc *s)
{
	const unsigned year = decode(s, s->cmos[REG_CENTURY]) * 100 + decode(s, s->cmos[REG_YEAR]);
	const int64_t days =
		days_of(year, decode(s, s->cmos[REG_MONTH]), decode(s, s->cmos[REG_DAY]));

	return days * DAY_S + (int64_t)decode_hour(s, s->cmos[REG_HOURS]) * 3600 +
	       (int64_t)decode(s, s->cmos[REG_MINUTES]) * 60 + decode(s, s->cmos[REG_SECONDS]);
}

/* From now on the guest's time is @now_s with the fraction @ns; flags start from here. */
static void set_time(struct rtc *s, int64_t now_s, uint32_t ns)
{
	const struct rtc_time now = { .s = now_s, .ns = ns };

	s->offset = time_sub(now, s->wall(s->wall_ctx));
	s->known_s = now_s;
}

/* Data sheet, table 3, at 32,768 Hz: a period is 2^shift of its cycles. False: no periodic flag. */
static bool period_shift(const struct rtc *s, unsigned *ret)
{
	const unsigned rs = s->a & A_RS;

	if (rs == 0 || !divider_runs(s->a))
		return false;
	*ret = (rs < 3 ? rs + 7 : rs) - 1; /* 1 and 2 are 256 and 128 Hz again */
	return true;
}

/* Whole periods of 2^shift cycles that fit into @ns; exact: 32,768 Hz is 64 cycles in 1,953,125 ns. */
static uint64_t periods_at(uint64_t ns, unsigned shift)
{
	return (ns / 1953125 * 64 + ns % 1953125 * 64 / 1953125) >> shift;
}

/* The first nanosecond at which periods_at() reaches @n. */
static uint64_t period_begins(uint64_t n, unsigned shift)
{
	return ((n << shift) * 1953125 + 63) / 64;
}

static uint64_t clock_now(const struct rtc *s)
{
	return vmclock_now(s->dev->env->clock);
}

struct alarm_field {
	bool any;
	unsigned value; /* beyond the field's range: never matches */
};

static struct alarm_field alarm_field(const struct rtc *s, unsigned reg)
{
	const uint8_t v = s->cmos[reg];

	if ((v & ALARM_ANY) == ALARM_ANY)
		return (struct alarm_field){ .any = true };
	if (reg == REG_HOURS_ALARM)
		return (struct alarm_field){ .value = decode_hour(s, v) };
	return (struct alarm_field){ .value = decode(s, v) };
}

/* The smallest value >= @from below @end that matches, or @end. */
static unsigned alarm_match(struct alarm_field f, unsigned from, unsigned end)
{
	if (f.any)
		return from;
	return f.value >= from && f.value < end ? f.value : end;
}

/* The first second after @after at which the alarm rings; false: never. */
static bool next_alarm(const struct rtc *s, int64_t after, int64_t *ret)
{
	const struct alarm_field fs = alarm_field(s, REG_SECONDS_ALARM);
	const struct alarm_field fm = alarm_field(s, REG_MINUTES_ALARM);
	const struct alarm_field fh = alarm_field(s, REG_HOURS_ALARM);
	const int64_t from = after + 1;
	const int64_t in_day = (from % DAY_S + DAY_S) % DAY_S;
	const unsigned h0 = (unsigned)(in_day / 3600);
	unsigned m0 = (unsigned)(in_day / 60 % 60), s0 = (unsigned)(in_day % 60);

	if (fs.value >= 60 || fm.value >= 60 || fh.value >= 24)
		return false;
	/* Twenty-five hours: the one that has begun may come again tomorrow, whole. */
	for (unsigned h = h0; h <= h0 + 24; h++, m0 = 0, s0 = 0) {
		if (!fh.any && fh.value != h % 24)
			continue;
		for (unsigned m = alarm_match(fm, m0, 60); m < 60; m = alarm_match(fm, m + 1, 60)) {
			const unsigned sec = alarm_match(fs, m == m0 ? s0 : 0, 60);

			if (sec < 60) {
				*ret = from - in_day + h * 3600 + m * 60 + sec;
				return true;
			}
		}
	}
	return false;
}

static uint64_t min_u64(uint64_t x, uint64_t y)
{
	return x < y ? x : y;
}

/* PF, and what is owed of it. */
static void catch_up_periods(struct rtc *s)
{
	uint64_t now = clock_now(s), ticks;
	unsigned shift;

	if (s->redo_at != 0 && now >= s->redo_at) {
		s->redo_at = 0;
		if ((s->c & C_PF) == 0 && s->owed > 0) {
			s->owed--;
			s->c |= C_PF;
		}
	}
	if (!period_shift(s, &shift))
		return;
	now = periods_at(now, shift);
	/* A clock set back (restore) counts as one tick. */
	ticks = now > s->known_period ? now - s->known_period : now != s->known_period;
	s->known_period = now;
	if (ticks == 0)
		return;
	if ((s->c & C_PF) == 0) {
		s->c |= C_PF;
		ticks--;
	}
	if ((s->b & B_PIE) != 0)
		s->owed += (uint32_t)min_u64(ticks, RTC_OWED_MAX - s->owed);
}

/* Set the flags of everything that has happened since the last time. */
static void catch_up(struct rtc *s)
{
	if (clock_runs(s)) {
		const int64_t now = guest_now(s).s;
		int64_t alarm;

		if (now != s->known_s)
			s->c |= C_UF;
		if (now > s->known_s && next_alarm(s, s->known_s, &alarm) && alarm <= now)
			s->c |= C_AF;
		s->known_s = now;
	}
	catch_up_periods(s);
}

/* Host ns until the guest's time reaches @at_s; not longer than we dare to sleep. */
static uint64_t ns_until(const struct rtc *s, int64_t at_s)
{
	const struct rtc_time now = guest_now(s);

	if (at_s <= now.s)
		return 0;
	if (at_s - now.s > LOOK_AGAIN_S)
		return (uint64_t)LOOK_AGAIN_S * NS_PER_S;
	return (uint64_t)(at_s - now.s) * NS_PER_S - now.ns;
}

/* Host time at which the next enabled flag comes; UINT64_MAX: none will. */
static uint64_t next_event(const struct rtc *s)
{
	const struct vmclock *clock = s->dev->env->clock;
	uint64_t at = UINT64_MAX;
	unsigned shift;
	int64_t alarm;

	/* While the guest's clock stands, no host time is the right one: resume() comes first. */
	if ((s->b & B_PIE) != 0 && period_shift(s, &shift) &&
	    !__atomic_load_n(&clock->frozen, __ATOMIC_RELAXED)) {
		at = vmclock_to_host(clock, period_begins(s->known_period + 1, shift));
		if (s->redo_at != 0)
			at = min_u64(at, vmclock_to_host(clock, s->redo_at));
	}
	if ((s->b & B_UIE) != 0 && clock_runs(s))
		at = min_u64(at, host_now() + ns_until(s, s->known_s + 1));
	if ((s->b & B_AIE) != 0 && clock_runs(s) && next_alarm(s, s->known_s, &alarm))
		at = min_u64(at, host_now() + ns_until(s, alarm));
	return at;
}

/* The interrupt line, and a host timer for the next flag that would raise it. */
static void update(struct rtc *s)
{
	struct dev *d = s->dev;
	const bool level = (s->c & s->b & C_FLAGS) != 0;
	const uint64_t at = level || s->paused ? UINT64_MAX : next_event(s);

	irq_line_set(&d->irq, level);
	if (at != UINT64_MAX)
		loop_timer_set(d->env->loop, &s->timer, at);
	else
		loop_timer_cancel(d->env->loop, &s->timer);
}

static void rtc_timer_fired(void *ctx)
{
	struct rtc *s = ctx;

	dev_take(s->dev);
	catch_up(s);
	update(s);
	dev_drop(s->dev);
}

static uint8_t read_c(struct rtc *s)
{
	unsigned shift;
	uint8_t c;

	catch_up(s);
	c = s->c;
	if ((c & s->b & C_FLAGS) != 0)
		c |= C_IRQF;
	s->c = 0;
	/* Leave the guest the quarter of a period to get out of its handler. */
	if ((c & C_PF) != 0 && s->owed > 0 && period_shift(s, &shift))
		s->redo_at = clock_now(s) + period_begins(1, shift) / 4;
	update(s);
	return c;
}

static uint8_t read_a(const struct rtc *s)
{
	const bool soon = clock_runs(s) && guest_now(s).ns >= NS_PER_S - UIP_NS;

	return s->a | (soon ? A_UIP : 0);
}

static uint8_t data_read(struct rtc *s)
{
	const unsigned reg = s->index & 0x7f;

	switch (reg) {
	case REG_A:
		return read_a(s);
	case REG_B:
		return s->b;
	case REG_C:
		return read_c(s);
	case REG_D:
		return D_VRT;
	default:
		if (is_time_reg(reg) && clock_runs(s))
			time_to_regs(s, guest_now(s).s);
		return s->cmos[reg];
	}
}

static void forget_periods(struct rtc *s)
{
	unsigned shift;

	s->known_period = period_shift(s, &shift) ? periods_at(clock_now(s), shift) : 0;
	s->owed = 0;
	s->redo_at = 0;
}

/* A new value of register A or B: stop and start the clock as it says. */
static void write_ab(struct rtc *s, uint8_t a, uint8_t b)
{
	const bool ran = clock_runs(s), divider_ran = divider_runs(s->a);
	const struct rtc_time now = guest_now(s);
	const bool new_rate = a != s->a;

	catch_up(s);
	if (ran)
		time_to_regs(s, now.s); /* in the old format: it is what the guest would read */
	if ((b & B_SET) != 0 && (s->b & B_SET) == 0)
		b &= (uint8_t)~B_UIE; /* data sheet, register B, UIE */
	if ((b & B_PIE) == 0)
		s->owed = 0;
	s->a = a;
	s->b = b;
	/*
	 * Out of divider reset the first update comes half a second later (data
	 * sheet, "divider control"); after SET the seconds go on where they were.
	 */
	if (!ran && clock_runs(s))
		set_time(s, regs_to_time(s), divider_ran ? now.ns : NS_PER_S / 2);
	if (new_rate)
		forget_periods(s);
	update(s);
}

static void data_write(struct rtc *s, uint8_t v)
{
	const unsigned reg = s->index & 0x7f;

	switch (reg) {
	case REG_A:
		write_ab(s, v & (uint8_t)~A_UIP, s->b);
		return;
	case REG_B:
		write_ab(s, s->a, v);
		return;
	case REG_C:
	case REG_D:
		return;
	case REG_SECONDS_ALARM:
	case REG_MINUTES_ALARM:
	case REG_HOURS_ALARM:
		catch_up(s);
		s->cmos[reg] = v;
		update(s);
		return;
	default:
		break;
	}
	if (is_time_reg(reg) && clock_runs(s)) {
		/* Bad manners, but it works on the chip: one field changes, the rest goes on. */
		const struct rtc_time now = guest_now(s);

		catch_up(s);
		time_to_regs(s, now.s);
		s->cmos[reg] = v;
		if (reg != REG_WEEKDAY)
			set_time(s, regs_to_time(s), now.ns);
		update(s);
		return;
	}
	s->cmos[reg] = v;
}

static enum io_result rtc_io(struct dev *d, unsigned region, struct io *io)
{
	struct rtc *s = d->state;

	(void)region;
	/* "out 0x70, ax" writes the index and then the byte. */
	if (io->size > 2)
		return IO_BAD_SIZE;
	for (unsigned i = 0; i < io->size; i++) {
		const bool data = io->off + i == 1;
		const uint8_t v = (uint8_t)(io->val >> 8 * i);

		if (io->write && data)
			data_write(s, v);
		else if (io->write)
			s->index = v;
		else if (i == 0)
			io->val = data ? data_read(s) : s->index;
		else
			io->val |= (uint64_t)data_read(s) << 8;
	}
	return IO_DONE;
}

static uint64_t clamp(uint64_t v, uint64_t max)
{
	return v < max ? v : max;
}

/* What firmware of another age finds its memory by. */
static void fill_sizes(struct rtc *s)
{
	const uint64_t mib = 1024 * 1024, low = s->low_ram_end;
	const uint16_t extended = (uint16_t)clamp(low > mib ? (low - mib) / 1024 : 0, UINT16_MAX);
	const uint16_t above_16m =
		(uint16_t)clamp(low > 16 * mib ? (low - 16 * mib) / 65536 : 0, UINT16_MAX);
	const uint32_t above_4g = (uint32_t)clamp(s->high_ram / 65536, 0xffffff);
	unsigned sum = 0;

	s->cmos[REG_EQUIPMENT] = EQUIPMENT_FPU;
	st16(s->cmos + REG_BASE_KIB, (uint16_t)clamp(low / 1024, 640));
	st16(s->cmos + REG_EXTENDED_KIB, extended);
	st16(s->cmos + REG_EXTENDED_KIB_2, extended);
	st16(s->cmos + REG_ABOVE_16M, above_16m);
	st16(s->cmos + REG_ABOVE_4G, (uint16_t)above_4g);
	s->cmos[REG_ABOVE_4G + 2] = (uint8_t)(above_4g >> 16);
	for (unsigned i = 0x10; i < REG_CHECKSUM; i++)
		sum += s->cmos[i];
	s->cmos[REG_CHECKSUM] = (uint8_t)(sum >> 8);
	s->cmos[REG_CHECKSUM + 1] = (uint8_t)sum;
}

static int rtc_init(struct dev *d, struct sill_err *e)
{
	struct rtc *s = d->state;
	const struct rtc_config *c = d->config;

	(void)e;
	s->dev = d;
	s->wall = c->wall != NULL ? c->wall : host_wall;
	s->wall_ctx = c->wall_ctx;
	s->low_ram_end = c->low_ram_end;
	s->high_ram = c->high_ram;
	s->timer = (struct loop_timer){ .fn = rtc_timer_fired, .ctx = s };
	s->a = A_RESET;
	s->b = B_24H;
	if (c->local) {
		const time_t now = (time_t)s->wall(s->wall_ctx).s;
		struct tm tm;

		if (localtime_r(&now, &tm) != NULL)
			s->offset.s = tm.tm_gmtoff;
	}
	s->known_s = guest_now(s).s;
	return 0;
}

static void rtc_reset(struct dev *d)
{
	struct rtc *s = d->state;

	s->b &= (uint8_t)~B_CLEARED_BY_RESET;
	s->c = 0;
	s->index = 0;
	s->known_s = guest_now(s).s;
	forget_periods(s);
	fill_sizes(s);
	update(s);
}

static void rtc_pause(struct dev *d)
{
	struct rtc *s = d->state;

	s->paused = true;
	update(s);
}

static void rtc_resume(struct dev *d)
{
	struct rtc *s = d->state;

	s->paused = false;
	catch_up(s);
	update(s);
}

static void rtc_stop(struct dev *d)
{
	struct rtc *s = d->state;

	loop_timer_cancel(d->env->loop, &s->timer);
}

static int rtc_save(struct dev *d, struct saver *out)
{
	struct rtc *s = d->state;

	catch_up(s);
	save_begin(out, SAVE_TAG('r', 't', 'c', ' '), 1);
	save_u8(out, s->index);
	save_u8(out, s->a);
	save_u8(out, s->b);
	save_u8(out, s->c);
	save_bytes(out, s->cmos, sizeof(s->cmos));
	save_u64(out, (uint64_t)s->offset.s);
	save_u32(out, s->offset.ns);
	save_u32(out, s->owed);
	save_end(out);
	update(s);
	return 0;
}

static int rtc_load(struct dev *d, struct loader *l, struct sill_err *e)
{
	struct rtc *s = d->state;
	uint8_t index, a, b, c, cmos[CMOS_SIZE];
	struct rtc_time offset;
	uint32_t owed;

	(void)load_begin(l, SAVE_TAG('r', 't', 'c', ' '), 1);
	index = load_u8(l);
	a = load_u8(l);
	b = load_u8(l);
	c = load_u8(l);
	load_bytes(l, cmos, sizeof(cmos));
	offset.s = (int64_t)load_u64(l);
	offset.ns = load_u32(l);
	owed = load_u32(l);
	if ((a & A_UIP) != 0 || (c & ~C_FLAGS) != 0 || offset.s > OFFSET_MAX_S ||
	    offset.s < -OFFSET_MAX_S || offset.ns >= NS_PER_S || owed > RTC_OWED_MAX)
		load_fail(l);
	if (load_end(l, d->id, e) < 0)
		return -1;

	s->index = index;
	s->a = a;
	s->b = b;
	s->c = c;
	memcpy(s->cmos, cmos, sizeof(cmos));
	s->offset = offset;
	s->known_s = guest_now(s).s;
	forget_periods(s);
	s->owed = owed;
	update(s);
	return 0;
}

const struct dev_ops rtc_ops = {
	.type = "rtc",
	.state_size = sizeof(struct rtc),
	.init = rtc_init,
	.io = rtc_io,
	.reset = rtc_reset,
	.pause = rtc_pause,
	.resume = rtc_resume,
	.stop = rtc_stop,
	.fini = rtc_stop,
	.save = rtc_save,
	.load = rtc_load,
};
