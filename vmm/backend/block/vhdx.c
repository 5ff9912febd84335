/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhdx.c - VHDX images, fixed and dynamic ([MS-VHDX] v20180912).
 *
 *   0       identifier, two headers, two region tables: 1 MiB
 *   ...     log, metadata, BAT, blocks of 1 to 256 MiB, in any order, each on
 *           a boundary of 1 MiB
 *
 * Data I/O takes no lock: it goes by the BAT in memory, whose entries are
 * changed under the lock and read atomically. A block that is given up keeps
 * its place until the image is closed, so that a request that still goes by the
 * old entry hits nobody else's data; free space is what nobody had at open.
 *
 * The file's BAT follows at a flush, through the log (vhdx_log.c): only then is
 * what an entry leads to on the medium. A block's space is zero before its
 * entry says that there is one.
 */
#include "backend/block/vhdx.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static void free_tables(struct vhdx *x)
{
	vhdio_table_fini(&x->table);
	free(x->dirty);
	free(x->used);
	free(x->entry);
	vhdx_free_patches(x);
	syncs_fini(&x->syncs);
	lock_fini(&x->lock);
}

static int open_image(struct blk *b, struct sill_err *e)
{
	struct vhdx *x = b->state;

	if (vhdio_prepare(b, &x->end, e) < 0)
		return -1;
	if (x->end < VHDX_MIB || x->end > VHDX_MAX_FILE)
		return vhdio_damaged(b, e, "the file's size is not one of an image");
	if (vhdx_read_headers(b, e) < 0 || vhdx_replay(b, e) < 0 || vhdx_read_tables(b, e) < 0)
		return -1;
	x->batch = x->log_length / VHDX_SECTOR / 2 - 1;
	if (x->batch > VHDX_LOG_BATCH)
		x->batch = VHDX_LOG_BATCH;
	if (b->readonly)
		return 0;
	x->entry = calloc(1 + x->batch, VHDX_SECTOR);
	return x->entry != NULL ? 0 : vhdio_fail(b, ENOMEM, "log", e);
}

int vhdx_open(struct blk *b, struct sill_err *e)
{
	struct vhdx *x = b->state;

	lock_init(&x->lock, RANK_BACKEND);
	syncs_init(&x->syncs);
	x->fd = b->fd;
	if (open_image(b, e) == 0)
		return 0;
	free_tables(x);
	return -1;
}

int vhdx_close(struct blk *b)
{
	struct vhdx *x = b->state;
	int err = 0;

	if (!b->readonly) {
		lock_take(&x->lock);
		err = vhdx_commit_locked(x);
		if (err == 0)
			err = vhdx_finish_locked(x);
		lock_drop(&x->lock);
	}
	free_tables(x);
	return err;
}

/* --- blocks ------------------------------------------------------------- */

void vhdx_set_locked(struct vhdx *x, uint32_t n, uint64_t v)
{
	__atomic_store_n(vhdx_slot(x, n), v, __ATOMIC_RELEASE);
	x->dirty[(size_t)(vhdx_slot(x, n) - x->bat) / VHDX_BAT_PER_SECTOR] = 1;
	__atomic_store_n(&x->is_dirty, true, __ATOMIC_SEQ_CST);
}

static bool is_used(const struct vhdx *x, uint64_t i)
{
	return (x->used[i / 64] & 1ull << i % 64) != 0;
}

/* Space in the file that nobody had when it was opened; what it holds is unknown. */
static bool find_free_locked(struct vhdx *x, uint64_t *ret_off) REQUIRES(x->lock)
{
	const uint64_t need = x->block_size / VHDX_MIB;
	uint64_t run = 0;

	for (uint64_t i = x->hint; i < x->used_count; i++) {
		run = is_used(x, i) ? 0 : run + 1;
		if (run == need && (i + 1) * VHDX_MIB <= x->end) {
			*ret_off = (i + 1 - need) * VHDX_MIB;
			return true;
		}
	}
	x->hint = x->used_count;
	return false;
}

int vhdx_append_locked(struct vhdx *x, uint64_t length, uint64_t *ret_off)
{
	const uint64_t off = (x->end + VHDX_MIB - 1) / VHDX_MIB * VHDX_MIB;
	int err;

	if (off > VHDX_MAX_FILE)
		return ENOSPC;
	err = vhdio_truncate(x->fd, off + length);
	if (err != 0)
		return err;
	x->end = off + length;
	*ret_off = off;
	return 0;
}

/* Give block @n a place, all zero. */
static int allocate_locked(struct vhdx *x, uint32_t n) REQUIRES(x->lock)
{
	uint64_t off = *vhdx_slot(x, n) & VHDX_OFFSET;
	bool is_free = false;
	int err;

	if (off == 0)
		is_free = find_free_locked(x, &off);
	if (off != 0)
		err = vhdio_zero(x->fd, off, x->block_size, true);
	else
		err = vhdx_append_locked(x, x->block_size, &off);
	if (err != 0)
		return err;
	if (is_free)
		x->hint = (off + x->block_size) / VHDX_MIB;
	vhdx_set_locked(x, n, off | VHDX_PRESENT);
	return 0;
}

