/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_image_grow.c - disks of every format become larger: what is new reads as
 * zeroes, what was there stays, whatever is cut off or fails meanwhile.
 *
 * A sector that is written holds its number. SILL_ROUNDS is how often the random
 * tests go round, in percent.
 */
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>

#include "image/open.h"
#include "note_kit.h"
#include "sill/image.h"

enum { BELOW = 0xbb };
#define GIB (MIB * 1024 / SECTOR) /* in sectors */

/* An image, and how it grows. Sizes in sectors. */
struct kind {
	const char *name;
	struct sill_image_options o; /* without the size */
	uint64_t from, to;
	uint64_t below; /* of a raw image below; 0: none */
	bool full;      /* clusters are allocated until the refcount table has little room */
};

/* clang-format off */
static const struct kind kinds[] = {
	{ "room in the table", { .format = SILL_DISK_QCOW2 }, 4096, 1 << 20, 0, false },
	{ "odd end on a larger image", { .format = SILL_DISK_QCOW2, .block_size = 4096 }, 6145, 14336, 16384, false },
	{ "the table moves", { .format = SILL_DISK_QCOW2, .block_size = 512 }, 3001, 14335, 0, false },
	{ "the table moves, narrow counts", { .format = SILL_DISK_QCOW2, .block_size = 512, .refcount_bits = 1 }, 3001, 14336, 4000, false },
	{ "several blocks for the table", { .format = SILL_DISK_QCOW2, .block_size = 512, .refcount_bits = 64 }, 3001, 300000, 0, false },
	{ "the refcount table too", { .format = SILL_DISK_QCOW2, .block_size = 512, .refcount_bits = 64 }, 3700, 300000, 0, true },
	{ "version 2", { .format = SILL_DISK_QCOW2, .block_size = 512, .version = 2 }, 3001, 14335, 3500, false },
	{ "subclusters", { .format = SILL_DISK_QCOW2, .block_size = 16384, .subclusters = true }, 3001, 80000, 70000, false },
	{ "an ephemeral layer", { .format = SILL_DISK_QCOW2, .block_size = 128 << 10, .subclusters = true }, 5000, 40000, 5000, false },
	{ "large clusters", { .format = SILL_DISK_QCOW2, .block_size = 2 << 20 }, 5001, 20000, 8000, false },
	{ "vhd", { .format = SILL_DISK_VHD }, 5001, 30000, 0, false },
	{ "vhd, the BAT becomes longer", { .format = SILL_DISK_VHD, .block_size = 512 << 10 }, 5001, 300001, 0, false },
	{ "vhd, fixed", { .format = SILL_DISK_VHD, .fixed = true }, 5001, 12000, 0, false },
	{ "vhdx", { .format = SILL_DISK_VHDX, .block_size = 1 << 20 }, 5001, 30000, 0, false },
	{ "vhdx, the BAT moves", { .format = SILL_DISK_VHDX, .block_size = 1 << 20 }, 120 * GIB + 1, 140 * GIB + 5, 0, false },
	{ "vhdx, fixed", { .format = SILL_DISK_VHDX, .block_size = 1 << 20, .fixed = true }, 5001, 12000, 0, false },
};
/* clang-format on */

static const struct kind *kind;

/* --- the image ------------------------------------------------------------- */

static struct sill_image *open_it(int fd, int base)
{
	struct sill_image_source s = { .fd = dup(fd), .path = "image", .format = kind->o.format };
	struct sill_image_source below = { .path = "base", .readonly = true };
	struct sill_err e = { 0 };
	struct sill_image *i;

	if (base >= 0) {
		below.fd = dup(base);
		s.backing = sill_image_open(&below, &e);
	}
	i = sill_image_open(&s, &e);
	if (i == NULL)
		fail_msg("%s: %s", kind->name, e.msg);
	return i;
}

/* Which sectors hold their number before the disk grows. */
static bool is_ours(uint64_t s)
{
	const uint64_t end = kind->from;

	return s < 9 || (s >= end / 2 && s < end / 2 + 70) || (s >= end - 3 && s < end) ||
	       (kind->full && s % 2 == 0 && s < end);
}

