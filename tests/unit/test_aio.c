/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_aio.c - both engines by the same cases: what was asked for is done,
 * whole, once, and on the loop's thread, whatever the kernel answers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/lock.h"

#include "backend/block/aio.c" /* the answers of the kernel are tried one by one */

enum { DEPTH = 64 };

/* An engine on a thread of its own, and what became of its operations. */
struct rig {
	struct iothread *thread;
	struct loop *loop;
	struct pool *pool;
	struct aio *a;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	unsigned done;    /* under mutex */
	unsigned batches; /* loop's thread */
	unsigned done_in_batch;
};

/* An operation and who waits for it. */
struct test_op {
	struct aio_op op; /* first */
	struct rig *r;
	unsigned calls;
	int err;
	struct test_op *then; /* submitted by done() */
};

static void on_done(struct aio_op *op, int err)
{
	struct test_op *t = (struct test_op *)(void *)op;
	struct rig *r = t->r;

	assert_true(loop_is_self(r->loop));
	assert_false(lock_held_any());
	t->calls++;
	t->err = err;
	if (aio_in_batch(r->a))
		r->done_in_batch++;
	if (t->then != NULL)
		aio_submit(r->a, &t->then->op);
	(void)pthread_mutex_lock(&r->mutex);
	r->done++;
	(void)pthread_cond_signal(&r->changed);
	(void)pthread_mutex_unlock(&r->mutex);
}

static void on_batch(void *ctx)
{
	struct rig *r = ctx;

	assert_true(loop_is_self(r->loop));
	assert_false(aio_in_batch(r->a));
	r->batches++;
}

static void wait_done(struct rig *r, unsigned count)
{
	(void)pthread_mutex_lock(&r->mutex);
	while (r->done < count)
		(void)pthread_cond_wait(&r->changed, &r->mutex);
	assert_int_equal(r->done, count);
	r->done = 0;
	(void)pthread_mutex_unlock(&r->mutex);
}

static void rig_open(struct rig *r, enum sill_disk_io engine, struct pool *pool)
{
	struct sill_err e = { 0 };
	struct aio_config c = {
		.engine = engine, .depth = DEPTH, .batch = on_batch, .ctx = r, .pool = pool
	};

	*r = (struct rig){ .mutex = PTHREAD_MUTEX_INITIALIZER,
			   .changed = PTHREAD_COND_INITIALIZER };
	r->thread = iothread_create("test", 32000, &e);
	assert_non_null(r->thread);
	r->loop = c.loop = iothread_loop(r->thread);
	if (pool == NULL)
		r->pool = c.pool = pool_create("pool", 4, &e);
	assert_non_null(c.pool);
	r->a = aio_create(&c, &e);
	if (r->a == NULL)
		print_message("%s\n", e.msg);
	assert_non_null(r->a);
	assert_int_equal(aio_is_uring(r->a), engine == SILL_IO_URING);
}

static void rig_close(struct rig *r)
{
	pool_destroy(r->pool);
	aio_destroy(r->a);
	iothread_destroy(r->thread);
}

/* Operations to submit in one turn of the loop. */
struct turn {
	struct rig *r;
	struct test_op *t;
	unsigned count;
	bool plug;
};

static void submit_turn(void *ctx)
{
	struct turn *turn = ctx;

	if (turn->plug)
		aio_plug(turn->r->a);
	for (unsigned i = 0; i < turn->count; i++) {
		turn->t[i].r = turn->r;
		turn->t[i].calls = 0;
		turn->t[i].op.done = on_done;
		aio_submit(turn->r->a, &turn->t[i].op);
	}
	if (turn->plug)
		aio_unplug(turn->r->a);
}

