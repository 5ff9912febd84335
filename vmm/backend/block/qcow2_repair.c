/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_repair.c - refcounts counted anew.
 *
 * A writer with lazy refcounts sets the dirty bit and lets them be wrong; it
 * clears the bit when it closes the image. When it did not come to that, the
 * L1 and L2 tables are right and the refcounts are what follows from them.
 * The bit stays set until all of it is on the medium, so a crash in here only
 * means to begin again.
 *
 * New refcount blocks are put behind the end of the file: what is free before
 * it is what we are about to find out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "backend/block/qcow2.h"
#include "base/log.h"

enum { MAX_CLUSTERS = 1 << 28 }; /* 512 MiB of counters; 16 TiB with the usual clusters */

struct count {
	uint16_t *of; /* per host cluster */
	uint64_t n;
};

static int add(struct count *c, uint64_t first, uint64_t n)
{
	for (uint64_t i = first; i < first + n; i++) {
		if (i >= c->n || c->of[i] == UINT16_MAX)
			return EIO;
		c->of[i]++;
	}
	return 0;
}

static uint64_t clusters(const struct qcow2 *q, uint64_t bytes)
{
	return (bytes + q->cluster_size - 1) >> q->cluster_bits;
}

static int count_entry(struct qcow2 *q, struct count *c, uint64_t entry)
{
	uint64_t off, n, end;

	if ((entry & QCOW2_COMPRESSED) != 0) {
		qcow2_packed_extent(q, entry, &off, &n);
		end = off + n < q->file_end ? off + n : q->file_end;
		return add(c, off >> q->cluster_bits,
			   ((end - 1) >> q->cluster_bits) - (off >> q->cluster_bits) + 1);
	}
	if ((entry & QCOW2_OFFSET) == 0 || q->data_file != &q->file)
		return 0;
	return add(c, (entry & QCOW2_OFFSET) >> q->cluster_bits, 1);
}

static int count_table(struct qcow2 *q, struct count *c, uint32_t index, uint8_t *table)
	REQUIRES(q->lock)
{
	int err = qcow2_pread(&q->file, table, q->cluster_size, q->l1[index] & QCOW2_OFFSET);

	for (uint64_t i = 0; i < 1ull << q->l2_bits && err == 0; i++) {
		uint64_t entry, bitmap;

		err = qcow2_l2_entry(q, table, ((uint64_t)index << q->l2_bits) + i, &entry,
				     &bitmap);
		if (err == 0)
			err = count_entry(q, c, entry);
	}
	return err;
}

static int count_all(struct qcow2 *q, struct count *c, uint8_t *table) REQUIRES(q->lock)
{
	int err = add(c, 0, 1);

	if (err == 0)
		err = add(c, q->l1_offset >> q->cluster_bits,
			  clusters(q, (uint64_t)q->l1_size * 8));
	if (err == 0)
		err = add(c, q->rt_offset >> q->cluster_bits,
			  clusters(q, (uint64_t)q->rt_size * 8));
	for (uint32_t i = 0; i < q->rt_size && err == 0; i++)
		if (q->rt[i] != 0)
			err = add(c, q->rt[i] >> q->cluster_bits, 1);
	for (uint32_t i = 0; i < q->l1_size && err == 0; i++) {
		if (q->l1[i] == 0)
			continue;
		err = add(c, (q->l1[i] & QCOW2_OFFSET) >> q->cluster_bits, 1);
		if (err == 0)
			err = count_table(q, c, i, table);
	}
	return err;
}

/* Is a cluster that an entry calls its own one? */
static int check_owned(struct qcow2 *q, const struct count *c, uint8_t *table) REQUIRES(q->lock)
{
	for (uint32_t i = 0; i < q->l1_size; i++) {
		int err;

		if (q->l1[i] == 0 || q->data_file != &q->file)
			continue;
		err = qcow2_pread(&q->file, table, q->cluster_size, q->l1[i] & QCOW2_OFFSET);
		if (err != 0)
			return err;
		for (uint64_t k = 0; k < 1ull << q->l2_bits; k++) {
			const uint64_t entry = qcow2_be64(table + k * q->entry_size);
			const uint64_t host = entry & QCOW2_OFFSET;

			if ((entry & QCOW2_COMPRESSED) == 0 && (entry & QCOW2_COPIED) != 0 &&
			    c->of[host >> q->cluster_bits] != 1)
				return qcow2_set_corrupt(q, "a cluster is used twice", host);
		}
	}
	return 0;
}

static int store(struct qcow2 *q, const struct count *c) REQUIRES(q->lock)
{
	uint64_t changed = 0;

	for (uint64_t i = 0; i < c->n; i++) {
		uint64_t v;
		int err;

		if (q->rt_size <= i >> q->rb_bits || q->rt[i >> q->rb_bits] == 0) {
			if (c->of[i] == 0)
				continue;
			while (q->rt_size <= i >> q->rb_bits || q->rt[i >> q->rb_bits] == 0) {
				err = qcow2_block_add(q, (uint32_t)(i >> q->rb_bits));
				if (err != 0)
					return err;
			}
		}
		err = qcow2_ref_get(q, i, &v);
		/* Bitmaps use clusters that are in no L2 table: those are left alone. */
		if (err == 0 && v != c->of[i] && (v < c->of[i] || !q->has_bitmaps)) {
			err = qcow2_ref_set(q, i, c->of[i]);
			changed++;
		}
		if (err != 0)
			return err;
	}
	log_line(LOG_INFO,
		 "%s: was not closed by its last user; refcounts of %llu clusters set right",
		 q->b->path, (unsigned long long)changed);
	return 0;
}

static int repair_locked(struct qcow2 *q, struct count *c, uint8_t *table) REQUIRES(q->lock)
{
	int err = count_all(q, c, table);

	if (err == 0)
		err = check_owned(q, c, table);
	if (err == 0) {
		q->free_hint = c->n;
		err = store(q, c);
	}
	if (err == 0)
		err = qcow2_commit(q);
	if (err == 0) {
		q->incompat &= ~(uint64_t)QCOW2_INCOMPAT_DIRTY;
		err = qcow2_header_write(q);
	}
	if (err == 0)
		err = qcow2_sync(&q->file);
	q->free_hint = 0;
	memset(q->rt_full, 0, q->rt_size);
	return err;
}

int qcow2_repair(struct qcow2 *q, struct sill_err *e)
{
	struct count c = { .n = clusters(q, q->file_end) };
	uint8_t *table;
	int err;

	if (c.n > MAX_CLUSTERS) {
		(void)sill_err_set(e, SILL_ERR_LIMIT,
				   "qcow2 image '%s' was not closed and is too large to be set "
				   "right here",
				   q->b->path);
		return sill_err_hint(e, "sill image check -f qcow2 --repair '%s'", q->b->path);
	}
	c.of = mmap(NULL, c.n * sizeof(*c.of), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (c.of == MAP_FAILED)
		return sill_err_sys(e, errno, "qcow2 image '%s'", q->b->path);
	table = aligned_alloc(4096, q->cluster_size < 4096 ? 4096 : q->cluster_size);
	if (table == NULL) {
		err = ENOMEM;
	} else {
		lock_take(&q->lock);
		err = repair_locked(q, &c, table);
		lock_drop(&q->lock);
	}
	free(table);
	(void)munmap(c.of, c.n * sizeof(*c.of));
	if (err == 0)
		return 0;
	(void)sill_err_sys(e, err, "qcow2 image '%s' was not closed and cannot be set right",
			   q->b->path);
	return sill_err_hint(e, "save a copy, then: sill image check -f qcow2 --repair '%s'",
			     q->b->path);
}