/* The next one that is, or may be: most of a large disk holds nothing. */
static uint64_t after(uint64_t s)
{
	const uint64_t end = kind->from;

	if (s == 9 && !kind->full)
		return end / 2;
	if (s == end / 2 + 70 && !kind->full)
		return end - 3;
	return s + 1;
}

static void put(struct sill_image *i, uint64_t s)
{
	uint64_t words[SECTOR / 8];
	struct sill_err e = { 0 };

	for (unsigned k = 0; k < SECTOR / 8; k++)
		words[k] = s + 1;
	ok(sill_image_write(i, words, sizeof(words), s * SECTOR, &e), &e);
}

/* @any: it may be zero as well. */
static void expect(struct sill_image *i, uint64_t s, bool ours, bool any)
{
	uint64_t want = ours ? s + 1 : 0, words[SECTOR / 8];
	struct sill_err e = { 0 };

	if (!ours && s < kind->below && s < kind->from)
		memset(&want, BELOW, sizeof(want));
	ok(sill_image_read(i, words, sizeof(words), s * SECTOR, &e), &e);
	for (unsigned k = 0; k < SECTOR / 8; k++)
		if (words[k] != want && !(any && words[k] == 0))
			fail_msg("%s: sector %llu is %llx, not %llx", kind->name,
				 (unsigned long long)s, (unsigned long long)words[k],
				 (unsigned long long)want);
}

static int make_below(void)
{
	int fd = -1;
	uint8_t bytes[4096];

	if (kind->below == 0)
		return fd;
	fd = file();
	memset(bytes, BELOW, sizeof(bytes));
	for (uint64_t at = 0; at < kind->below * SECTOR; at += sizeof(bytes))
		assert_int_equal(pwrite(fd, bytes, sizeof(bytes), (off_t)at), sizeof(bytes));
	assert_int_equal(ftruncate(fd, (off_t)(kind->below * SECTOR)), 0);
	return fd;
}

/* Other programs may have left something behind the end of the last cluster or block. */
static void litter(int fd, int base)
{
	struct sill_image *i = open_it(fd, base);
	const uint64_t last = kind->from - 1;
	struct sill_image_extent x;
	struct sill_image_info f;
	struct sill_err e = { 0 };
	uint8_t bytes[SECTOR];

	ok(sill_image_extent(i, last * SECTOR, SECTOR, 0, &x, &e), &e);
	sill_image_close(i);
	ok(sill_image_info(fd, "image", kind->o.format, &f, &e), &e);
	memset(bytes, 0xee, sizeof(bytes));
	if (f.block_size == 0 || !x.has_place)
		return;
	for (uint64_t s = kind->from; s % (f.block_size / SECTOR) != 0; s++)
		assert_int_equal(
			pwrite(fd, bytes, sizeof(bytes), (off_t)(x.place + (s - last) * SECTOR)),
			sizeof(bytes));
}

static int make_image(int base)
{
	struct sill_image_options o = kind->o;
	struct sill_err e = { 0 };
	struct sill_image *i;
	int fd = file();

	o.size = kind->from * SECTOR;
	o.backing = base >= 0 ? "base" : NULL;
	ok(sill_image_create(fd, &o, &e), &e);
	i = open_it(fd, base);
	for (uint64_t s = 0; s < kind->from; s = after(s))
		if (is_ours(s))
			put(i, s);
	sill_image_close(i);
	litter(fd, base);
	return fd;
}

/* --- what is to be seen of it ---------------------------------------------- */

static void report(void *ctx, const char *line)
{
	(void)ctx;
	if (strncmp(line, "leaked", 6) != 0)
		print_message("%s\n", line);
}

static void check(int fd)
{
	const struct sill_image_checking how = {
		.fd = fd, .path = "image", .format = kind->o.format, .report = report
	};
	struct sill_image_check r = { 0 };
	struct sill_err e = { 0 };

	ok(sill_image_check(&how, &r, &e), &e);
	if (r.errors != 0)
		fail_msg("%s: %llu errors", kind->name, (unsigned long long)r.errors);
}

