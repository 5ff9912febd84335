/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_virtio_blk_policy.c - what the block device does as it is told: errors
 * that stop the machine, caches, sector sizes, rate limits, growing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "backend/block/block.h"
#include "backend/throttle.h"
#include "devices/virtio/blk.h"
#include "devices/virtio/virtio.h"
#include "winblk.c"

enum { IN = 0, OUT = 1, FLUSH = 4, DISCARD = 11, WRITE_ZEROES = 13 };
enum { OK = 0, IOERR = 1, UNSUPP = 2 };
enum { DISK = 1 << 20 };

/* ---- a disk in memory that fails when told to ---- */

static struct {
	uint8_t bytes[2 * DISK];
	int fail[BLK_WRITE_ZEROES + 1]; /* atomic: by operation, an errno; 0: it works */
	unsigned seen[BLK_WRITE_ZEROES + 1];
	bool hold;            /* the next request waits in held */
	struct blk_req *held; /* atomic */
	int cpus;             /* atomic: that the last read's thread may run on */
} host;

static int host_open(struct blk *b, struct sill_err *e)
{
	(void)e;
	b->capacity = DISK;
	b->can_discard = true;
	return 0;
}

static int host_do(struct blk *b, const struct blk_req *r)
{
	uint64_t at = r->offset;
	cpu_set_t set;

	(void)b;
	if (r->op == BLK_READ && sched_getaffinity(0, sizeof(set), &set) == 0)
		__atomic_store_n(&host.cpus, CPU_COUNT(&set), __ATOMIC_SEQ_CST);
	for (int i = 0; i < r->iov_count; at += r->iov[i++].iov_len)
		memcpy(r->op == BLK_READ ? r->iov[i].iov_base : host.bytes + at,
		       r->op == BLK_READ ? host.bytes + at : r->iov[i].iov_base, r->iov[i].iov_len);
	return 0;
}

static void host_submit(struct blk *b, struct blk_req *r)
{
	const int err = __atomic_load_n(&host.fail[r->op], __ATOMIC_SEQ_CST);

	__atomic_add_fetch(&host.seen[r->op], 1, __ATOMIC_SEQ_CST);
	if (host.hold) {
		__atomic_store_n(&host.held, r, __ATOMIC_SEQ_CST);
		return;
	}
	if (err != 0)
		r->done(r, err);
	else
		blk_execute(b, r, host_do);
}

static int host_resize(struct blk *b, uint64_t bytes, uint64_t *ret, struct sill_err *e)
{
	(void)b;
	if (bytes > sizeof(host.bytes))
		return sill_err_sys(e, ENOSPC, "grow");
	*ret = bytes != 0 ? bytes : sizeof(host.bytes);
	return 0;
}

static int host_close(struct blk *b)
{
	(void)b;
	return 0;
}

static const struct blk_ops host_ops = {
	.format = "memory",
	.open = host_open,
	.submit = host_submit,
	.resize = host_resize,
	.close = host_close,
};

static void set_fail(enum blk_op op, int err)
{
	__atomic_store_n(&host.fail[op], err, __ATOMIC_SEQ_CST);
}

static unsigned seen(enum blk_op op)
{
	return __atomic_load_n(&host.seen[op], __ATOMIC_SEQ_CST);
}

/* ---- set-up ---- */

