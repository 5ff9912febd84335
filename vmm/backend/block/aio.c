/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aio.c - io_uring (liburing), or a pool of threads; see aio.h.
 *
 * The ring's descriptor is watched by the loop: it is readable while there are
 * completions, so nobody has to signal anybody. It has room for `depth`
 * operations, each of which is in it at most once, and for twice as many
 * completions: neither can overflow.
 *
 * The pool's threads put what they have done on a lock-free stack; who finds
 * it empty posts a task to the loop.
 */
#include "backend/block/aio.h"

#include <assert.h>
#include <errno.h>
#include <liburing.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/loop.h"

enum {
	MAX_DEPTH = 4096,
	MAX_TRIES = 64, /* of an operation that only ever says "again" */
	MAX_PIECE = 2048 *
		    1024, /* what one system call moves at most; systems ask for less at a time */
	/* Bytes that are copied here; a larger write into a cache is worth a thread of its own. */
	HERE_MAX = 2048 * 1024,
	HERE_MAX_WRITE = 64 * 1024,
	SLOW_NS = 500 * 1000,
	MAX_DETOUR = 4096,
};

struct aio {
	struct loop *loop; /* borrowed */
	struct pool *pool; /* borrowed */
	void (*batch)(void *ctx);
	void *ctx;
	unsigned depth;
	/* The loop's thread. */
	bool uring;
	bool in_batch;
	unsigned plugged;
	unsigned in_flight;
	struct io_uring ring; /* owned, with uring */
	struct loop_fd ready;
	struct loop_watch watch;
	struct loop_task again;    /* the kernel had no memory: submit once more */
	struct loop_task finished; /* jobs are done */
	/* Any thread. */
	struct aio_op *stack; /* atomic: done by the pool */
};

/* ---- an operation in pieces ---- */

/* What comes next; at most what one system call takes. Of a single vector, what piece_size() says. */
static const struct iovec *piece(struct aio_op *op, int *ret_count)
{
	size_t n = 0;
	int count = 0;

	if (op->rest.iov_len != 0) {
		*ret_count = 1;
		return &op->rest;
	}
	while (count < op->count && count < IOV_MAX) {
		n += op->iov[count].iov_len;
		if (n > MAX_PIECE && count > 0)
			break;
		count++;
	}
	*ret_count = count;
	return op->iov;
}

static size_t piece_size(const struct iovec *v)
{
	return v->iov_len < MAX_PIECE ? v->iov_len : MAX_PIECE;
}

static bool is_unwanted(const struct aio_op *op)
{
	return op->quit != NULL && __atomic_load_n(op->quit, __ATOMIC_ACQUIRE);
}

static bool is_over(const struct aio_op *op)
{
	return op->rest.iov_len == 0 && op->count == 0;
}

/* @n bytes more are done. */
static void advance(struct aio_op *op, size_t n)
{
	op->off += n;
	if (op->rest.iov_len != 0) {
		op->rest.iov_base = (char *)op->rest.iov_base + n;
		op->rest.iov_len -= n;
		if (op->rest.iov_len != 0)
			return;
		n = 0; /* empty vectors may follow */
	}
	while (op->count > 0 && n >= op->iov->iov_len) {
		n -= op->iov->iov_len;
		op->iov++;
		op->count--;
	}
	if (n == 0)
		return;
	op->rest = (struct iovec){ (char *)op->iov->iov_base + n, op->iov->iov_len - n };
	op->iov++;
	op->count--;
}

static void zero_what_is_left(struct aio_op *op)
{
	while (!is_over(op)) {
		int count;
		const struct iovec *v = piece(op, &count);
		const size_t n = v->iov_len;

		memset(v->iov_base, 0, n);
		advance(op, n);
	}
}

/*
 * The kernel's answer, a count or a negative errno, to the piece that was
 * asked for. True: the operation is over, op->result is set.
 */
static bool take_answer(struct aio_op *op, ssize_t n)
{
	op->result = 0;
	if (n == -EINTR || (n == -EAGAIN && op->tries++ < MAX_TRIES))
		return false;
	if (n < 0) {
		op->result = (int)-n;
		return true;
	}
	if (op->kind == AIO_SYNC)
		return true;
	if (n == 0 && !is_over(op)) {
		if (op->kind == AIO_READ && op->zero_tail)
			zero_what_is_left(op);
		else
			op->result = EIO; /* the file has been cut under us */
		return true;
	}
	op->tries = 0;
	advance(op, (size_t)n);
	if (is_over(op))
		return true;
	if (is_unwanted(op))
		op->result = ECANCELED;
	return op->result != 0;
}

