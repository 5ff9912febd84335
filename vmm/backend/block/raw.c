/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw.c - a file or block device whose bytes are the disk's bytes.
 *
 * Reads, writes and flushes go straight to the request's aio. What may block
 * for long or needs a buffer (discards, zeroes, unaligned O_DIRECT) is one
 * call, execute(), on a thread of the pool; so is everything without an aio, on
 * the caller's thread. The two ways keep the same rules about `dirty`.
 *
 * O_DIRECT: what is not aligned is bounced (align.h), on a thread that may
 * block. Everything that changes the disk holds a range meanwhile, where that
 * can matter.
 *
 * A file that ends within a sector has that sector on the disk, filled up with
 * zeroes; who writes it makes the file longer.
 *
 * Write-through: RWF_DSYNC, or fdatasync() after the write when there is
 * something older that was not synced yet (the guest has just switched).
 * `dirty` says so: it is set before a write and again after it, and cleared
 * before a sync, so that a write is known to be on the medium only if a sync
 * began after its end.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "backend/block/align.h"
#include "backend/block/block.h"
#include "backend/block/syncs.h"
#include "base/log.h"

enum {
	ZEROES = 64 * 1024,
	ZERO_VECTORS = 16, /* zeroes are written 1 MiB a call */
};

struct raw {
	struct align align; /* with O_DIRECT; else zeroed */
	struct aio_pace pace;
	bool is_device;
	bool ragged; /* atomic: the file may end within the disk's last sector */
	bool dirty;  /* atomic: written and not known to be on the medium */
	struct syncs syncs;
};
_Static_assert(sizeof(struct range) <= BLK_OWN_SIZE, "a request has no room for its range");

/* Never written; not const, because an iovec is not. */
static _Alignas(4096) uint8_t zeroes[ZEROES];

static uint32_t phys_size(uint64_t host)
{
	uint32_t size = 512;

	while (size < host && size < 64 * 1024)
		size *= 2;
	return size;
}

/* Would a hole be punched? Asked beyond the end, where it changes nothing but the time, which is put back. */
static bool punches(int fd, uint64_t end)
{
	const off_t beyond = (off_t)((end + 0xfffff) & ~0xfffffull);
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT } };
	struct stat st;

	if (fstat(fd, &st) < 0 ||
	    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, beyond, 4096) < 0)
		return false;
	times[1] = st.st_mtim;
	(void)futimens(fd, times); /* only the owner may */
	return true;
}

static uint64_t whole_sectors(uint64_t n)
{
	return (n + 511) & ~511ull;
}

static int raw_open_file(struct blk *b, const struct stat *st, struct sill_err *e)
{
	struct raw *r = b->state;

	b->capacity = whole_sectors((uint64_t)st->st_size);
	if (b->capacity == 0) {
		(void)sill_err_set(e, SILL_ERR_HOST, "disk '%s' is empty", b->path);
		return sill_err_hint(e, "make an empty disk with: truncate -s 20G '%s'", b->path);
	}
	r->ragged = st->st_size % 512 != 0;
	if (r->ragged)
		log_line(LOG_WARN,
			 "%s: the size is not a multiple of 512: zeroes fill up the last sector",
			 b->path);
	b->phys_size = phys_size((uint64_t)st->st_blksize);
	b->can_discard = !b->readonly && punches(b->fd, (uint64_t)st->st_size);
	return 0;
}

static int raw_open_device(struct blk *b, struct sill_err *e)
{
	uint64_t askew[2] = { 1, 512 };
	uint64_t size = 0;
	bool discard;
	unsigned phys = 0;
	int sector = 0;

	if (ioctl(b->fd, BLKGETSIZE64, &size) < 0 || ioctl(b->fd, BLKSSZGET, &sector) < 0)
		return sill_err_sys(e, errno, "size of block device '%s'", b->path);
	b->capacity = size - size % 512;
	if (b->capacity == 0) {
		(void)sill_err_set(e, SILL_ERR_HOST, "block device '%s' is empty", b->path);
		return sill_err_hint(e, "is a medium inserted, or the loop device set up?");
	}
	if (ioctl(b->fd, BLKPBSZGET, &phys) < 0 || phys == 0)
		phys = (unsigned)sector;
	/* Support is looked at before the range is: this one is refused by every device that can. */
	discard = ioctl(b->fd, BLKDISCARD, askew) == 0 || errno == EINVAL;
	b->phys_size = phys_size(phys);
	b->can_discard = !b->readonly && discard;
	return 0;
}

