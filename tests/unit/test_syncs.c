/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_syncs.c - of two flushes at once both hear that the host has failed.
 *
 * fdatasync() is ours: it stays in the first call until all others have come and
 * wait, then that one fails, as Linux has it: once, and no other call is told.
 */
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>

#include "backend/block/qcow2.h"
#include "backend/block/syncs.h"
#include "sill/image.h"
#include "tests/image/image_kit.h"

enum { SIZE = 4 << 20 };

static struct {
	bool armed; /* atomic */
	unsigned calls, at_work, most;
	unsigned came, wanted; /* threads that are about to sync */
	sem_t inside;
} host;

static void wait_ms(long ms)
{
	const struct timespec ts = { .tv_nsec = ms * 1000 * 1000 };

	(void)nanosleep(&ts, NULL);
}

/* Is any thread but this one not asleep? */
static bool others_run(void)
{
	char path[64], line_of[256];
	struct dirent *entry;
	bool found = false;
	DIR *d = opendir("/proc/self/task");

	while (d != NULL && (entry = readdir(d)) != NULL) {
		const char *state = NULL;
		FILE *f;

		if (entry->d_name[0] == '.' || strtol(entry->d_name, NULL, 10) == gettid())
			continue;
		(void)snprintf(path, sizeof(path), "/proc/self/task/%.20s/stat", entry->d_name);
		f = fopen(path, "re");
		if (f != NULL && fgets(line_of, sizeof(line_of), f) != NULL)
			state = strrchr(line_of, ')');
		found = found || (state != NULL && state[2] != 'S');
		if (f != NULL)
			(void)fclose(f);
	}
	if (d != NULL)
		(void)closedir(d);
	return found;
}

/* Until @n have come, and sleep. */
static void all_wait(unsigned n)
{
	while (__atomic_load_n(&host.came, __ATOMIC_SEQ_CST) < n)
		wait_ms(1);
	while (others_run())
		wait_ms(1);
}

int fdatasync(int fd)
{
	unsigned n, now;

	if (!__atomic_load_n(&host.armed, __ATOMIC_SEQ_CST))
		return (int)syscall(SYS_fdatasync, fd);
	n = __atomic_add_fetch(&host.calls, 1, __ATOMIC_SEQ_CST);
	now = __atomic_add_fetch(&host.at_work, 1, __ATOMIC_SEQ_CST);
	if (now > __atomic_load_n(&host.most, __ATOMIC_SEQ_CST))
		__atomic_store_n(&host.most, now, __ATOMIC_SEQ_CST);
	if (n == 1) {
		(void)sem_post(&host.inside);
		all_wait(host.wanted);
	}
	(void)__atomic_sub_fetch(&host.at_work, 1, __ATOMIC_SEQ_CST);
	errno = EIO;
	return n == 1 ? -1 : 0;
}

static void come(void)
{
	(void)__atomic_add_fetch(&host.came, 1, __ATOMIC_SEQ_CST);
}

static void arm(unsigned wanted)
{
	host.wanted = wanted;
	host.came = host.calls = host.at_work = host.most = 0;
	assert_int_equal(sem_init(&host.inside, 0, 0), 0);
	__atomic_store_n(&host.armed, true, __ATOMIC_SEQ_CST);
}

static void disarm(void)
{
	__atomic_store_n(&host.armed, false, __ATOMIC_SEQ_CST);
	(void)sem_destroy(&host.inside);
}

/* --- by itself ----------------------------------------------------------------- */

static struct syncs line;

static int sync_ours(void *ctx)
{
	(void)ctx;
	return fdatasync(-1) < 0 ? errno : 0;
}

static void *run_one(void *ctx)
{
	(void)ctx;
	come();
	return (void *)(intptr_t)syncs_run(&line, sync_ours, NULL);
}

static int joined(pthread_t t)
{
	void *ret;

	assert_int_equal(pthread_join(t, &ret), 0);
	return (int)(intptr_t)ret;
}

static void syncs__one_at_a_time_and_a_failure_is_everybodys(void **state)
{
	enum { MANY = 6 };
	pthread_t t[MANY];

	(void)state;
	syncs_init(&line);
	arm(MANY);
	assert_int_equal(pthread_create(&t[0], NULL, run_one, NULL), 0);
	(void)sem_wait(&host.inside);
	for (int i = 1; i < MANY; i++)
		assert_int_equal(pthread_create(&t[i], NULL, run_one, NULL), 0);
	for (int i = 0; i < MANY; i++)
		assert_int_equal(joined(t[i]), EIO);
	/* Those that came meanwhile have had one for all of them; a late thread one more. */
	assert_int_equal(host.most, 1);
	assert_in_range(host.calls, 2, 3);
	/* What comes later has not to do with it. */
	assert_int_equal(syncs_run(&line, sync_ours, NULL), 0);
	disarm();
	syncs_fini(&line);
}