static void run(struct rig *r, struct test_op *t, unsigned count)
{
	struct turn turn = { r, t, count, count > 1 };

	loop_call(r->loop, submit_turn, &turn);
	wait_done(r, count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(t[i].calls, 1);
}

static int run_one(struct rig *r, struct aio_op op)
{
	struct test_op t = { .op = op };

	run(r, &t, 1);
	return t.err;
}

static bool has_uring(void)
{
	struct io_uring ring;

	if (io_uring_queue_init(4, &ring, 0) < 0)
		return false;
	io_uring_queue_exit(&ring);
	return true;
}

static enum sill_disk_io engine_of(void **state)
{
	const enum sill_disk_io engine = *(const enum sill_disk_io *)*state;

	if (engine == SILL_IO_URING && !has_uring()) {
		print_message("no io_uring here\n");
		skip();
	}
	return engine;
}

static int memory_file(size_t size)
{
	int fd = memfd_create("aio", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

/* ---- both engines ---- */

struct here {
	struct rig *r;
	struct aio_pace *pace;
	int fd;
	size_t size;
	bool at_once; /* done() had come when aio_submit() returned */
};

static void submit_here(void *ctx)
{
	static uint8_t mem[4 * 1024 * 1024];
	struct here *h = ctx;
	const struct iovec v[2] = { { mem, h->size / 4 }, { mem + 512, h->size * 3 / 4 } };
	struct test_op t = {
		.r = h->r,
		.op = { AIO_WRITE, .fd = h->fd, .pace = h->pace, .iov = v, .count = 2,
			.done = on_done },
	};

	aio_plug(h->r->a);
	aio_submit(h->r->a, &t.op);
	h->at_once = t.calls == 1;
	if (t.calls == 0) { /* its memory must last */
		aio_unplug(h->r->a);
		while (t.calls == 0)
			h->r->a->uring ? on_ready(h->r->a, 0) : on_finished(h->r->a);
		return;
	}
	aio_unplug(h->r->a);
}

static bool is_done_here(struct rig *r, struct aio_pace *pace, int fd, size_t size)
{
	struct here h = { r, pace, fd, size, false };

	loop_call(r->loop, submit_here, &h);
	wait_done(r, 1);
	return h.at_once;
}

static void aio__a_little_in_memory_is_done_at_once(void **state)
{
	int fd = memory_file(1024 * 1024);
	struct aio_pace pace;
	struct rig r;

	rig_open(&r, engine_of(state), NULL);
	aio_pace_init(&pace, fd, false);
	assert_true(pace.memory);
	assert_true(is_done_here(&r, &pace, fd, 4096));
	assert_true(is_done_here(&r, &pace, fd, HERE_MAX));
	assert_false(is_done_here(&r, &pace, fd, HERE_MAX + 4));
	assert_false(is_done_here(&r, NULL, fd, 4096));
	/* What goes past the cache does wait. */
	aio_pace_init(&pace, fd, true);
	assert_false(is_done_here(&r, &pace, fd, 4096));
	pace = (struct aio_pace){ .cached_writes = true };
	assert_true(is_done_here(&r, &pace, fd, HERE_MAX_WRITE));
	assert_false(is_done_here(&r, &pace, fd, HERE_MAX_WRITE + 4));
	rig_close(&r);
	close(fd);
	/* A device whose node is in memory. */
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	aio_pace_init(&pace, fd, false);
	assert_false(pace.memory || pace.cached_writes);
	close(fd);
}

static void aio__writes_take_the_long_way_after_a_slow_one(void **state)
{
	struct aio_pace pace = { .cached_writes = true };
	int fd = memory_file(1024 * 1024);
	struct rig r;
	unsigned away = 0;

	rig_open(&r, engine_of(state), NULL);
	judge(&pace, true);
	assert_false(is_done_here(&r, &pace, fd, 4096));
	judge(&pace, true);
	for (unsigned i = 0; i < 5000 && !is_done_here(&r, &pace, fd, 4096); i++)
		away++;
	assert_in_range(away, 8, 16); /* the second in a row; a busy machine may add to it */
	for (unsigned i = 0; i < 100; i++)
		judge(&pace, true);
	assert_int_equal(pace.penalty, MAX_DETOUR);
	for (unsigned i = 0; i < 2 * MAX_DETOUR; i++)
		judge(&pace, false);
	assert_int_equal(pace.penalty, 0);
	rig_close(&r);
	close(fd);
}

static void aio__reads_back_what_was_written(void **state)
{
	enum { AREA = 64 * 1024, PIECES = 24 };
	static uint8_t out[DEPTH][AREA], in[DEPTH][AREA];
	static struct iovec v[DEPTH][2 * PIECES];
	struct test_op t[DEPTH];
	struct rig r;
	unsigned seed = 7;
	int fd = memory_file((size_t)DEPTH * AREA);

	rig_open(&r, engine_of(state), NULL);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < DEPTH; i++) {
			uint8_t(*area)[AREA] = round % 2 == 0 ? out : in;
			size_t at = 0;
			int n = 0;

			for (size_t k = 0; round % 2 == 0 && k < AREA; k++)
				out[i][k] = (uint8_t)(rand_r(&seed) >> 4);
			/* In pieces of any size; some are empty. */
			while (n < 2 * PIECES - 1 && at < AREA) {
				size_t piece = (size_t)rand_r(&seed) % (AREA / PIECES);

				piece = piece > AREA - at ? AREA - at : piece;
				v[i][n++] = (struct iovec){ area[i] + at,
							    rand_r(&seed) % 8 == 0 ? 0 : piece };
				at += v[i][n - 1].iov_len;
			}
			v[i][n++] = (struct iovec){ area[i] + at, AREA - at };
			t[i] = (struct test_op){
				.op = { .kind = round % 2 == 0 ? AIO_WRITE : AIO_READ,
					.fd = fd,
					.iov = v[i],
					.count = n,
					.flags = round % 4 == 0 ? RWF_DSYNC : 0,
					.off = (uint64_t)i * AREA },
			};
		}
		run(&r, t, DEPTH);
		for (unsigned i = 0; i < DEPTH; i++)
			assert_int_equal(t[i].err, 0);
		if (round % 2 == 1)
			assert_memory_equal(in, out, sizeof(in));
		memset(in, 0x55, sizeof(in));
	}
	rig_close(&r);
	close(fd);
}

static void aio__takes_more_vectors_than_one_call_can(void **state)
{
	enum { COUNT = 3 * IOV_MAX + 5 };
	static struct iovec v[COUNT];
	static uint8_t mem[COUNT * 8], back[COUNT * 8];
	int fd = memory_file(sizeof(mem));
	struct rig r;

	rig_open(&r, engine_of(state), NULL);
	for (size_t i = 0; i < sizeof(mem); i++)
		mem[i] = (uint8_t)(i * 7 >> 3);
	for (size_t i = 0; i < COUNT; i++)
		v[i] = (struct iovec){ mem + i * 8, 8 };
	assert_int_equal(
		run_one(&r, (struct aio_op){ AIO_WRITE, .fd = fd, .iov = v, .count = COUNT }), 0);
	assert_int_equal(pread(fd, back, sizeof(back), 0), sizeof(back));
	assert_memory_equal(mem, back, sizeof(mem));
	memset(mem, 0, sizeof(mem));
	assert_int_equal(
		run_one(&r, (struct aio_op){ AIO_READ, .fd = fd, .iov = v, .count = COUNT }), 0);
	assert_memory_equal(mem, back, sizeof(mem));
	rig_close(&r);
	close(fd);
}

static void aio__beyond_the_end_there_is_an_error_or_zeroes(void **state)
{
	static uint8_t mem[8192];
	const struct iovec v[2] = { { mem, 3000 }, { mem + 3000, 5192 } };
	int fd = memory_file(4000);
	struct rig r;

	rig_open(&r, engine_of(state), NULL);
	assert_int_equal(pwrite(fd, "begin", 5, 0), 5);
	assert_int_equal(run_one(&r, (struct aio_op){ AIO_READ, .fd = fd, .iov = v, .count = 2 }),
			 EIO);
	memset(mem, 0x11, sizeof(mem));
	assert_int_equal(run_one(&r, (struct aio_op){ AIO_READ, .fd = fd, .iov = v, .count = 2,
						      .zero_tail = true }),
			 0);
	assert_memory_equal(mem, "begin", 5);
	for (size_t i = 5; i < sizeof(mem); i++)
		assert_int_equal(mem[i], 0);
	rig_close(&r);
	close(fd);
}

static void aio__says_what_the_kernel_said(void **state)
{
	static uint8_t mem[4096];
	const struct iovec v = { mem, sizeof(mem) };
	int fd = memory_file(sizeof(mem)), gone = memory_file(sizeof(mem));
	struct rig r;

	rig_open(&r, engine_of(state), NULL);
	close(gone);
	assert_int_equal(
		run_one(&r, (struct aio_op){ AIO_READ, .fd = gone, .iov = &v, .count = 1 }), EBADF);
	assert_int_equal(run_one(&r, (struct aio_op){ AIO_SYNC, .fd = gone }), EBADF);
	assert_int_equal(run_one(&r, (struct aio_op){ AIO_SYNC, .fd = fd }), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_int_equal(run_one(&r, (struct aio_op){ AIO_WRITE, .fd = fd, .iov = &v, .count = 1 }),
			 EPERM);
	rig_close(&r);
	close(fd);
}

/* A write that crosses the limit is cut short; what is left of it then fails. */
static void aio__the_rest_of_a_short_write_is_tried(void **state)
{
	static uint8_t mem[64 * 1024];
	const struct iovec v[2] = { { mem, 40000 }, { mem + 40000, sizeof(mem) - 40000 } };
	char path[] = "/tmp/sill-aio-XXXXXX";
	struct rlimit old, now;
	struct rig r;
	int fd = mkostemp(path, O_CLOEXEC), err;

	assert_true(fd >= 0);
	(void)unlink(path);
	(void)signal(SIGXFSZ, SIG_IGN);
	rig_open(&r, engine_of(state), NULL);
	memset(mem, 'w', sizeof(mem));
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	now = old;
	now.rlim_cur = 50000;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
	err = run_one(&r, (struct aio_op){ AIO_WRITE, .fd = fd, .iov = v, .count = 2 });
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(err, EFBIG);
	assert_int_equal(lseek(fd, 0, SEEK_END), 50000);
	rig_close(&r);
	close(fd);
}

static int call_gettid(struct aio_op *op)
{
	struct test_op *t = (struct test_op *)(void *)op;

	assert_false(loop_is_self(t->r->loop));
	return ENOSPC;
}

static void aio__calls_run_beside_the_loop(void **state)
{
	struct test_op t[DEPTH];
	struct rig r;

	rig_open(&r, engine_of(state), NULL);
	for (unsigned i = 0; i < DEPTH; i++)
		t[i] = (struct test_op){ .op = { .kind = AIO_CALL, .call = call_gettid } };
	run(&r, t, DEPTH);
	for (unsigned i = 0; i < DEPTH; i++)
		assert_int_equal(t[i].err, ENOSPC);
	rig_close(&r);
}

/* done() submits the next one, a thousand times, now and then of another kind. */
static void aio__done_may_submit_more(void **state)
{
	enum { CHAIN = 1000 };
	static struct test_op t[CHAIN];
	static uint8_t mem[512];
	const struct iovec v = { mem, sizeof(mem) };
	int fd = memory_file(sizeof(mem));
	struct turn turn = { .t = t, .count = 1, .plug = true };
	struct rig r;

	rig_open(&r, engine_of(state), NULL);
	for (unsigned i = 0; i < CHAIN; i++) {
		t[i] = (struct test_op){ .r = &r, .then = i + 1 < CHAIN ? &t[i + 1] : NULL };
		t[i].op = (struct aio_op){
			.kind = AIO_WRITE, .fd = fd, .iov = &v, .count = 1, .done = on_done
		};
		if (i % 5 == 4)
			t[i].op.kind = AIO_SYNC;
		if (i % 7 == 6) {
			t[i].op.kind = AIO_CALL;
			t[i].op.call = call_gettid;
		}
	}
	turn.r = &r;
	loop_call(r.loop, submit_turn, &turn);
	wait_done(&r, CHAIN);
	for (unsigned i = 0; i < CHAIN; i++) {
		assert_int_equal(t[i].calls, 1);
		assert_int_equal(t[i].err, i % 7 == 6 ? ENOSPC : 0);
	}
	rig_close(&r);
	close(fd);
}

static void nothing(void *ctx)
{
	(void)ctx;
}

/* What comes from the loop comes in batches, each with one call at its end. */
static void aio__a_batch_ends_with_its_callback(void **state)
{
	struct test_op t[DEPTH];
	int fd = memory_file(4096);
	struct rig r;

	rig_open(&r, engine_of(state), NULL);
	for (unsigned i = 0; i < DEPTH; i++)
		t[i] = (struct test_op){ .op = { .kind = AIO_SYNC, .fd = fd } };
	run(&r, t, DEPTH);
	loop_call(r.loop, nothing, NULL); /* the batch is over */
	assert_true(r.batches <= r.done_in_batch + 1);
	assert_true(r.done_in_batch == 0 || r.batches > 0);
	rig_close(&r);
	close(fd);
}

/* Four I/O threads on one pool and one file, each in its own quarter. */
enum { QUARTER = 256 * 1024, BLOCK = 4096, WORKERS = 4 };

struct worker {
	struct rig r;
	int fd;
	unsigned index;
};

static void *work(void *ctx)
{
	struct worker *w = ctx;
	uint8_t *mem = malloc((size_t)DEPTH * BLOCK), *shadow = calloc(1, QUARTER);
	struct test_op t[DEPTH];
	struct iovec v[DEPTH];
	unsigned seed = w->index;

	for (unsigned round = 0; round < 60; round++) {
		const bool write = round % 2 == 0;

		for (unsigned i = 0; i < DEPTH; i++) {
			const size_t at = (size_t)i * BLOCK;

			memset(mem + at, write ? rand_r(&seed) : 0, BLOCK);
			if (write)
				memcpy(shadow + at, mem + at, BLOCK);
			v[i] = (struct iovec){ mem + at, BLOCK };
			t[i] = (struct test_op){
				.op = { .kind = write ? AIO_WRITE : AIO_READ,
					.fd = w->fd,
					.iov = &v[i],
					.count = 1,
					.off = (uint64_t)w->index * QUARTER + at },
			};
		}
		run(&w->r, t, DEPTH);
		for (unsigned i = 0; i < DEPTH; i++)
			assert_int_equal(t[i].err, 0);
		assert_memory_equal(mem, shadow, QUARTER);
	}
	free(shadow);
	free(mem);
	return NULL;
}

static void aio__several_share_a_pool(void **state)
{
	struct sill_err e = { 0 };
	struct pool *pool = pool_create("pool", 4, &e);
	int fd = memory_file((size_t)WORKERS * QUARTER);
	pthread_t thread[WORKERS];
	struct worker w[WORKERS];

	for (unsigned i = 0; i < WORKERS; i++) {
		w[i].fd = fd;
		w[i].index = i;
		rig_open(&w[i].r, engine_of(state), pool);
	}
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, work, &w[i]), 0);
	for (unsigned i = 0; i < WORKERS; i++)
		(void)pthread_join(thread[i], NULL);
	pool_destroy(pool);
	for (unsigned i = 0; i < WORKERS; i++)
		rig_close(&w[i].r);
	close(fd);
}