static void judge(int fd, int base)
{
	struct sill_image *i = open_it(fd, base);
	const uint64_t size = sill_image_size(i) / SECTOR;

	assert_true(size == kind->from || size == kind->to);
	for (uint64_t s = 0; s < kind->from; s = after(s))
		expect(i, s, is_ours(s), false);
	for (uint64_t s = 0; s < kind->from; s += 1 + dice() * 16ull % (kind->from / 64))
		expect(i, s, is_ours(s), false);
	for (uint64_t s = kind->from; s < size && s < kind->from + 200; s++)
		expect(i, s, false, false);
	for (uint64_t s = kind->from; s + 1 < size; s += 1 + dice() * 16ull % (size / 64))
		expect(i, s, false, false);
	if (size == kind->to)
		expect(i, size - 1, true, true);
	sill_image_close(i);
	check(fd);
}

/* Debian's qemu-img agrees, if it is there and knows the format. */
static void ask_qemu(int fd)
{
	const char *format = sill_image_format_name(kind->o.format);
	char line[256];

	if (kind->o.format == SILL_DISK_VHD || kind->below != 0 ||
	    system("command -v qemu-img >/dev/null") != 0)
		return;
	(void)snprintf(line, sizeof(line), "qemu-img check -q -f %s /proc/%d/fd/%d", format,
		       getpid(), fd);
	if (system(line) != 0)
		fail_msg("%s: %s", kind->name, line);
}

/* --- growing --------------------------------------------------------------- */

static void grow(int fd, int base)
{
	struct sill_image *i = open_it(fd, base);
	struct sill_err e = { 0 };

	ok(sill_image_grow(i, kind->to * SECTOR, &e), &e);
	assert_int_equal(sill_image_size(i), kind->to * SECTOR);
	put(i, kind->to - 1);
	ok(sill_image_flush(i, &e), &e);
	expect(i, kind->to - 1, true, false);
	sill_image_close(i);
}

static void image_grow__leaves_what_was_there_and_shows_zeroes(void **state)
{
	(void)state;
	for (kind = kinds; kind < kinds + ARRAY_LEN(kinds); kind++) {
		int base = make_below(), fd = make_image(base);

		grow(fd, base);
		judge(fd, base);
		ask_qemu(fd);
		(void)close(fd);
		(void)close(base);
	}
}

static void image_grow__a_power_cut_leaves_the_old_size_or_the_new_one(void **state)
{
	(void)state;
	for (kind = kinds; kind < kinds + ARRAY_LEN(kinds); kind++) {
		struct change c = { .make = grow, .judge = judge, .base = make_below() };
		int fd = make_image(c.base);

		cut_anywhere(&c, fd);
		(void)close(fd);
		(void)close(c.base);
	}
}

/* The @k-th call fails. False: there were not so many. */
static bool fail_call(int before, int base, unsigned k)
{
	int fd = copy_of(before);
	struct sill_err e = { 0 };
	struct sill_image *i;
	int failed;

	set_noting(true);
	i = open_it(fd, base);
	failed_once = false;
	fail_at = k;
	failed = sill_image_grow(i, kind->to * SECTOR, &e);
	fail_at = 0;
	assert_int_equal(failed == 0, sill_image_size(i) == kind->to * SECTOR);
	/* What has failed for want of space must be possible later. */
	if (failed != 0 && e.sys == ENOSPC) {
		e = (struct sill_err){ 0 };
		(void)sill_image_grow(i, kind->to * SECTOR, &e);
	}
	sill_image_close(i);
	set_noting(false);
	forget();
	judge(fd, base);
	(void)close(fd);
	return failed_once;
}

static void image_grow__a_call_that_fails_leaves_the_old_size_or_the_new_one(void **state)
{
	(void)state;
	for (kind = kinds; kind < kinds + ARRAY_LEN(kinds); kind++) {
		int base = make_below(), fd = make_image(base);

		for (unsigned k = 1; fail_call(fd, base, k); k++) {
			assert_true(k < 4000);
			fail_with = k % 2 == 0 ? ENOSPC : EIO;
			fail_on = k % 3 == 0;
		}
		(void)close(fd);
		(void)close(base);
	}
}