static void begin(struct aio_op *op)
{
	op->rest = (struct iovec){ 0 };
	op->tries = 0;
	op->result = 0;
	if (op->kind != AIO_READ && op->kind != AIO_WRITE)
		return;
	/* Empty vectors at the front would read as the end of the file. */
	advance(op, 0);
	assert(!is_over(op));
}

static ssize_t ask(struct aio_op *op)
{
	const struct iovec *v;
	struct iovec one;
	ssize_t n;
	int count;

	if (op->kind == AIO_SYNC) {
		n = fdatasync(op->fd);
		return n < 0 ? -errno : n;
	}
	v = piece(op, &count);
	if (count == 1) {
		one = (struct iovec){ v->iov_base, piece_size(v) };
		v = &one;
	}
	/* Vectors cost more than they look: the kernel copies them, and then it counts. */
	if (op->kind == AIO_READ)
		n = count == 1 ? pread(op->fd, v->iov_base, v->iov_len, (off_t)op->off)
			       : preadv(op->fd, v, count, (off_t)op->off);
	else if (count == 1 && op->flags == 0)
		n = pwrite(op->fd, v->iov_base, v->iov_len, (off_t)op->off);
	else
		n = pwritev2(op->fd, v, count, (off_t)op->off, op->flags);
	return n < 0 ? -errno : n;
}

int aio_perform(struct aio_op *op)
{
	begin(op);
	if (op->kind == AIO_CALL)
		return op->call(op);
	while (!take_answer(op, ask(op)))
		;
	return op->result;
}

/* ---- right here ---- */

void aio_pace_init(struct aio_pace *p, int fd, bool direct)
{
	struct statfs fs;
	struct stat st;

	*p = (struct aio_pace){ 0 };
	/* A device's node is on a file system, too: on one in memory. */
	if (direct || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || fstatfs(fd, &fs) < 0)
		return;
	p->memory = fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC;
	/* Others that keep pages either have a write that says "not now", or a server behind them. */
	p->cached_writes = fs.f_type == EXT4_SUPER_MAGIC;
}

static bool is_little(const struct aio_op *op, size_t max)
{
	size_t n = 0;

	for (int i = 0; i < op->count && n <= max; i++)
		n += op->iov[i].iov_len;
	return n <= max;
}

/* Is it done before anybody could be told to do it? */
static bool is_quick(const struct aio_op *op)
{
	struct aio_pace *p = op->pace;

	if (p == NULL || (op->kind != AIO_READ && op->kind != AIO_WRITE))
		return false;
	if (p->memory)
		return is_little(op, HERE_MAX);
	if (op->kind != AIO_WRITE || !p->cached_writes || op->flags != 0 ||
	    !is_little(op, HERE_MAX_WRITE))
		return false;
	/* Loads and stores, not one operation: a detour may be a little longer or shorter. */
	if (__atomic_load_n(&p->detour, __ATOMIC_RELAXED) == 0)
		return true;
	__atomic_store_n(&p->detour, __atomic_load_n(&p->detour, __ATOMIC_RELAXED) - 1,
			 __ATOMIC_RELAXED);
	return false;
}

/* Slow ones in a row keep writes away for longer and longer; a lone one may only have lost its CPU. */
static void judge(struct aio_pace *p, bool slow)
{
	unsigned penalty = __atomic_load_n(&p->penalty, __ATOMIC_RELAXED);

	if (slow) {
		__atomic_store_n(&p->detour, penalty + 1, __ATOMIC_RELAXED);
		penalty = penalty < MAX_DETOUR / 4 ? 4 * penalty + 8 : MAX_DETOUR;
	} else if (penalty != 0) {
		penalty--;
	} else {
		return;
	}
	__atomic_store_n(&p->penalty, penalty, __ATOMIC_RELAXED);
}

static int perform_here(struct aio_op *op)
{
	uint64_t began;
	int err;

	if (op->pace->memory)
		return aio_perform(op);
	began = host_now();
	err = aio_perform(op);
	judge(op->pace, host_now() - began > SLOW_NS);
	return err;
}

/* ---- completions, on the loop's thread ---- */

static void finish(struct aio *a, struct aio_op *op)
{
	assert(a->in_flight > 0);
	a->in_flight--;
	op->done(op, op->result);
}

/* ---- the pool ---- */

/* On a thread of the pool. Afterwards nothing of @op is touched: it may be gone. */
static void pool_run(struct pool_job *j)
{
	struct aio_op *op = (struct aio_op *)(void *)((char *)j - offsetof(struct aio_op, job));
	struct aio *a = op->aio;
	struct aio_op *top;

	op->result = is_unwanted(op) ? ECANCELED : aio_perform(op);
	top = __atomic_load_n(&a->stack, __ATOMIC_RELAXED);
	do {
		op->next = top;
	} while (!__atomic_compare_exchange_n(&a->stack, &top, op, true, __ATOMIC_ACQ_REL,
					      __ATOMIC_RELAXED));
	if (top == NULL)
		loop_post(a->loop, &a->finished);
}

