/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_flash_errors.c - the variables' flash chip on a host whose write-back fails.
 *
 * The file is a model of Linux's page cache (mm/filemap.c, errseq_t): a sync
 * writes dirty sectors back; what fails is clean in the cache all the same and
 * not on the medium, and that is told once, to whichever sync looks first.
 */
#include "kit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "devices/legacy/flash.h"
#include "sill/vm.h"

enum { SIZE = 0x20000, SECTOR = 512, SECTORS = SIZE / SECTOR, A = 0x1000, B = 0x3000, C = 0x5000 };

struct host {
	pthread_mutex_t mutex;
	uint8_t cache[SIZE], medium[SIZE];
	bool dirty[SECTORS];
	unsigned lost; /* sectors whose write-back has failed so far */
	bool error;    /* not told yet */
	bool fails;    /* write-back does not work */
	bool heals;    /* after one more sync of the guest's thread it does */
	/* Syncs of the device's thread stop between writing back and looking for errors. */
	pthread_t guest;
	bool hold;
	sem_t held, go;
	/* Random trouble. */
	bool random;
	uint32_t seed;
	unsigned writes;
};

static uint32_t next_random(struct host *h)
{
	h->seed = h->seed * 1664525 + 1013904223;
	return h->seed >> 16;
}

static int host_put(void *ctx, int fd, const void *p, size_t n, off_t off)
{
	struct host *h = ctx;

	(void)fd;
	assert_true(off >= 0 && off % SECTOR == 0 && n % SECTOR == 0);
	assert_true((size_t)off + n <= SIZE);
	(void)pthread_mutex_lock(&h->mutex);
	memcpy(h->cache + off, p, n);
	for (size_t i = 0; i < n / SECTOR; i++)
		h->dirty[(size_t)off / SECTOR + i] = true;
	h->writes++;
	(void)pthread_mutex_unlock(&h->mutex);
	return 0;
}

static void write_back(struct host *h)
{
	(void)pthread_mutex_lock(&h->mutex);
	for (size_t i = 0; i < SECTORS; i++) {
		if (!h->dirty[i])
			continue;
		h->dirty[i] = false;
		if (h->fails || (h->random && next_random(h) % 8 == 0)) {
			h->error = true;
			h->lost++;
		} else {
			memcpy(h->medium + i * SECTOR, h->cache + i * SECTOR, SECTOR);
		}
	}
	(void)pthread_mutex_unlock(&h->mutex);
}

/* In random trouble the guest gets a few runs further while a sync lasts. */
static void dawdle(struct host *h)
{
	unsigned until;
	bool wait;

	(void)pthread_mutex_lock(&h->mutex);
	until = h->writes + next_random(h) % 4;
	do {
		wait = h->random && h->writes < until;
		(void)pthread_mutex_unlock(&h->mutex);
		(void)sched_yield();
		(void)pthread_mutex_lock(&h->mutex);
	} while (wait);
	(void)pthread_mutex_unlock(&h->mutex);
}

static int host_sync(void *ctx, int fd)
{
	struct host *h = ctx;
	const bool by_guest = pthread_equal(pthread_self(), h->guest);
	bool error, wait;

	(void)fd;
	write_back(h);
	(void)pthread_mutex_lock(&h->mutex);
	if (by_guest && h->heals)
		h->fails = false;
	wait = h->hold && !by_guest;
	(void)pthread_mutex_unlock(&h->mutex);
	if (wait) {
		assert_int_equal(sem_post(&h->held), 0);
		assert_int_equal(sem_wait(&h->go), 0);
	}
	if (!by_guest)
		dawdle(h);
	(void)pthread_mutex_lock(&h->mutex);
	error = h->error;
	h->error = false;
	(void)pthread_mutex_unlock(&h->mutex);
	errno = EIO;
	return error ? -1 : 0;
}

static const struct flash_file_ops host_ops = { .write = host_put, .sync = host_sync };

static void set(struct host *h, bool *flag, bool val)
{
	(void)pthread_mutex_lock(&h->mutex);
	*flag = val;
	(void)pthread_mutex_unlock(&h->mutex);
}