/* Alignment, or no O_DIRECT: a block that is partly behind the end cannot be written whole. */
static int raw_open_direct(struct blk *b, const struct stat *st, struct sill_err *e)
{
	struct raw *r = b->state;
	const int err = align_init(&r->align, b->fd);
	int flags;

	if (err != 0)
		return sill_err_sys(e, err, "disk '%s'", b->path);
	if ((uint64_t)st->st_size % r->align.off == 0)
		return 0;
	flags = fcntl(b->fd, F_GETFL);
	if (flags < 0 || fcntl(b->fd, F_SETFL, flags & ~O_DIRECT) < 0) {
		(void)sill_err_sys(e, errno, "disk '%s'", b->path);
		align_fini(&r->align);
		return -1;
	}
	log_line(LOG_WARN,
		 "%s: direct is off: the size is not a multiple of the %u bytes that the host's "
		 "storage asks for",
		 b->path, r->align.off);
	align_fini(&r->align);
	b->direct = false;
	return 0;
}

static int raw_open(struct blk *b, struct sill_err *e)
{
	struct raw *r = b->state;
	struct stat st;

	if (fstat(b->fd, &st) < 0)
		return sill_err_sys(e, errno, "disk '%s'", b->path);
	r->is_device = S_ISBLK(st.st_mode);
	if (!r->is_device && !S_ISREG(st.st_mode))
		return sill_err_set(e, SILL_ERR_HOST,
				    "disk '%s' is neither a file nor a block device", b->path);
	if (r->is_device ? raw_open_device(b, e) < 0 : raw_open_file(b, &st, e) < 0)
		return -1;
	if (b->direct && raw_open_direct(b, &st, e) < 0)
		return -1;
	aio_pace_init(&r->pace, b->fd, b->direct);
	syncs_init(&r->syncs);
	return 0;
}

static int raw_close(struct blk *b)
{
	struct raw *r = b->state;

	align_fini(&r->align);
	syncs_fini(&r->syncs);
	return 0;
}

/* May a read be short, because it goes to the end of a file that is? */
static bool to_ragged_end(struct blk *b, uint64_t off, uint64_t length)
{
	const struct raw *r = b->state;

	return __atomic_load_n(&r->ragged, __ATOMIC_RELAXED) && off + length == blk_capacity(b);
}

/* Everything that one transfer needs to know. */
struct xfer {
	int fd;
	bool write;
	bool zero_tail;
	int flags; /* RWF_ */
};

static int xfer_vectors(const struct xfer *x, const struct iovec *iov, int count, uint64_t off)
{
	struct aio_op op = { .kind = x->write ? AIO_WRITE : AIO_READ,
			     .fd = x->fd,
			     .flags = x->flags,
			     .zero_tail = x->zero_tail,
			     .iov = iov,
			     .count = count,
			     .off = off };

	return aio_perform(&op);
}

static int xfer_flat(void *ctx, bool write, void *p, size_t n, uint64_t off)
{
	struct xfer x = *(const struct xfer *)ctx;
	const struct iovec v = { .iov_base = p, .iov_len = n };

	x.write = write;
	x.flags = write ? x.flags : 0;
	return xfer_vectors(&x, &v, 1, off);
}

/* May wait. */
static int xfer_all(struct blk *b, struct xfer x, const struct iovec *iov, int count, uint64_t off,
		    uint64_t length)
{
	struct align *a = &((struct raw *)b->state)->align;
	struct range range;
	int err;

	if (x.write)
		align_take(a, &range, off, length);
	if (b->direct && !align_fits(a, iov, count, off))
		err = align_bounce(a, &(struct align_file){ xfer_flat, &x, x.write },
				   (struct align_part){ iov, count, 0, (size_t)length }, off);
	else
		err = xfer_vectors(&x, iov, count, off);
	if (x.write)
		align_drop(a, &range);
	return err;
}

