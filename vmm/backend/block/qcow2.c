/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2.c - qcow2 images, versions 2 and 3: open, close, requests.
 *
 * A request is one transfer where that is all it needs (qcow2_fast.c), else
 * one call, which blocks: on a thread of the pool, or on the caller's when
 * there is none. How the parts fit together is in qcow2.h.
 *
 * Never written for a guest: compressed clusters. Never at all: the lazy
 * refcounts' dirty bit (there is nothing to gain: the barrier that saves a
 * refcount is needed for the data). Bitmaps stay good until the first write clears their bit.
 */
#include "backend/block/qcow2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"

enum {
	L2_BUDGET = 32 * 1024 * 1024, /* 256 GiB of disk with clusters of 64 KiB */
	RB_BUDGET = 4 * 1024 * 1024,
};

static int bad_table(struct qcow2 *q, struct sill_err *e, const char *what, uint32_t index)
{
	(void)sill_err_set(e, SILL_ERR_HOST, "qcow2 image '%s': %s %u is not where one can be",
			   q->b->path, what, index);
	if (!q->b->readonly)
		return sill_err_hint(e, "sill image check '%s' tells more", q->b->path);
	return sill_err_hint(e,
			     "sill image check '%.60s' tells more, and sill image convert "
			     "--salvage copies what can be read",
			     q->b->path);
}

static int read_table(struct qcow2 *q, uint64_t *table, uint32_t count, uint64_t off,
		      struct sill_err *e)
{
	int err = qcow2_pread(&q->file, table, (size_t)count * 8, off);

	if (err != 0)
		return sill_err_sys(e, err, "tables of '%s'", q->b->path);
	for (uint32_t i = 0; i < count; i++)
		table[i] = qcow2_be64(&table[i]);
	return 0;
}

/* Tables lie inside the file, behind the header, and (for a writer) none on top of another. */
static int claim(struct qcow2 *q, uint64_t entry, uint64_t known, const char *what, uint32_t index,
		 struct sill_err *e)
{
	const uint64_t off = entry & QCOW2_OFFSET;
	const uint64_t cluster = off >> q->cluster_bits;
	int err;

	if ((entry & ~known) != 0 || off == 0 || off % q->cluster_size != 0 || off >= q->file_end ||
	    q->cluster_size > q->file_end - off)
		return bad_table(q, e, what, index);
	if (q->b->readonly)
		return 0;
	if (qcow2_is_meta(q, cluster))
		return bad_table(q, e, what, index);
	err = qcow2_meta_add(q, cluster);
	return err != 0 ? sill_err_sys(e, err, "disk '%s'", q->b->path) : 0;
}

/* What can be had of the L1 table, in sectors; the rest, and what leads nowhere, is lost. */
static void salvage_l1(struct qcow2 *q)
{
	struct sill_err unused = { 0 };

	for (uint32_t i = 0; i < q->l1_size; i++) {
		const uint64_t at = q->l1_offset + (uint64_t)i * 8;
		const uint32_t n = q->l1_size - i < 64 ? q->l1_size - i : 64;

		if (i % 64 == 0 && read_table(q, q->l1 + i, n, at, &unused) < 0)
			for (uint32_t k = 0; k < n; k++)
				q->l1[i + k] = QCOW2_LOST;
		if (i >= q->l1_known || at > q->file_end - 8 ||
		    (q->l1[i] != 0 &&
		     claim(q, q->l1[i], QCOW2_OFFSET | QCOW2_COPIED, "L2 table", i, &unused) < 0))
			q->l1[i] = QCOW2_LOST;
	}
}

static int load_tables(struct qcow2 *q, struct sill_err *e)
{
	const uint64_t l1_end = q->l1_offset + (uint64_t)q->l1_size * 8;
	const uint64_t rt_end = q->rt_offset + (uint64_t)q->rt_size * 8;

	if (!q->b->salvage && q->l1_offset < rt_end && q->rt_offset < l1_end)
		return bad_table(q, e, "the refcount table on top of L1 table", 0);
	q->l1 = calloc(q->l1_size, sizeof(*q->l1));
	q->rt = calloc(q->rt_size, sizeof(*q->rt));
	q->rt_full = calloc(q->rt_size, 1);
	q->pending = calloc(QCOW2_MAX_PENDING, sizeof(*q->pending));
	if (q->l1 == NULL || q->rt == NULL || q->rt_full == NULL || q->pending == NULL ||
	    qcow2_cache_init(&q->l2, q, q->l1_size, L2_BUDGET) != 0 ||
	    qcow2_cache_init(&q->rb, q, q->rt_size, RB_BUDGET) != 0)
		return sill_err_sys(e, ENOMEM, "disk '%s'", q->b->path);
	if (q->b->salvage) {
		salvage_l1(q);
		return 0;
	}
	if (read_table(q, q->l1, q->l1_size, q->l1_offset, e) < 0)
		return -1;
	for (uint32_t i = 0; i < q->l1_size; i++)
		if (q->l1[i] != 0 &&
		    claim(q, q->l1[i], QCOW2_OFFSET | QCOW2_COPIED, "L2 table", i, e) < 0)
			return -1;
	if (q->b->readonly)
		return 0;
	if (read_table(q, q->rt, q->rt_size, q->rt_offset, e) < 0)
		return -1;
	for (uint32_t i = 0; i < q->rt_size; i++)
		if (q->rt[i] != 0 && claim(q, q->rt[i], QCOW2_OFFSET, "refcount block", i, e) < 0)
			return -1;
	return 0;
}