static struct {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	unsigned count;
	const char *what;
	int err;
} stalled = { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void on_stall(void *ctx, const char *id, const char *what, int err)
{
	(void)ctx;
	assert_string_equal(id, "disk0");
	(void)pthread_mutex_lock(&stalled.mutex);
	stalled.count++;
	stalled.what = what;
	stalled.err = err;
	(void)pthread_cond_broadcast(&stalled.changed);
	(void)pthread_mutex_unlock(&stalled.mutex);
}

static unsigned stall_count(void)
{
	unsigned n;

	(void)pthread_mutex_lock(&stalled.mutex);
	n = stalled.count;
	(void)pthread_mutex_unlock(&stalled.mutex);
	return n;
}

/* Until the device has asked for a pause @count times in all. */
static void await_stall(unsigned count)
{
	(void)pthread_mutex_lock(&stalled.mutex);
	while (stalled.count < count)
		(void)pthread_cond_wait(&stalled.changed, &stalled.mutex);
	(void)pthread_mutex_unlock(&stalled.mutex);
}

struct rig {
	struct rig_pc *pc;
	struct dev *d;
	struct blk *blk;
	struct winblk w;
};

static struct rig *rig_create(struct virtio_blk_config c, uint32_t logical)
{
	struct blk_config bc = { .path = "disk.img", .fd = memfd_create("disk", MFD_CLOEXEC) };
	struct rig *x = calloc(1, sizeof(*x));
	struct sill_err e = { 0 };

	memset(&host, 0, sizeof(host));
	stalled.count = 0;
	x->pc = rig_pc_create();
	x->pc->env.stall = on_stall;
	x->blk = c.blk = blk_open(&host_ops, &bc, &e);
	assert_non_null(x->blk);
	if (logical != 0)
		x->blk->block_size = logical;
	c.disk.slot = 3;
	x->d = dev_create(&virtio_blk_ops, "disk0", &c, NO_GSI, &x->pc->env, &e);
	assert_non_null(x->d);
	winblk_start(&x->w, x->pc, 3, 0, 0);
	return x;
}

static void rig_free(struct rig *x)
{
	rig_dev_destroy(x->pc, x->d);
	rig_pc_destroy(x->pc);
	free(x);
}

static const struct virtq_seg page = { WB_DATA, 4096 };

static struct winblk_io io_of(uint32_t type, uint64_t sector)
{
	return (struct winblk_io){ .type = type,
				   .sector = sector,
				   .in = type == IN,
				   .segments = type == FLUSH ? 0 : 1,
				   .seg = &page };
}

static uint8_t run(struct rig *x, uint32_t type, uint64_t sector)
{
	const struct winblk_io io = io_of(type, sector);
	uint32_t used;

	return winblk_do(&x->w, 0, &io, &used);
}

static void send(struct rig *x, uint32_t type, uint64_t sector)
{
	const struct winblk_io io = io_of(type, sector);

	(void)winblk_send(&x->w, 0, &io);
}

static uint8_t reap(struct rig *x)
{
	uint32_t used;
	uint8_t status;

	(void)winblk_reap(&x->w, 0, &used, &status);
	return status;
}

static void fill(struct rig *x, uint8_t byte)
{
	uint8_t bytes[4096];

	memset(bytes, byte, sizeof(bytes));
	assert_int_equal(gmem_write(x->pc->mem, WB_DATA, bytes, sizeof(bytes)), 0);
}

/* ---- on_error ---- */

static void blk_on_error__without_space_the_request_waits_for_some(void **state)
{
	struct rig *x = rig_create((struct virtio_blk_config){ 0 }, 0);

	(void)state;
	fill(x, 0x5a);
	set_fail(BLK_WRITE, ENOSPC);
	send(x, OUT, 8);
	await_stall(1);
	assert_string_equal(stalled.what, "write");
	assert_int_equal(stalled.err, ENOSPC);
	dev_pause(x->d);
	/* No room yet: it stops again. */
	dev_resume(x->d);
	await_stall(2);
	dev_pause(x->d);
	set_fail(BLK_WRITE, 0);
	dev_resume(x->d);
	assert_int_equal(reap(x), OK);
	assert_int_equal(host.bytes[8 * 512], 0x5a);
	assert_int_equal(host.bytes[8 * 512 + 4095], 0x5a);
	assert_int_equal(seen(BLK_WRITE), 3);
	assert_int_equal(run(x, IN, 8), OK);
	rig_free(x);
}

static void blk_on_error__many_are_kept_and_none_is_lost(void **state)
{
	enum { N = 200 };
	struct rig *x = rig_create((struct virtio_blk_config){ 0 }, 0);

	(void)state;
	fill(x, 0x11);
	for (unsigned round = 1; round <= 5; round++) {
		const unsigned before = stall_count();

		set_fail(BLK_WRITE, EDQUOT);
		for (unsigned i = 0; i < N; i++)
			send(x, OUT, i * 8);
		await_stall(before + 1);
		dev_pause(x->d);
		set_fail(BLK_WRITE, 0);
		dev_resume(x->d);
		for (unsigned i = 0; i < N; i++)
			assert_int_equal(reap(x), OK);
	}
	for (unsigned i = 0; i < N * 4096; i++)
		assert_int_equal(host.bytes[i], 0x11);
	rig_free(x);
}

static void blk_on_error__other_errors_are_the_guests_by_default(void **state)
{
	struct rig *x = rig_create((struct virtio_blk_config){ 0 }, 0);

	(void)state;
	set_fail(BLK_WRITE, EIO);
	set_fail(BLK_READ, EIO);
	assert_int_equal(run(x, OUT, 0), IOERR);
	assert_int_equal(run(x, IN, 0), IOERR);
	assert_int_equal(stall_count(), 0);
	rig_free(x);
}

static void blk_on_error__report_never_stops(void **state)
{
	struct rig *x =
		rig_create((struct virtio_blk_config){ .disk.on_error = SILL_ON_ERROR_REPORT }, 0);

	(void)state;
	set_fail(BLK_WRITE, ENOSPC);
	assert_int_equal(run(x, OUT, 0), IOERR);
	assert_int_equal(stall_count(), 0);
	rig_free(x);
}

static void blk_on_error__stop_keeps_reads_too(void **state)
{
	struct rig *x =
		rig_create((struct virtio_blk_config){ .disk.on_error = SILL_ON_ERROR_STOP }, 0);
	uint8_t byte;

	(void)state;
	memset(host.bytes, 0x77, DISK);
	set_fail(BLK_READ, EIO);
	send(x, IN, 0);
	await_stall(1);
	assert_string_equal(stalled.what, "read");
	dev_pause(x->d);
	set_fail(BLK_READ, 0);
	dev_resume(x->d);
	assert_int_equal(reap(x), OK);
	assert_int_equal(gmem_read(x->pc->mem, WB_DATA + 4095, &byte, 1), 0);
	assert_int_equal(byte, 0x77);
	rig_free(x);
}

/* The kernel has dropped what it could not write: a second sync that works says nothing. */
static void blk_on_error__a_failed_flush_is_not_made_good_by_another(void **state)
{
	struct rig *x =
		rig_create((struct virtio_blk_config){ .disk.on_error = SILL_ON_ERROR_STOP }, 0);

	(void)state;
	set_fail(BLK_FLUSH, EIO);
	send(x, FLUSH, 0);
	await_stall(1);
	dev_pause(x->d);
	set_fail(BLK_FLUSH, 0);
	dev_resume(x->d);
	assert_int_equal(reap(x), IOERR);
	assert_int_equal(seen(BLK_FLUSH), 1);
	/* Where the image has its tables still in hand, lack of space is not loss. */
	set_fail(BLK_FLUSH, ENOSPC);
	send(x, FLUSH, 0);
	await_stall(2);
	dev_pause(x->d);
	set_fail(BLK_FLUSH, 0);
	dev_resume(x->d);
	assert_int_equal(reap(x), OK);
	rig_free(x);
}

static void blk_on_error__a_reset_gives_up(void **state)
{
	struct rig *x = rig_create((struct virtio_blk_config){ .disk.queues = 2 }, 0);

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		const unsigned before = stall_count();

		set_fail(BLK_WRITE, ENOSPC);
		for (unsigned i = 0; i < 10; i++)
			send(x, OUT, i);
		await_stall(before + 1);
		if (round == 0) {
			(void)rig_reset(&x->w.r); /* the driver's, with the machine running */
		} else {
			dev_pause(x->d); /* the machine's, while it is paused */
			if (round == 1)
				dev_resume(x->d);
			dev_reset(x->d);
			while (!dev_drained(x->d))
				sched_yield();
			if (round == 2)
				dev_resume(x->d);
		}
		set_fail(BLK_WRITE, 0);
		winblk_start(&x->w, x->pc, 3, 0, 0);
		fill(x, (uint8_t)(0x20 + round));
		assert_int_equal(run(x, OUT, 16), OK);
		assert_int_equal(host.bytes[16 * 512], 0x20 + round);
	}
	rig_free(x);
}