/* --- while others write ----------------------------------------------------- */

enum { WRITERS = 3, BAND = 8, STEPS = 12, AT_ONCE = 128 };

static struct {
	struct sill_image *i;
	uint64_t *now; /* what each sector holds */
	bool over;     /* atomic */
} shared;

struct writer {
	uint64_t index, wrote;
	unsigned seed;
	pthread_t thread;
};

/* Some of a band of this writer's, up to the band's end or the disk's. */
static void write_some(struct writer *w, uint64_t number)
{
	const uint64_t size = sill_image_size(shared.i) / SECTOR;
	const uint64_t band = (uint64_t)rand_r(&w->seed) % (size / BAND / WRITERS + 1);
	const bool at_end = rand_r(&w->seed) % 4 == 0;
	uint64_t from = (band * WRITERS + w->index) * BAND, to, words[BAND * SECTOR / 8];
	struct sill_err e = { 0 };

	if (at_end && size > WRITERS * BAND)
		from = (size - 1) / BAND % WRITERS == w->index ? (size - 1) / BAND * BAND : from;
	to = from + BAND < size ? from + BAND : size;
	from += (uint64_t)rand_r(&w->seed) % BAND;
	if (from >= to)
		return;
	if (rand_r(&w->seed) % 3 == 0) {
		ok(sill_image_zero(shared.i, from * SECTOR, (to - from) * SECTOR, at_end, &e), &e);
		number = 0;
	} else {
		for (uint64_t k = 0; k < (to - from) * SECTOR / 8; k++)
			words[k] = number;
		ok(sill_image_write(shared.i, words, (size_t)((to - from) * SECTOR), from * SECTOR,
				    &e),
		   &e);
	}
	for (uint64_t s = from; s < to; s++)
		shared.now[s] = number;
}

static void *writer_main(void *arg)
{
	struct writer *w = arg;
	struct sill_err e = { 0 };

	while (!__atomic_load_n(&shared.over, __ATOMIC_SEQ_CST)) {
		write_some(w, ++w->wrote * WRITERS + w->index);
		if (w->wrote % 64 == 0)
			ok(sill_image_flush(shared.i, &e), &e);
	}
	return NULL;
}

static void compare(struct sill_image *i)
{
	static uint64_t words[AT_ONCE][SECTOR / 8];

	for (uint64_t s = 0; s < kind->to; s++) {
		const uint64_t left = kind->to - s < AT_ONCE ? kind->to - s : AT_ONCE;
		struct sill_err e = { 0 };

		if (s % AT_ONCE == 0)
			ok(sill_image_read(i, words, (size_t)(left * SECTOR), s * SECTOR, &e), &e);
		for (unsigned k = 0; k < SECTOR / 8; k++)
			if (words[s % AT_ONCE][k] != shared.now[s])
				fail_msg("%s: sector %llu is %llx, not %llx", kind->name,
					 (unsigned long long)s,
					 (unsigned long long)words[s % AT_ONCE][k],
					 (unsigned long long)shared.now[s]);
	}
}

static void grow_while_others_write(int fd, int base)
{
	struct writer w[WRITERS];
	uint64_t size = kind->from;
	struct sill_err e = { 0 };

	shared.i = open_it(fd, base);
	shared.over = false;
	shared.now = calloc(kind->to, sizeof(*shared.now));
	assert_non_null(shared.now);
	for (uint64_t s = 0; s < kind->from; s++) {
		if (s < kind->below)
			memset(&shared.now[s], BELOW, sizeof(*shared.now));
		if (is_ours(s))
			shared.now[s] = s + 1;
	}
	for (unsigned k = 0; k < WRITERS; k++) {
		w[k] = (struct writer){ .index = k, .seed = dice() };
		assert_int_equal(pthread_create(&w[k].thread, NULL, writer_main, &w[k]), 0);
	}
	for (unsigned k = 0; k < STEPS; k++) {
		const uint64_t left = kind->to - size;

		size = k == STEPS - 1 ? kind->to : size + (left > 40 ? dice() % (left / 4) : 0);
		ok(sill_image_grow(shared.i, size * SECTOR, &e), &e);
	}
	__atomic_store_n(&shared.over, true, __ATOMIC_SEQ_CST);
	for (unsigned k = 0; k < WRITERS; k++)
		assert_int_equal(pthread_join(w[k].thread, NULL), 0);
	compare(shared.i);
	sill_image_close(shared.i);
	shared.i = open_it(fd, base);
	compare(shared.i);
	sill_image_close(shared.i);
	free(shared.now);
	check(fd);
	ask_qemu(fd);
}