static void release(struct qcow2 *q)
{
	while (q->scratch != NULL) {
		struct qcow2_scratch *s = q->scratch;
		const size_t cluster = q->cluster_size < 4096 ? 4096 : q->cluster_size;

		q->scratch = s->next;
		qcow2_packed_fini(q, s);
		(void)munmap(s->mem, 5 * cluster);
		free(s);
	}
	qcow2_cache_fini(&q->l2);
	qcow2_cache_fini(&q->rb);
	free(q->l1);
	free(q->rt);
	free(q->rt_full);
	free(q->meta);
	free(q->pending);
	qcow2_file_fini(&q->file);
	qcow2_file_fini(&q->data);
	qcow2_file_fini(&q->backing_file);
	ranges_fini(&q->ranges);
	(void)pthread_cond_destroy(&q->wake);
	lock_fini(&q->lock);
}

/* The files behind the image; what is below is qcow2 or raw. */
static int open_files(struct qcow2 *q, struct sill_err *e)
{
	struct blk *b = q->b;
	int err = qcow2_file_init(&q->file, b->fd, b->direct);

	q->data_file = &q->file;
	if (err == 0 && b->data != NULL) {
		err = qcow2_file_init(&q->data, b->data->fd, b->data->direct);
		q->data_file = &q->data;
	}
	q->base = b->backing;
	if (err == 0 && q->base != NULL) {
		if (q->base->ops == &blk_qcow2_ops)
			q->backing = q->base->state;
		else if (q->base->ops == &blk_raw_ops)
			err = qcow2_file_init(&q->backing_file, q->base->fd, q->base->direct);
		else
			return sill_err_set(e, SILL_ERR_HOST,
					    "qcow2 image '%s': a backing file is raw or qcow2, "
					    "not %s",
					    b->path, q->base->format);
	}
	return err != 0 ? sill_err_sys(e, err, "disk '%s'", b->path) : 0;
}

static int qcow2_open(struct blk *b, struct sill_err *e)
{
	struct qcow2 *q = b->state;

	q->b = b;
	lock_init(&q->lock, RANK_BACKEND);
	(void)pthread_cond_init(&q->wake, NULL);
	ranges_init(&q->ranges);
	if (open_files(q, e) < 0 || qcow2_header_read(q, e) < 0)
		goto fail;
	if (!b->readonly && (q->incompat & QCOW2_INCOMPAT_DIRTY) != 0 &&
	    (qcow2_repair(q, e) < 0 || qcow2_header_read(q, e) < 0))
		goto fail;
	if (load_tables(q, e) < 0)
		goto fail;
	if (!b->readonly && (q->autoclear & QCOW2_AUTOCLEAR_BITMAPS) != 0)
		log_line(LOG_WARN,
			 "%s: has dirty bitmaps; they lose their meaning with the first write",
			 b->path);
	b->phys_size = q->cluster_size < 4096 ? 512 : 4096;
	b->can_discard = !b->readonly;
	return 0;

fail:
	release(q);
	return -1;
}

static int qcow2_close(struct blk *b)
{
	struct qcow2 *q = b->state;
	int err = 0;

	if (!b->readonly) {
		lock_take(&q->lock);
		err = qcow2_commit(q);
		/* What the first one gave up: its counts go down now. */
		if (err == 0 && !q->corrupt)
			err = qcow2_commit(q);
		lock_drop(&q->lock);
	}
	release(q);
	return err;
}

static int execute(struct blk *b, const struct blk_req *r)
{
	struct qcow2 *q = b->state;
	int err;

	if (b->readonly && r->op != BLK_READ && r->op != BLK_FLUSH)
		return EROFS;
	if (r->op == BLK_FLUSH)
		return qcow2_flush(q);
	if (r->length == 0)
		return 0;
	if (r->op == BLK_READ)
		return qcow2_read(q, r->iov, r->iov_count, 0, r->offset, r->length);
	if (r->op == BLK_WRITE)
		err = qcow2_write(q, r->iov, r->iov_count, r->offset, r->length);
	else
		err = qcow2_zero(q, r->offset, r->length, r->op == BLK_DISCARD, r->unmap);
	if (err == 0 && !__atomic_load_n(&b->writeback, __ATOMIC_ACQUIRE))
		err = qcow2_flush(q);
	return err;
}

static void qcow2_submit(struct blk *b, struct blk_req *r)
{
	if (r->aio == NULL || !aio_is_uring(r->aio) || !qcow2_start(b->state, r))
		blk_execute(b, r, execute);
}

const struct blk_ops blk_qcow2_ops = {
	.format = "qcow2",
	.state_size = sizeof(struct qcow2),
	.open = qcow2_open,
	.submit = qcow2_submit,
	.resize = qcow2_resize,
	.status = qcow2_status,
	.close = qcow2_close,
};