static void fail_held(void *ctx)
{
	(void)ctx;
	host.hold = false;
	host.held->done(host.held, ENOSPC);
}

/* The backend fails it when the driver waits for the reset already. */
static void blk_on_error__nothing_is_kept_once_a_reset_has_begun(void **state)
{
	struct rig *x = rig_create((struct virtio_blk_config){ 0 }, 0);
	struct blk_req *r;

	(void)state;
	host.hold = true;
	send(x, OUT, 0);
	while ((r = __atomic_load_n(&host.held, __ATOMIC_SEQ_CST)) == NULL)
		sched_yield();
	rig_set_common(&x->w.r, 20, 1, 0);
	loop_call(r->loop, fail_held, NULL);
	(void)rig_reset(&x->w.r);
	assert_int_equal(stall_count(), 0);
	rig_free(x);
}

static void blk_on_error__the_end_gives_up(void **state)
{
	struct rig *x = rig_create((struct virtio_blk_config){ 0 }, 0);

	(void)state;
	set_fail(BLK_WRITE, ENOSPC);
	send(x, OUT, 0);
	await_stall(1);
	dev_pause(x->d);
	rig_free(x); /* stops, and waits until it is drained */
}

/* ---- caches, discards, sectors ---- */

static void blk_cache__unsafe_flushes_nothing(void **state)
{
	struct rig *x =
		rig_create((struct virtio_blk_config){ .disk.cache = SILL_CACHE_UNSAFE }, 0);

	(void)state;
	assert_int_equal(run(x, OUT, 0), OK);
	assert_int_equal(run(x, FLUSH, 0), OK);
	assert_int_equal(seen(BLK_FLUSH), 0);
	/* Nor does a guest without a flush make writes go through. */
	winblk_start(&x->w, x->pc, 3, 0, 1ull << WB_CONFIG_WCE | 1ull << WB_FLUSH);
	assert_true(x->blk->writeback);
	rig_free(x);
}