static void take_finished(struct aio *a)
{
	struct aio_op *op = __atomic_exchange_n(&a->stack, NULL, __ATOMIC_ACQUIRE), *list = NULL;

	while (op != NULL) { /* newest first: turn it round */
		struct aio_op *next = op->next;

		op->next = list;
		list = op;
		op = next;
	}
	while (list != NULL) {
		op = list;
		list = op->next;
		finish(a, op);
	}
}

/* ---- io_uring ---- */

static void submit_all(struct aio *a)
{
	int n;

	if (!a->uring || io_uring_sq_ready(&a->ring) == 0)
		return;
	do {
		n = io_uring_submit(&a->ring);
	} while (n == -EINTR);
	if (io_uring_sq_ready(&a->ring) != 0)
		loop_post(a->loop, &a->again); /* EAGAIN, EBUSY: there is no memory now */
}

static void enqueue(struct aio *a, struct aio_op *op)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&a->ring);
	const struct iovec *v;
	int count;

	assert(sqe != NULL); /* there is one for each of `depth` operations */
	if (op->kind == AIO_SYNC) {
		io_uring_prep_fsync(sqe, op->fd, IORING_FSYNC_DATASYNC);
	} else {
		const bool write = op->kind == AIO_WRITE;

		v = piece(op, &count);
		if (count == 1) {
			io_uring_prep_rw(write ? IORING_OP_WRITE : IORING_OP_READ, sqe, op->fd,
					 v->iov_base, (unsigned)piece_size(v), op->off);
		} else {
			io_uring_prep_rw(write ? IORING_OP_WRITEV : IORING_OP_READV, sqe, op->fd, v,
					 (unsigned)count, op->off);
		}
		sqe->rw_flags = op->flags;
	}
	io_uring_sqe_set_data(sqe, op);
	if (io_uring_sq_ready(&a->ring) >= LOOP_PORTION)
		submit_all(a);
}

static void take_completions(struct aio *a)
{
	struct io_uring_cqe *cqe;

	for (unsigned n = 0; n < LOOP_PORTION && io_uring_peek_cqe(&a->ring, &cqe) == 0; n++) {
		struct aio_op *op = io_uring_cqe_get_data(cqe);
		const int res = cqe->res;

		io_uring_cqe_seen(&a->ring, cqe);
		if (take_answer(op, res))
			finish(a, op);
		else
			enqueue(a, op);
	}
}

/* ---- the loop ---- */

static void batch_begin(struct aio *a)
{
	a->in_batch = true;
	aio_plug(a);
}

static void batch_end(struct aio *a)
{
	aio_unplug(a);
	a->in_batch = false;
	if (a->batch != NULL)
		a->batch(a->ctx);
}

static void on_ready(void *ctx, uint32_t events)
{
	struct aio *a = ctx;

	(void)events;
	batch_begin(a);
	take_completions(a);
	batch_end(a);
}

static void on_finished(void *ctx)
{
	struct aio *a = ctx;

	batch_begin(a);
	take_finished(a);
	batch_end(a);
}

static void on_again(void *ctx)
{
	struct aio *a = ctx;

	batch_begin(a);
	take_completions(a); /* room is made by what is done */
	batch_end(a);
}

/* Has the kernel put completions into memory, or would it if we came in? */
static bool has_news(const struct aio *a)
{
	return io_uring_cq_ready(&a->ring) != 0 ||
	       (__atomic_load_n(a->ring.sq.kflags, __ATOMIC_RELAXED) &
		(IORING_SQ_CQ_OVERFLOW | IORING_SQ_TASKRUN)) != 0;
}

/* For the loop, which does not sleep yet. */
static bool look(void *ctx)
{
	struct aio *a = ctx;
	bool found = false;

	if (a->in_flight == 0)
		return false;
	if (__atomic_load_n(&a->stack, __ATOMIC_RELAXED) != NULL) {
		on_finished(a);
		found = true;
	}
	if (a->uring && has_news(a)) {
		on_ready(a, 0);
		found = true;
	}
	return found;
}

/* ---- the interface ---- */

void aio_plug(struct aio *a)
{
	a->plugged++;
}

void aio_unplug(struct aio *a)
{
	assert(a->plugged > 0);
	/* Still plugged while it reaps: what done() submits goes with the next turn. */
	while (a->uring && a->plugged == 1 && io_uring_sq_ready(&a->ring) != 0) {
		submit_all(a);
		if (io_uring_sq_ready(&a->ring) != 0)
			break;
		take_completions(a);
	}
	a->plugged--;
}