struct bench {
	struct kit k;
	struct host *host;
	int fd;
	sem_t progress;
	char *log;
	size_t log_size;
	FILE *log_file;
};

/* What never comes is a failure and not a test that never ends. */
static void wait_sem(sem_t *s)
{
	struct timespec limit;

	(void)clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += 30;
	while (sem_timedwait(s, &limit) < 0)
		assert_int_equal(errno, EINTR);
}

static void progress(void *ctx)
{
	struct kit *k = ctx;
	struct bench *b = (struct bench *)(void *)((char *)k - offsetof(struct bench, k));

	(void)sem_post(&b->progress);
}

static void bench_open(struct bench *b, uint32_t seed)
{
	struct host *h = calloc(1, sizeof(*h));
	struct flash_config c = { .size = SIZE, .file_ops = &host_ops, .file_ctx = h };

	assert_non_null(h);
	(void)pthread_mutex_init(&h->mutex, NULL);
	assert_int_equal(sem_init(&h->held, 0, 0), 0);
	assert_int_equal(sem_init(&h->go, 0, 0), 0);
	h->guest = pthread_self();
	h->seed = seed;
	*b = (struct bench){ .host = h };
	b->log_file = open_memstream(&b->log, &b->log_size);
	assert_non_null(b->log_file);
	sill_log_to(b->log_file, LOG_INFO);
	assert_int_equal(sem_init(&b->progress, 0, 0), 0);
	c.fd = memfd_create("vars", MFD_CLOEXEC);
	assert_int_equal(ftruncate(c.fd, SIZE), 0);
	b->fd = c.fd;
	kit_open(&b->k, 0);
	b->k.env.progress = progress;
	kit_plug(&b->k, &flash_ops, &c, NO_GSI);
}

/* The end of the machine; everything the guest has is on the medium then. */
static void bench_close(struct bench *b)
{
	struct host *h = b->host;
	uint8_t *mem = malloc(SIZE);

	assert_non_null(mem);
	memcpy(mem, flash_memory(b->k.dev), SIZE);
	dev_stop(b->k.dev);
	while (!dev_drained(b->k.dev))
		wait_sem(&b->progress);
	kit_close(&b->k);
	fd_close(&b->fd);
	assert_memory_equal(h->medium, mem, SIZE);
	free(mem);
	assert_int_equal(fflush(b->log_file), 0);
	assert_null(strstr(b->log, "are lost"));
	sill_log_to(NULL, LOG_INFO);
	assert_int_equal(fclose(b->log_file), 0);
	free(b->log);
	(void)sem_destroy(&b->progress);
	(void)sem_destroy(&h->held);
	(void)sem_destroy(&h->go);
	(void)pthread_mutex_destroy(&h->mutex);
	free(h);
}

static bool says(struct bench *b, const char *what)
{
	assert_int_equal(fflush(b->log_file), 0);
	return strstr(b->log, what) != NULL;
}

static void put(struct bench *b, size_t off, uint8_t v)
{
	struct io io = { .off = off, .size = 1, .write = true, .val = v };

	assert_int_equal(dev_io(b->k.dev, 0, &io), IO_DONE);
}

/* One run of the firmware: a byte, and back to the array. */
static void program(struct bench *b, size_t off, uint8_t v)
{
	put(b, off, 0x40);
	put(b, off, v);
	put(b, off, 0xff);
}

/* The thread has written A back and not looked for errors yet; B is in the file. */
static void two_runs(struct bench *b)
{
	set(b->host, &b->host->hold, true);
	program(b, A, 0xaa);
	wait_sem(&b->host->held);
	set(b->host, &b->host->hold, false);
}

static bool is_on_medium(struct bench *b, size_t off, uint8_t v)
{
	bool is;

	(void)pthread_mutex_lock(&b->host->mutex);
	is = b->host->medium[off] == v;
	(void)pthread_mutex_unlock(&b->host->mutex);
	return is;
}