static void blk_cache__writethrough_is_where_the_guest_begins(void **state)
{
	struct rig *x =
		rig_create((struct virtio_blk_config){ .disk.cache = SILL_CACHE_WRITETHROUGH }, 0);
	const struct rig_virtio *r = &x->w.r;

	(void)state;
	assert_int_equal(rig_get(r, r->device.off + 32, 1), 0);
	assert_false(x->blk->writeback);
	rig_set(r, r->device.off + 32, 1, 1);
	assert_true(x->blk->writeback);
	(void)rig_reset(r);
	assert_false(x->blk->writeback);
	winblk_start(&x->w, x->pc, 3, 0, 1ull << WB_CONFIG_WCE);
	assert_false(x->blk->writeback);
	rig_free(x);
}

static void blk_discard__ignored_is_not_offered(void **state)
{
	struct rig *x =
		rig_create((struct virtio_blk_config){ .disk.discard = SILL_DISCARD_IGNORE }, 0);

	(void)state;
	assert_int_equal(x->w.offered >> WB_DISCARD & 1, 0);
	assert_int_equal(x->w.offered >> WB_WRITE_ZEROES & 1, 1);
	assert_int_equal(rig_get(&x->w.r, x->w.r.device.off + 56, 1), 0);
	rig_free(x);
}

static void blk_sectors__of_4096_bytes_are_whole(void **state)
{
	struct rig *x = rig_create((struct virtio_blk_config){ 0 }, 4096);
	const struct virtq_seg small = { WB_DATA, 512 };
	struct winblk_io io = io_of(IN, 8);
	uint32_t used;

	(void)state;
	assert_int_equal(rig_get(&x->w.r, x->w.r.device.off + 20, 4), 4096);
	assert_int_equal(rig_get(&x->w.r, x->w.r.device.off + 0, 4), DISK / 512);
	assert_int_equal(run(x, OUT, 8), OK);
	assert_int_equal(run(x, OUT, 4), IOERR);
	assert_int_equal(run(x, OUT, DISK / 512 - 8), OK);
	assert_int_equal(run(x, OUT, DISK / 512), IOERR);
	io.seg = &small;
	assert_int_equal(winblk_do(&x->w, 0, &io, &used), IOERR);
	rig_free(x);
}