static void syncs_try__is_one_of_them(void **state)
{
	pthread_t t;

	(void)state;
	syncs_init(&line);
	arm(0);
	host.calls = 1; /* none of ours fails */
	assert_true(syncs_try(&line));
	assert_false(syncs_try(&line));
	assert_int_equal(pthread_create(&t, NULL, run_one, NULL), 0);
	all_wait(1);
	assert_int_equal(host.calls, 1);
	syncs_end(&line, ENOSPC);
	assert_int_equal(joined(t), ENOSPC);
	assert_true(syncs_try(&line));
	syncs_end(&line, 0);
	assert_int_equal(syncs_run(&line, sync_ours, NULL), 0);
	disarm();
	syncs_fini(&line);
}

/* --- each format ----------------------------------------------------------------- */

static void on_done(struct blk_req *r, int status)
{
	*(int *)(void *)r->loop = status;
}

/* On this thread. The loop is not used without an aio: the outcome goes there. */
static int ask(struct blk *b, enum blk_op op, uint64_t off)
{
	static uint8_t data[SECTOR];
	const struct iovec v = { data, sizeof(data) };
	int status = -1;
	struct blk_req r = { .op = op, .done = on_done, .loop = (struct loop *)(void *)&status };

	if (op == BLK_WRITE) {
		r.offset = off;
		r.length = sizeof(data);
		r.iov = &v;
		r.iov_count = 1;
	}
	blk_submit(b, &r);
	return status;
}

static void *flush_it(void *ctx)
{
	come();
	return (void *)(intptr_t)ask(ctx, BLK_FLUSH, 0);
}

/* A write to a block that is not there yet, which the flush has to enter into tables. */
static void *grow_and_flush(void *ctx)
{
	if (ask(ctx, BLK_WRITE, SIZE - SECTOR) != 0)
		return (void *)(intptr_t)-1;
	return flush_it(ctx);
}

static struct blk *open_disk(enum sill_disk_format format, const struct blk_ops *ops)
{
	struct sill_image_options o = { .format = format, .size = SIZE };
	struct blk_config c = { .path = "a", .quiet = true };
	struct sill_err e = { 0 };
	struct blk *b;

	if (format == SILL_DISK_VHD || format == SILL_DISK_VHDX)
		o.block_size = format == SILL_DISK_VHD ? 2 << 20 : 1 << 20;
	dir_make();
	assert_int_equal(sh("touch a"), 0);
	c.fd = open_in_dir("a", false);
	assert_int_equal(sill_image_create(c.fd, &o, &e), 0);
	b = blk_open(ops, &c, &e);
	assert_non_null(b);
	assert_int_equal(ask(b, BLK_WRITE, 0), 0);
	assert_int_equal(ask(b, BLK_FLUSH, 0), 0);
	assert_int_equal(ask(b, BLK_WRITE, 0), 0);
	return b;
}

static void close_disk(struct blk *b)
{
	(void)blk_close(b);
	dir_remove();
}

static const struct {
	enum sill_disk_format format;
	const struct blk_ops *ops;
} formats[] = {
	{ SILL_DISK_RAW, &blk_raw_ops },
	{ SILL_DISK_QCOW2, &blk_qcow2_ops },
	{ SILL_DISK_VHD, &blk_vhd_ops },
	{ SILL_DISK_VHDX, &blk_vhdx_ops },
};

static void blk__both_of_two_flushes_hear_of_a_failure(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LEN(formats); i++) {
		struct blk *b = open_disk(formats[i / 2].format, formats[i / 2].ops);
		pthread_t first, second;
		int late;

		arm(2);
		assert_int_equal(pthread_create(&first, NULL, flush_it, b), 0);
		(void)sem_wait(&host.inside);
		assert_int_equal(
			pthread_create(&second, NULL, i % 2 == 0 ? flush_it : grow_and_flush, b),
			0);
		assert_int_equal(joined(first), EIO);
		late = joined(second);
		disarm();
		close_disk(b);
		/* qcow2: or the write was refused already, after the failure. */
		assert_true(late == EIO || (late == -1 && i == 3));
	}
}

/* As one that io_uring has: whoever commits meanwhile hears how it ends, and so does the image. */
static void qcow2_flush__waits_for_one_that_the_kernel_has(void **state)
{
	struct blk *b = open_disk(SILL_DISK_QCOW2, &blk_qcow2_ops);
	struct qcow2 *q = b->state;
	pthread_t t;

	(void)state;
	host.came = 0;
	assert_true(syncs_try(&q->file.syncs));
	assert_int_equal(pthread_create(&t, NULL, grow_and_flush, b), 0);
	all_wait(1);
	qcow2_barrier_failed(q, EIO);
	syncs_end(&q->file.syncs, EIO);
	assert_int_equal(joined(t), EIO);
	close_disk(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(syncs__one_at_a_time_and_a_failure_is_everybodys),
		cmocka_unit_test(syncs_try__is_one_of_them),
		cmocka_unit_test(blk__both_of_two_flushes_hear_of_a_failure),
		cmocka_unit_test(qcow2_flush__waits_for_one_that_the_kernel_has),
	};

	return cmocka_run_group_tests_name("syncs", tests, NULL, NULL);
}