static void set_dirty(struct raw *r, bool dirty)
{
	if (__atomic_load_n(&r->dirty, __ATOMIC_SEQ_CST) != dirty)
		__atomic_store_n(&r->dirty, dirty, __ATOMIC_SEQ_CST);
}

static int sync_file(void *ctx)
{
	struct aio_op op = { .kind = AIO_SYNC, .fd = ((struct blk *)ctx)->fd };

	return aio_perform(&op);
}

static int sync_data(struct blk *b)
{
	struct raw *r = b->state;
	int err;

	/* Before, not after: a write that comes in between is not covered. */
	set_dirty(r, false);
	err = syncs_run(&r->syncs, sync_file, b);
	if (err != 0)
		set_dirty(r, true);
	return err;
}

static bool is_writeback(struct blk *b)
{
	return __atomic_load_n(&b->writeback, __ATOMIC_ACQUIRE);
}

/* Will a write with RWF_DSYNC do? */
static bool wants_dsync(struct blk *b)
{
	const struct raw *r = b->state;

	return !is_writeback(b) && !__atomic_load_n(&r->dirty, __ATOMIC_SEQ_CST);
}

static int do_write(struct blk *b, const struct iovec *iov, int count, uint64_t off,
		    uint64_t length)
{
	struct raw *r = b->state;
	struct xfer x = { .fd = b->fd, .write = true };
	int err;

	if (wants_dsync(b)) {
		x.flags = RWF_DSYNC;
		err = xfer_all(b, x, iov, count, off, length);
		if (err != EOPNOTSUPP)
			return err;
		x.flags = 0;
	}
	set_dirty(r, true);
	err = xfer_all(b, x, iov, count, off, length);
	set_dirty(r, true); /* a sync may have come in between */
	/* Asked again: the guest may have switched while we wrote. */
	if (err == 0 && !is_writeback(b))
		err = sync_data(b);
	return err;
}

static int write_zeroes(struct blk *b, uint64_t off, uint64_t length)
{
	while (length > 0) {
		struct iovec iov[ZERO_VECTORS];
		uint64_t n = 0;
		int count = 0, err;

		while (count < ZERO_VECTORS && n < length) {
			size_t piece = length - n < ZEROES ? (size_t)(length - n) : ZEROES;

			iov[count++] = (struct iovec){ .iov_base = zeroes, .iov_len = piece };
			n += piece;
		}
		err = do_write(b, iov, count, off, n);
		if (err != 0)
			return err;
		blk_wrote_zeroes(n);
		off += n;
		length -= n;
	}
	return 0;
}

/* 0, or an errno; EOPNOTSUPP when the host cannot do it for this range. */
static int deallocate(struct blk *b, const struct blk_req *q)
{
	struct raw *r = b->state;
	uint64_t place[2] = { q->offset, q->length };
	int mode = FALLOC_FL_KEEP_SIZE, ret, err;
	struct range range;

	/* A device's discard promises no zeroes; a hole in a file does. */
	if (q->op == BLK_DISCARD || q->unmap)
		mode |= FALLOC_FL_PUNCH_HOLE;
	else
		mode |= FALLOC_FL_ZERO_RANGE;
	set_dirty(r, true);
	align_take(&r->align, &range, q->offset, q->length);
	do {
		if (r->is_device)
			ret = ioctl(b->fd, q->op == BLK_DISCARD ? BLKDISCARD : BLKZEROOUT, place);
		else
			ret = fallocate(b->fd, mode, (off_t)q->offset, (off_t)q->length);
		err = ret < 0 ? errno : 0;
	} while (err == EINTR);
	align_drop(&r->align, &range);
	set_dirty(r, true);
	/* A device without a command for it has them written by the kernel; who knows. */
	if (err == 0 && r->is_device && q->op == BLK_WRITE_ZEROES)
		blk_wrote_zeroes(q->length);
	return err == EINVAL || err == ENOSYS || err == ENOTTY ? EOPNOTSUPP : err;
}