/* ---- io_uring that cannot be had ---- */

struct without {
	unsigned call; /* the system call that is forbidden */
	bool ok[2];
};

static void *without_uring(void *ctx)
{
	struct without *w = ctx;
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, w->call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(filter) / sizeof(filter[0]), filter };
	struct sill_err e = { 0 };
	struct aio_config c = { .loop = loop_create(&e), .depth = DEPTH };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) != 0)
		return NULL;
	c.pool = pool_create("pool", 1, &e);
	c.engine = SILL_IO_URING;
	w->ok[0] =
		aio_create(&c, &e) == NULL && e.sys == EPERM && strstr(e.msg, "io_uring") != NULL;
	c.engine = SILL_IO_AUTO;
	e = (struct sill_err){ 0 };
	struct aio *a = aio_create(&c, &e);

	w->ok[1] = a != NULL && !aio_is_uring(a);
	pool_destroy(c.pool);
	aio_destroy(a);
	loop_destroy(c.loop);
	return NULL;
}

static void aio_create__falls_back_to_threads(void **state)
{
	static const unsigned calls[] = { SYS_io_uring_setup, SYS_io_uring_enter };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
		struct without w = { .call = calls[i] };
		pthread_t t; /* the filter is this thread's alone */

		assert_int_equal(pthread_create(&t, NULL, without_uring, &w), 0);
		(void)pthread_join(t, NULL);
		assert_true(w.ok[0]);
		assert_true(w.ok[1]);
	}
}