bool aio_in_batch(const struct aio *a)
{
	return a->in_batch;
}

bool aio_is_uring(const struct aio *a)
{
	return a->uring;
}

void aio_submit(struct aio *a, struct aio_op *op)
{
	if (is_quick(op)) {
		op->done(op, perform_here(op));
		return;
	}
	assert(a->in_flight < a->depth);
	op->aio = a;
	a->in_flight++;
	if (!a->uring || op->kind == AIO_CALL) {
		op->job.fn = pool_run;
		pool_put(a->pool, &op->job);
		return;
	}
	begin(op);
	enqueue(a, op);
	if (a->plugged == 0)
		submit_all(a);
}

/* ---- life ---- */

/* An operation that does nothing: a filter may let rings be made and not be used. */
static int ring_try(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	int n;

	assert(sqe != NULL); /* the ring is empty */
	io_uring_prep_nop(sqe);
	do {
		n = io_uring_submit_and_wait(ring, 1);
	} while (n == -EINTR);
	if (n < 0)
		return -n;
	if (io_uring_peek_cqe(ring, &cqe) != 0)
		return EIO;
	io_uring_cqe_seen(ring, cqe);
	return 0;
}

static int ring_create(struct aio *a)
{
	struct io_uring_params p = { .flags = IORING_SETUP_COOP_TASKRUN |
					      IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL };
	int err = io_uring_queue_init_params(a->depth, &a->ring, &p);

	if (err == -EINVAL) { /* before 5.19 */
		p = (struct io_uring_params){ 0 };
		err = io_uring_queue_init_params(a->depth, &a->ring, &p);
	}
	if (err < 0)
		return -err;
	/* A kernel that drops completions, or wants vectors to stay put, is older than we ask for. */
	if ((p.features & IORING_FEAT_NODROP) == 0 || (p.features & IORING_FEAT_SUBMIT_STABLE) == 0)
		err = ENOSYS;
	else
		err = ring_try(&a->ring);
	if (err != 0) {
		io_uring_queue_exit(&a->ring);
		return err;
	}
	(void)io_uring_ring_dontfork(&a->ring);
	a->uring = true;
	return 0;
}

struct attach {
	struct aio *a;
	struct sill_err *e;
	int ret;
};

static void attach(void *ctx)
{
	struct attach *x = ctx;

	if (x->a->uring)
		x->ret = loop_fd_add(x->a->loop, &x->a->ready, EPOLLIN, x->e);
	if (x->ret == 0)
		loop_watch_add(x->a->loop, &x->a->watch);
}

struct aio *aio_create(const struct aio_config *c, struct sill_err *e)
{
	struct aio *a = calloc(1, sizeof(*a));
	struct attach x = { .a = a, .e = e };
	int err = 0;

	assert(c->depth >= 1 && c->depth <= MAX_DEPTH);
	if (a == NULL) {
		(void)sill_err_sys(e, ENOMEM, "asynchronous I/O");
		return NULL;
	}
	a->loop = c->loop;
	a->pool = c->pool;
	a->batch = c->batch;
	a->ctx = c->ctx;
	a->depth = c->depth;
	a->again = (struct loop_task){ .fn = on_again, .ctx = a };
	a->finished = (struct loop_task){ .fn = on_finished, .ctx = a };
	if (c->engine != SILL_IO_THREADS)
		err = ring_create(a);
	if (err != 0 && c->engine == SILL_IO_URING) {
		(void)sill_err_sys(e, err, "io_uring");
		(void)sill_err_hint(e, "is kernel.io_uring_disabled set? 'threads' does without");
		free(a);
		return NULL;
	}
	a->watch = (struct loop_watch){ .look = look, .ctx = a };
	if (a->uring)
		a->ready = (struct loop_fd){ .fd = a->ring.ring_fd, .fn = on_ready, .ctx = a };
	loop_call(a->loop, attach, &x);
	if (x.ret < 0) {
		io_uring_queue_exit(&a->ring);
		free(a);
		return NULL;
	}
	return a;
}

static void forget(void *ctx)
{
	struct aio *a = ctx;

	loop_watch_remove(a->loop, &a->watch);
	loop_fd_remove(a->loop, &a->ready);
	loop_unpost(a->loop, &a->again);
	loop_unpost(a->loop, &a->finished);
}

void aio_destroy(struct aio *a)
{
	if (a == NULL)
		return;
	loop_call(a->loop, forget, a);
	assert(a->in_flight == 0);
	if (a->uring)
		io_uring_queue_exit(&a->ring);
	free(a);
}