/* Without the guest and without an end: the device's own retry brings it there. */
static void wait_for(struct bench *b, size_t off, uint8_t v)
{
	while (!is_on_medium(b, off, v))
		wait_sem(&b->progress);
}

static void flash_barrier__that_fails_puts_back_what_the_thread_syncs(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, 1);
	set(b.host, &b.host->fails, true);
	two_runs(&b);         /* A is lost */
	program(&b, B, 0xbb); /* its barrier hears of that */
	assert_true(says(&b, "cannot be written"));
	set(b.host, &b.host->fails, false);
	assert_int_equal(sem_post(&b.host->go), 0); /* the thread hears of nothing */
	wait_sem(&b.progress);
	assert_false(says(&b, "nothing is lost"));
	wait_for(&b, A, 0xaa);
	wait_for(&b, B, 0xbb);
	bench_close(&b);
}

static void flash_barrier__that_works_proves_nothing_when_the_thread_fails(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, 1);
	two_runs(&b);         /* A is well */
	program(&b, A, 0xac); /* a single sector again: into the file without a barrier */
	set(b.host, &b.host->fails, true);
	write_back(b.host); /* the kernel's own idea; it is lost */
	set(b.host, &b.host->fails, false);
	assert_int_equal(sem_post(&b.host->go), 0); /* the thread hears of it */
	wait_sem(&b.progress);
	program(&b, B, 0xbb);
	program(&b, C, 0xcc);
	wait_for(&b, A, 0xac);
	wait_for(&b, B, 0xbb);
	wait_for(&b, C, 0xcc);
	bench_close(&b);
}

/* The barrier's own sectors are lost; the thread, whose sectors are well, is told. */
static void flash_barrier__keeps_its_sectors_until_the_thread_has_its_answer(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, 1);
	two_runs(&b);
	program(&b, B, 0xbb); /* a barrier for A, then B is in the file */
	set(b.host, &b.host->fails, true);
	write_back(b.host); /* B is lost */
	set(b.host, &b.host->fails, false);
	/* The thread looks first: as if it had been a moment faster than the barrier that comes. */
	set(b.host, &b.host->error, false);
	program(&b, C, 0xcc); /* the barrier hears of nothing */
	set(b.host, &b.host->error, true);
	assert_int_equal(sem_post(&b.host->go), 0);
	wait_for(&b, B, 0xbb);
	wait_for(&b, C, 0xcc);
	bench_close(&b);
}

static void flash_end__tries_again_after_its_own_sync_has_failed(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, 1);
	set(b.host, &b.host->fails, true);
	program(&b, A, 0xaa);
	while (!dev_drained(b.k.dev)) /* a host that fails does not keep the machine from ending */
		wait_sem(&b.progress);
	set(b.host, &b.host->heals, true);
	bench_close(&b);
}

static void flash_errors__at_random_lose_nothing(void **state)
{
	unsigned lost = 0;

	(void)state;
	for (uint32_t seed = 1; seed <= 300; seed++) {
		struct bench b;

		bench_open(&b, seed);
		set(b.host, &b.host->random, true);
		for (unsigned i = 0; i < 30; i++) {
			(void)pthread_mutex_lock(&b.host->mutex);
			const size_t off = next_random(b.host) % SIZE;
			const uint8_t v = (uint8_t)next_random(b.host);
			(void)pthread_mutex_unlock(&b.host->mutex);

			program(&b, off, v);
		}
		set(b.host, &b.host->random, false);
		(void)pthread_mutex_lock(&b.host->mutex);
		lost += b.host->lost;
		(void)pthread_mutex_unlock(&b.host->mutex);
		bench_close(&b);
	}
	assert_true(lost > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flash_barrier__that_fails_puts_back_what_the_thread_syncs),
		cmocka_unit_test(flash_barrier__that_works_proves_nothing_when_the_thread_fails),
		cmocka_unit_test(flash_barrier__keeps_its_sectors_until_the_thread_has_its_answer),
		cmocka_unit_test(flash_end__tries_again_after_its_own_sync_has_failed),
		cmocka_unit_test(flash_errors__at_random_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