static void image_grow__is_possible_while_others_write(void **state)
{
	const char *percent = getenv("SILL_ROUNDS");
	const unsigned long rounds = percent != NULL ? strtoul(percent, NULL, 10) / 100 : 1;

	(void)state;
	for (unsigned long k = 0; k < rounds; k++)
		for (kind = kinds; kind < kinds + ARRAY_LEN(kinds); kind++) {
			int base, fd;

			if (kind->to > MIB) /* a sector is counted for each */
				continue;
			base = make_below();
			fd = make_image(base);
			grow_while_others_write(fd, base);
			(void)close(fd);
			(void)close(base);
		}
}

/* --- a request that began before ------------------------------------------- */

static _Thread_local bool is_held;
static sem_t held, let_go;

static ssize_t holding_writev(int fd, const struct iovec *iov, int count, off_t off)
{
	if (is_held) {
		(void)sem_post(&held);
		(void)sem_wait(&let_go);
	}
	return pwritev(fd, iov, count, off);
}

static void *held_write(void *arg)
{
	is_held = true;
	put(arg, 16);
	return NULL;
}

/* Up to the end of the disk, which is inside of a cluster. */
static void *zero_end(void *arg)
{
	struct sill_err e = { 0 };

	ok(sill_image_zero(arg, 8192, 2048, true, &e), &e);
	return NULL;
}

static bool somebody_waits(struct qcow2 *q)
{
	bool waits;

	lock_take(&q->ranges.lock);
	waits = q->ranges.sleepers != 0;
	lock_drop(&q->ranges.lock);
	return waits;
}

static void image_grow__saves_what_is_written_behind_the_end_from_older_zeroes(void **state)
{
	static const struct kind small = {
		"small", { .format = SILL_DISK_QCOW2, .block_size = 4096 }, 20, 24, 0, false
	};
	struct qcow2_io io = qcow2_io_real;
	pthread_t writer, zeroer;
	struct sill_err e = { 0 };
	struct sill_image *i;
	int fd;

	(void)state;
	kind = &small;
	fd = make_image(-1);
	(void)sem_init(&held, 0, 0);
	(void)sem_init(&let_go, 0, 0);
	io.writev = holding_writev;
	qcow2_io_set(&io);
	i = open_it(fd, -1);
	assert_int_equal(pthread_create(&writer, NULL, held_write, i), 0);
	(void)sem_wait(&held);
	assert_int_equal(pthread_create(&zeroer, NULL, zero_end, i), 0);
	while (!somebody_waits(i->blk->state)) /* that is the zeroes, which take whole clusters */
		(void)sched_yield();
	ok(sill_image_grow(i, kind->to * SECTOR, &e), &e);
	put(i, 20);
	(void)sem_post(&let_go);
	assert_int_equal(pthread_join(writer, NULL), 0);
	assert_int_equal(pthread_join(zeroer, NULL), 0);
	expect(i, 16, false, false);
	expect(i, 19, false, false);
	expect(i, 20, true, false);
	expect(i, 21, false, false);
	sill_image_close(i);
	qcow2_io_set(NULL);
	(void)close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(image_grow__leaves_what_was_there_and_shows_zeroes),
		cmocka_unit_test(image_grow__a_power_cut_leaves_the_old_size_or_the_new_one),
		cmocka_unit_test(image_grow__a_call_that_fails_leaves_the_old_size_or_the_new_one),
		cmocka_unit_test(image_grow__is_possible_while_others_write),
		cmocka_unit_test(
			image_grow__saves_what_is_written_behind_the_end_from_older_zeroes),
	};

	return cmocka_run_group_tests_name("image_grow", tests, NULL, NULL);
}