static void blk_affinity__is_the_threads_and_not_ours(void **state)
{
	cpu_set_t before, after, all;
	uint16_t first = 0, none = 65535;
	struct virtio_blk_config c = { .disk.affinity = &first,
				       .disk.affinity_count = 1,
				       .disk.slot = 3 };
	struct blk_config bc = { .path = "disk.img" };
	struct sill_err e = { 0 };
	struct rig_pc *pc;
	struct rig *x;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	while (!CPU_ISSET(first, &before))
		first++;
	x = rig_create(c, 0);
	assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
	assert_true(CPU_EQUAL(&before, &after));
	assert_int_equal(run(x, IN, 0), OK);
	assert_int_equal(host.cpus, 1);
	rig_free(x);
	/* A CPU that this host does not have. */
	pc = rig_pc_create();
	c.disk.affinity = &none;
	bc.fd = memfd_create("disk", MFD_CLOEXEC);
	c.blk = blk_open(&host_ops, &bc, &e);
	assert_null(dev_create(&virtio_blk_ops, "disk0", &c, NO_GSI, &pc->env, &e));
	assert_non_null(strstr(e.msg, "affinity"));
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	assert_true(CPU_EQUAL(&before, &all));
	rig_pc_destroy(pc);
}

/* ---- growing ---- */

static void blk_resize__tells_the_guest(void **state)
{
	struct rig *x = rig_create((struct virtio_blk_config){ 0 }, 0);
	const uint64_t before = rig_common(&x->w.r, 21, 1);
	struct sill_err e = { 0 };

	(void)state;
	assert_int_equal(run(x, OUT, DISK / 512), IOERR);
	assert_int_equal(virtio_blk_resize(x->d, DISK + 4096, &e), 0);
	assert_true(rig_message(x->pc, WB_CONFIG_MESSAGE, 10000));
	assert_int_equal(rig_get(&x->w.r, x->w.r.device.off, 4), DISK / 512 + 8);
	assert_int_not_equal(rig_common(&x->w.r, 21, 1), before);
	assert_int_equal(run(x, OUT, DISK / 512), OK);
	assert_int_equal(run(x, OUT, DISK / 512 + 8), IOERR);
	/* As large as it can be; then never smaller. */
	assert_int_equal(virtio_blk_resize(x->d, 0, &e), 0);
	assert_int_equal(rig_get(&x->w.r, x->w.r.device.off, 4), 2 * DISK / 512);
	assert_int_equal(virtio_blk_resize(x->d, DISK, &e), -1);
	assert_int_equal(e.code, SILL_ERR_LIMIT);
	e = (struct sill_err){ 0 };
	assert_int_equal(virtio_blk_resize(x->d, 4 * DISK, &e), -1);
	assert_int_equal(e.sys, ENOSPC);
	e = (struct sill_err){ 0 };
	assert_int_equal(virtio_blk_resize(x->d, 2 * DISK + 1, &e), -1);
	assert_int_equal(rig_get(&x->w.r, x->w.r.device.off, 4), 2 * DISK / 512);
	rig_free(x);
}

/* ---- rate limits ---- */

static uint64_t ms_of(struct rig *x, unsigned n)
{
	const uint64_t start = rig_now_ms();

	for (unsigned i = 0; i < n; i++)
		send(x, OUT, i * 8);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(reap(x), OK);
	return rig_now_ms() - start;
}

static void blk_throttle__holds_requests_back(void **state)
{
	struct throttle t;
	struct rig *x;

	(void)state;
	throttle_init(&t, &(struct throttle_limits){ .ops = 500, .ops_burst = 1 });
	x = rig_create((struct virtio_blk_config){ .throttle = &t }, 0);
	/* 40 at 2 ms each, less the burst, the one at once and rounding. However busy the machine, not faster. */
	assert_true(ms_of(x, 40) >= 74);
	assert_int_equal(run(x, FLUSH, 0), OK);
	rig_free(x);
}

static void blk_throttle__reset_and_end_do_not_wait_for_a_turn(void **state)
{
	struct throttle t;
	struct rig *x;

	(void)state;
	throttle_init(&t, &(struct throttle_limits){ .bytes = 1, .bytes_burst = 1 });
	x = rig_create((struct virtio_blk_config){ .throttle = &t }, 0);
	assert_int_equal(run(x, IN, 0), OK); /* paid for with an hour */
	send(x, IN, 0);
	(void)rig_reset(&x->w.r);
	winblk_start(&x->w, x->pc, 3, 0, 0);
	assert_int_equal(run(x, FLUSH, 0), OK);
	send(x, IN, 0);
	rig_free(x);
}