/* --- requests ----------------------------------------------------------- */

static int begin(struct vhdx *x)
{
	int err;

	if (__atomic_load_n(&x->began, __ATOMIC_ACQUIRE))
		return 0;
	lock_take(&x->lock);
	err = vhdx_begin_locked(x);
	lock_drop(&x->lock);
	return err;
}

static int make_present(struct vhdx *x, uint32_t n)
{
	int err = 0;

	if (vhdx_is_present(vhdx_entry(x, n)))
		return 0;
	lock_take(&x->lock);
	if (!vhdx_is_present(*vhdx_slot(x, n)))
		err = allocate_locked(x, n);
	lock_drop(&x->lock);
	return err;
}

/* The whole of a block that is there: its state says that it is not. */
static int give_up(struct vhdx *x, uint32_t n, uint64_t state)
{
	uint64_t off;
	int err = 0;

	lock_take(&x->lock);
	off = *vhdx_slot(x, n) & VHDX_OFFSET;
	if (vhdx_is_present(*vhdx_slot(x, n))) {
		err = vhdio_punch(x->fd, off, x->block_size);
		if (err == EOPNOTSUPP && state == VHDX_ZERO)
			err = 0; /* the space stays, the zeroes are true */
		if (err == 0)
			vhdx_set_locked(x, n, off | state);
	}
	lock_drop(&x->lock);
	return err == EOPNOTSUPP ? 0 : err; /* advice that was not taken */
}

/*
 * Zeroes for a block without a place. An unmapped one may read as what it held before, and its
 * entry in the file may still lead there: then the whole of it has to become zero, which it may.
 */
static void settle_zero(struct vhdx *x, uint32_t n)
{
	if ((vhdx_entry(x, n) & VHDX_STATE) != VHDX_UNMAPPED)
		return;
	lock_take(&x->lock);
	if ((*vhdx_slot(x, n) & VHDX_STATE) == VHDX_UNMAPPED)
		vhdx_set_locked(x, n, (*vhdx_slot(x, n) & VHDX_OFFSET) | VHDX_ZERO);
	lock_drop(&x->lock);
}

static int discard(struct vhdx *x, const struct vhdio_piece *p, uint64_t at)
{
	int err;

	if (x->keep_blocks)
		return 0;
	if (p->n == x->block_size)
		return give_up(x, p->block, VHDX_UNMAPPED);
	err = vhdio_punch(x->fd, at, p->n);
	return err == EOPNOTSUPP ? 0 : err;
}

static int write_zeroes(struct vhdx *x, const struct vhdio_piece *p, uint64_t at, bool unmap)
{
	unmap &= !x->keep_blocks;
	if (unmap && p->n == x->block_size)
		return give_up(x, p->block, VHDX_ZERO);
	return vhdio_zero(x->fd, at, p->n, unmap);
}

static int do_piece(struct vhdx *x, const struct blk_req *r, const struct vhdio_piece *p,
		    struct vhdio_cursor *c)
{
	uint64_t at;

	if (r->op == BLK_WRITE) {
		int err = make_present(x, p->block);

		if (err != 0)
			return err;
	}
	at = vhdx_entry(x, p->block);
	if ((at & VHDX_STATE) == VHDX_PARTIAL) /* salvaged: what was there is lost */
		return EIO;
	if (!vhdx_is_present(at) && r->op != BLK_WRITE) {
		if (r->op == BLK_READ)
			vhdio_cursor_zero(c, p->n);
		if (r->op == BLK_WRITE_ZEROES)
			settle_zero(x, p->block);
		return 0;
	}
	at = (at & VHDX_OFFSET) + p->skip;
	switch (r->op) {
	case BLK_DISCARD:
		return discard(x, p, at);
	case BLK_WRITE_ZEROES:
		return write_zeroes(x, p, at, r->unmap);
	default:
		return vhdio_xfer(x->fd, r->op == BLK_WRITE, c, at, p->n);
	}
}

static int flush(struct vhdx *x)
{
	int err;

	if (!__atomic_load_n(&x->is_dirty, __ATOMIC_SEQ_CST))
		return vhdx_sync(x);
	lock_take(&x->lock);
	err = vhdx_commit_locked(x);
	lock_drop(&x->lock);
	return err;
}

static int execute(struct blk *b, const struct blk_req *r)
{
	struct vhdx *x = b->state;
	struct vhdio_cursor c;
	int err = 0;

	if (r->op == BLK_FLUSH)
		return b->readonly ? 0 : flush(x);
	if (r->op != BLK_READ)
		err = b->readonly ? EROFS : begin(x);
	vhdio_cursor_init(&c, r);
	for (uint64_t done = 0; done < r->length && err == 0;) {
		const struct vhdio_piece p =
			vhdio_piece_at(x->block_size, r->offset + done, r->length - done);

		err = do_piece(x, r, &p, &c);
		done += p.n;
	}
	if (err == 0 && r->op != BLK_READ && !__atomic_load_n(&b->writeback, __ATOMIC_ACQUIRE))
		err = flush(x);
	return err;
}

void vhdx_submit(struct blk *b, struct blk_req *r)
{
	blk_execute(b, r, execute);
}