/* ---- every answer the kernel may give ---- */

/* An operation over random vectors, answered by random counts, moves every byte once, in order. */
static void take_answer__goes_on_where_it_stopped(void **state)
{
	unsigned seed = 11;

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		uint8_t file[4096], mem[4096] = { 0 };
		struct iovec v[16];
		struct aio_op op = { .kind = AIO_READ, .iov = v, .zero_tail = round % 3 == 0 };
		const size_t end = op.zero_tail ? (size_t)rand_r(&seed) % 4096 : 4096;
		size_t at = 0;
		bool over = false;

		for (size_t i = 0; i < sizeof(file); i++)
			file[i] = i < end ? (uint8_t)(rand_r(&seed) | 1) : 0;
		while (op.count < 15) {
			size_t n = rand_r(&seed) % 3 == 0 ? 0 : (size_t)rand_r(&seed) % 600;

			n = n > 4096 - at ? 4096 - at : n;
			v[op.count++] = (struct iovec){ mem + at, n };
			at += n;
		}
		v[op.count++] = (struct iovec){ mem + at, 4096 - at };
		memset(mem, 0x99, sizeof(mem));
		begin(&op);
		for (unsigned turn = 0; !over; turn++) {
			int count;
			const struct iovec *p = piece(&op, &count);
			size_t left = 0, n;

			if (turn % 4 == 3) { /* nothing happens */
				over = take_answer(&op, turn % 8 == 3 ? -EINTR : -EAGAIN);
				assert_false(over);
				continue;
			}
			for (int i = 0; i < count; i++)
				left += p[i].iov_len;
			n = op.off >= end ? 0 : 1 + (size_t)rand_r(&seed) % left;
			n = n > end - op.off && n != 0 ? end - op.off : n;
			for (size_t k = 0, i = 0, o = 0; k < n; k++, o++) {
				while (o == p[i].iov_len)
					i++, o = 0;
				((uint8_t *)p[i].iov_base)[o] = file[op.off + k];
			}
			over = take_answer(&op, (ssize_t)n);
		}
		assert_int_equal(op.result, 0);
		assert_memory_equal(mem, file, sizeof(mem));
	}
}