static int do_zero(struct blk *b, const struct blk_req *q)
{
	int err = deallocate(b, q);

	if (err == EOPNOTSUPP) {
		if (q->op == BLK_DISCARD)
			return 0; /* advice that was not taken */
		return write_zeroes(b, q->offset, q->length);
	}
	if (err == 0 && !is_writeback(b))
		err = sync_data(b);
	return err;
}

static int execute(struct blk *b, const struct blk_req *q)
{
	const struct xfer in = { .fd = b->fd, .zero_tail = to_ragged_end(b, q->offset, q->length) };

	if (b->readonly && q->op != BLK_READ && q->op != BLK_FLUSH)
		return EROFS;
	switch (q->op) {
	case BLK_READ:
		if (q->length == 0)
			return 0;
		return xfer_all(b, in, q->iov, q->iov_count, q->offset, q->length);
	case BLK_WRITE:
		if (q->length == 0)
			return 0;
		return do_write(b, q->iov, q->iov_count, q->offset, q->length);
	case BLK_FLUSH:
		return b->readonly ? 0 : sync_data(b);
	case BLK_DISCARD:
	case BLK_WRITE_ZEROES:
		return q->length == 0 ? 0 : do_zero(b, q);
	}
	return EOPNOTSUPP;
}

/* ---- with an aio: on its loop's thread ---- */

static struct blk_req *from_io(struct aio_op *op)
{
	return (struct blk_req *)(void *)((char *)op - offsetof(struct blk_req, io));
}

static struct range *range_of(struct blk_req *q)
{
	return (struct range *)(void *)q->own;
}

/* Before a request's write starts. False: it has to wait, which is not for this thread. */
static bool may_write(struct blk *b, struct blk_req *q)
{
	struct align *a = &((struct raw *)b->state)->align;

	/* What threads do sits in their list first, and must not hold a range there. */
	return !a->shares ||
	       (aio_is_uring(q->aio) && align_try(a, range_of(q), q->offset, q->length));
}

static void has_written(struct blk_req *q)
{
	align_drop(&((struct raw *)q->blk->state)->align, range_of(q));
}

static void on_read(struct aio_op *op, int err)
{
	struct blk_req *q = from_io(op);

	q->done(q, err);
}

static void on_synced(struct aio_op *op, int err)
{
	struct blk_req *q = from_io(op);
	struct raw *r = q->blk->state;

	if (err != 0)
		set_dirty(r, true);
	if (op->kind == AIO_SYNC)
		syncs_end(&r->syncs, err);
	q->done(q, err);
}

static int sync_call(struct aio_op *op)
{
	return sync_data(from_io(op)->blk);
}

/*
 * By io_uring if none is at work; else a thread waits for that one. A sync that is a job is at work only when
 * it runs: those that wait may have all threads.
 */
static void start_sync(struct blk_req *q)
{
	struct raw *r = q->blk->state;

	q->io = (struct aio_op){ .kind = AIO_CALL, .call = sync_call, .done = on_synced };
	if (aio_is_uring(q->aio) && syncs_try(&r->syncs)) {
		set_dirty(r, false);
		q->io = (struct aio_op){ .kind = AIO_SYNC, .fd = q->blk->fd, .done = on_synced };
	}
	aio_submit(q->aio, &q->io);
}

static void start_write(struct blk_req *q, int flags);

static void on_written(struct aio_op *op, int err)
{
	struct blk_req *q = from_io(op);

	if ((op->flags & RWF_DSYNC) != 0) {
		if (err == EOPNOTSUPP) {
			start_write(q, 0);
			return;
		}
		has_written(q);
		q->done(q, err);
		return;
	}
	has_written(q);
	set_dirty(q->blk->state, true); /* a sync may have come in between */
	/* Asked again: the guest may have switched while we wrote. */
	if (err == 0 && !is_writeback(q->blk))
		start_sync(q);
	else
		q->done(q, err);
}