/* An hour's wait ends with the limit; what comes then is limited as it is said. */
static void blk_throttle__changes_while_a_request_waits(void **state)
{
	const struct throttle_limits slow = { .bytes = 1, .bytes_burst = 1 }, none = { 0 };
	struct throttle t;
	struct rig *x;

	(void)state;
	throttle_init(&t, &none);
	x = rig_create((struct virtio_blk_config){ .throttle = &t }, 0);
	for (unsigned i = 0; i < 20; i++) {
		throttle_set(&t, host_now(), &slow);
		virtio_look_again(x->d);
		assert_int_equal(run(x, IN, 0), OK);
		send(x, IN, 0);
		throttle_set(&t, host_now(),
			     i % 2 != 0 ? &none : &(struct throttle_limits){ .bytes = 1 << 30 });
		virtio_look_again(x->d);
		assert_int_equal(reap(x), OK);
	}
	throttle_set(&t, host_now(), &(struct throttle_limits){ .ops = 500, .ops_burst = 1 });
	assert_true(ms_of(x, 40) >= 74);
	rig_free(x);
}

/* The queue's thread has seen all that this one did, and the other way round. */
static void meet(struct rig *x)
{
	const struct virtio *v = x->d->state;

	loop_call(v->queue[0].loop, rig_nothing, NULL);
}

static void blk_throttle__a_waiting_request_that_grows_pays_more(void **state)
{
	const struct winblk_io small = io_of(OUT, 0);
	struct guestring *g;
	struct throttle t;
	struct rig *x;
	bool late;

	(void)state;
	/* A second for a page. */
	throttle_init(&t, &(struct throttle_limits){ .bytes = 4096, .bytes_burst = 1 });
	x = rig_create((struct virtio_blk_config){ .throttle = &t }, 0);
	g = &x->w.queue[0].ring;
	assert_int_equal(run(x, OUT, 0), OK);
	do {
		const uint64_t before = __atomic_load_n(&t.bytes.word, __ATOMIC_SEQ_CST);
		const gpa_t slot = winblk_send(&x->w, 0, &small);
		uint16_t used;

		while (__atomic_load_n(&t.bytes.word, __ATOMIC_SEQ_CST) == before)
			sched_yield();
		meet(x);
		/* The guest makes it 64 KiB while it waits, if it still does. */
		guest_desc(x->pc->mem, x->w.queue[0].base + AT_TABLES + TABLE_SIZE * slot, 1,
			   WB_DATA, 65536, VIRTQ_DESC_NEXT, 2);
		meet(x);
		assert_int_equal(gmem_load_index(x->pc->mem, g->s.used + 2, &used), 0);
		late = used != g->used_seen;
		assert_int_equal(reap(x), OK);
	} while (late);
	assert_true(throttle_reserve(&t, host_now(), 1) > host_now() + 10000000000ull);
	rig_free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blk_on_error__without_space_the_request_waits_for_some),
		cmocka_unit_test(blk_on_error__many_are_kept_and_none_is_lost),
		cmocka_unit_test(blk_on_error__other_errors_are_the_guests_by_default),
		cmocka_unit_test(blk_on_error__report_never_stops),
		cmocka_unit_test(blk_on_error__stop_keeps_reads_too),
		cmocka_unit_test(blk_on_error__a_failed_flush_is_not_made_good_by_another),
		cmocka_unit_test(blk_on_error__a_reset_gives_up),
		cmocka_unit_test(blk_on_error__nothing_is_kept_once_a_reset_has_begun),
		cmocka_unit_test(blk_on_error__the_end_gives_up),
		cmocka_unit_test(blk_cache__unsafe_flushes_nothing),
		cmocka_unit_test(blk_cache__writethrough_is_where_the_guest_begins),
		cmocka_unit_test(blk_discard__ignored_is_not_offered),
		cmocka_unit_test(blk_sectors__of_4096_bytes_are_whole),
		cmocka_unit_test(blk_affinity__is_the_threads_and_not_ours),
		cmocka_unit_test(blk_resize__tells_the_guest),
		cmocka_unit_test(blk_throttle__holds_requests_back),
		cmocka_unit_test(blk_throttle__reset_and_end_do_not_wait_for_a_turn),
		cmocka_unit_test(blk_throttle__changes_while_a_request_waits),
		cmocka_unit_test(blk_throttle__a_waiting_request_that_grows_pays_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