static void take_answer__does_not_ask_for_ever(void **state)
{
	uint8_t mem[8];
	const struct iovec v = { mem, sizeof(mem) };
	struct aio_op op = { .kind = AIO_WRITE, .iov = &v, .count = 1 };
	unsigned turns = 0;

	(void)state;
	begin(&op);
	while (!take_answer(&op, -EAGAIN))
		assert_true(turns++ < 1000);
	assert_int_equal(op.result, EAGAIN);
	/* A write that moves nothing would be asked for ever too. */
	op = (struct aio_op){ .kind = AIO_WRITE, .iov = &v, .count = 1 };
	begin(&op);
	assert_true(take_answer(&op, 0));
	assert_int_equal(op.result, EIO);
}

int main(void)
{
	static enum sill_disk_io uring = SILL_IO_URING, threads = SILL_IO_THREADS;
#define BOTH(test)                                           \
	{ #test "/io_uring", test, NULL, NULL, &uring },     \
	{                                                    \
#test "/threads", test, NULL, NULL, &threads \
	}
	const struct CMUnitTest tests[] = {
		BOTH(aio__reads_back_what_was_written),
		BOTH(aio__takes_more_vectors_than_one_call_can),
		BOTH(aio__beyond_the_end_there_is_an_error_or_zeroes),
		BOTH(aio__says_what_the_kernel_said),
		BOTH(aio__the_rest_of_a_short_write_is_tried),
		BOTH(aio__calls_run_beside_the_loop),
		BOTH(aio__done_may_submit_more),
		BOTH(aio__a_batch_ends_with_its_callback),
		BOTH(aio__several_share_a_pool),
		BOTH(aio__a_little_in_memory_is_done_at_once),
		BOTH(aio__writes_take_the_long_way_after_a_slow_one),
		cmocka_unit_test(aio_create__falls_back_to_threads),
		cmocka_unit_test(take_answer__goes_on_where_it_stopped),
		cmocka_unit_test(take_answer__does_not_ask_for_ever),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