static void start_transfer(struct blk_req *q, enum aio_kind kind, int flags,
			   void (*done)(struct aio_op *, int))
{
	q->io = (struct aio_op){ .kind = kind,
				 .fd = q->blk->fd,
				 .pace = &((struct raw *)q->blk->state)->pace,
				 .flags = flags,
				 .zero_tail = kind == AIO_READ &&
					      to_ragged_end(q->blk, q->offset, q->length),
				 .iov = q->iov,
				 .count = q->iov_count,
				 .off = q->offset,
				 .quit = &q->blk->gives_up,
				 .done = done };
	aio_submit(q->aio, &q->io);
}

static void start_write(struct blk_req *q, int flags)
{
	if (flags == 0)
		set_dirty(q->blk->state, true);
	start_transfer(q, AIO_WRITE, flags, on_written);
}

/* Is there an operation for it, that needs nothing else? */
static bool is_plain(struct blk *b, const struct blk_req *q)
{
	const struct raw *r = b->state;

	if (b->readonly && q->op != BLK_READ)
		return false;
	if (q->op == BLK_FLUSH)
		return true;
	return (q->op == BLK_READ || q->op == BLK_WRITE) && q->length != 0 &&
	       (!b->direct || align_fits(&r->align, q->iov, q->iov_count, q->offset));
}

static void raw_submit(struct blk *b, struct blk_req *q)
{
	if (q->aio == NULL || !is_plain(b, q))
		blk_execute(b, q, execute);
	else if (q->op == BLK_FLUSH)
		start_sync(q);
	else if (q->op == BLK_READ)
		start_transfer(q, AIO_READ, 0, on_read);
	else if (!may_write(b, q))
		blk_execute(b, q, execute);
	else
		start_write(q, wants_dsync(b) ? RWF_DSYNC : 0);
}

/* A file is made larger; of a device, and with @bytes 0, what is there is taken. */
static int raw_resize(struct blk *b, uint64_t bytes, uint64_t *ret, struct sill_err *e)
{
	struct raw *r = b->state;
	uint32_t unit = b->block_size;
	uint64_t size = 0;
	struct stat st;

	if (b->direct && r->align.off > unit)
		unit = r->align.off;
	if (r->is_device ? ioctl(b->fd, BLKGETSIZE64, &size) < 0 : fstat(b->fd, &st) < 0)
		return sill_err_sys(e, errno, "size of '%s'", b->path);
	if (!r->is_device) /* O_DIRECT cannot have a part of a sector */
		size = b->direct ? (uint64_t)st.st_size : whole_sectors((uint64_t)st.st_size);
	if (size < b->capacity)
		return sill_err_set(e, SILL_ERR_HOST,
				    "'%s' has become smaller: %llu bytes are left of %llu", b->path,
				    (unsigned long long)size, (unsigned long long)b->capacity);
	/* Before the file changes: with a part of a block at its end it has no O_DIRECT any more. */
	if (bytes % unit != 0)
		return sill_err_set(e, SILL_ERR_LIMIT,
				    "'%s': the size is not a multiple of the %u bytes that the "
				    "host's storage asks for",
				    b->path, unit);
	if (bytes > size && r->is_device)
		return sill_err_set(e, SILL_ERR_LIMIT, "block device '%s' has only %llu bytes",
				    b->path, (unsigned long long)size);
	if (bytes > size && b->readonly)
		return sill_err_set(e, SILL_ERR_STATE, "'%s' cannot grow: it is read-only",
				    b->path);
	if (bytes > size) {
		if (bytes > INT64_MAX || ftruncate(b->fd, (off_t)bytes) < 0)
			return sill_err_sys(e, bytes > INT64_MAX ? EFBIG : errno, "grow '%s'",
					    b->path);
		size = bytes;
	}
	if (!r->is_device && !b->direct && fstat(b->fd, &st) == 0)
		__atomic_store_n(&r->ragged, st.st_size % 512 != 0, __ATOMIC_RELAXED);
	size = bytes != 0 ? bytes : size;
	*ret = size - size % unit < b->capacity ? b->capacity : size - size % unit;
	return 0;
}

const struct blk_ops blk_raw_ops = {
	.format = "raw",
	.state_size = sizeof(struct raw),
	.open = raw_open,
	.submit = raw_submit,
	.resize = raw_resize,
	.status = raw_status,
	.close = raw_close,
};
