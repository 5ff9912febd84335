/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_mend.c - refcounts and flags of a qcow2 image set right.
 *
 *	1  flags "ours alone" that are not true are taken away: from now on a
 *	   writer copies such a cluster instead of writing into it; sync
 *	2  the counts; sync. In place: raising a count is safe at any time, and
 *	   lowering it to the number of uses too. Where a refcount block is missing
 *	   or cannot be used, all of them and their table are written behind the
 *	   end of the file; sync; and the header is switched to them
 *	3  flags that are missing; sync
 *	4  the marks "dirty" and "corrupt" in the header, if nothing is left to do
 *
 * So a crash at any instant leaves an image that is no worse. When it is not
 * known who uses what, no count is lowered.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "backend/block/qcow2_check.h"

static uint64_t per_block(const struct qcow2_audit *a)
{
	return (uint64_t)a->cluster * 8 >> a->ref_order;
}

/* --- flags ----------------------------------------------------------------- */

/* Does the flag of @entry have to become @set? */
static bool to_change(const struct qcow2_audit *a, uint64_t entry, bool set)
{
	const uint64_t off = entry & QCOW2_OFFSET;

	if ((entry & QCOW2_COMPRESSED) != 0 || !qcow2_audit_is_place(a, off) ||
	    ((entry & QCOW2_COPIED) != 0) == set)
		return false;
	return (a->count[off >> a->bits] == 1) == set;
}

static int change(struct qcow2_audit *a, uint64_t entry, uint64_t at)
{
	uint8_t word[8];

	qcow2_put_be64(word, entry ^ QCOW2_COPIED);
	return qcow2_pwrite(&a->file, word, sizeof(word), at);
}

/* The L2 table of L1 entry @i. */
static int flags_of_table(struct qcow2_audit *a, uint32_t i, uint64_t off, bool set)
{
	const bool outside = (a->incompat & QCOW2_INCOMPAT_DATA_FILE) != 0;
	const uint64_t per = a->cluster / a->entry_size;
	int err = qcow2_pread(&a->file, a->buf, a->cluster, off);

	for (uint64_t k = 0; k < per && err == 0; k++) {
		const uint64_t at = k * a->entry_size, entry = qcow2_be64(a->buf + at);
		const bool wrong = outside ? set && qcow2_audit_lacks_flag(a, entry, i * per + k)
					   : to_change(a, entry, set);

		if (wrong)
			err = change(a, entry, off + at);
	}
	return err;
}

static int fix_flags(struct qcow2_audit *a, bool set)
{
	int err = 0;

	for (uint32_t i = 0; i < a->l1_size && err == 0; i++) {
		const uint64_t off = a->l1[i] & QCOW2_OFFSET;

		if (a->l1[i] == 0 || !qcow2_audit_is_place(a, off))
			continue;
		if (to_change(a, a->l1[i], set)) {
			err = change(a, a->l1[i], a->l1_at + (uint64_t)i * 8);
			if (err == 0)
				a->l1[i] ^= QCOW2_COPIED;
		}
		/* A table that is something else as well is not touched. */
		if (err == 0 && a->count[off >> a->bits] == 1)
			err = flags_of_table(a, i, off, set);
	}
	return err == 0 ? qcow2_sync(&a->file) : err;
}

/* --- counts ---------------------------------------------------------------- */

static int too_many(const struct qcow2_audit *a, struct sill_err *e)
{
	return sill_err_set(e, SILL_ERR_HOST,
			    "qcow2 image '%s': a cluster has more uses than its refcount has room "
			    "for",
			    a->c->path);
}

/* The right counts of block @i into @block, which holds the old ones. @ret_changed: any. */
static bool right_counts(const struct qcow2_audit *a, uint64_t i, uint8_t *block, bool *ret_changed)
{
	const uint64_t per = per_block(a);
	const unsigned bits = 1u << a->ref_order;

	*ret_changed = false;
	for (uint64_t k = 0; k < per; k++) {
		const uint64_t c = i * per + k, old = qcow2_audit_ref_get(a, block, k);
		uint64_t v = c < a->n ? a->count[c] : 0;

		if (a->unsure && old > v)
			v = old;
		if (bits < 64 && v >> bits != 0)
			return false;
		if (v == old)
			continue;
		qcow2_audit_ref_put(a, block, k, v);
		*ret_changed = true;
	}
	return true;
}

static int fix_in_place(struct qcow2_audit *a, struct sill_err *e)
{
	int err = 0;

	for (uint32_t i = 0; i < a->rt_size && err == 0; i++) {
		bool changed;

		if (a->rt[i] == 0)
			continue;
		err = qcow2_pread(&a->file, a->buf, a->cluster, a->rt[i]);
		if (err == 0 && !right_counts(a, i, a->buf, &changed))
			return too_many(a, e);
		if (err == 0 && changed)
			err = qcow2_pwrite(&a->file, a->buf, a->cluster, a->rt[i]);
	}
	if (err == 0)
		err = qcow2_sync(&a->file);
	return err != 0 ? sill_err_sys(e, err, "refcounts of '%s'", a->c->path) : 0;
}

/* The new blocks and their table, behind the end of the file. */
struct rebuild {
	uint64_t base;          /* the first cluster of them */
	uint64_t blocks, table; /* clusters */
	uint64_t covered;       /* blocks' worth of clusters up to the end */
	uint64_t *rt;           /* owned; big-endian */
};

static bool is_used(const struct qcow2_audit *a, uint64_t block)
{
	const uint64_t per = per_block(a), first = block * per;

	for (uint64_t c = first; c < first + per && c < a->n; c++)
		if (a->count[c] != 0)
			return true;
	return false;
}

static int plan(struct qcow2_audit *a, struct rebuild *r)
{
	const uint64_t per = per_block(a), from = a->n / per;
	uint64_t below = 0;

	r->base = a->n;
	for (uint64_t i = 0; i < from; i++)
		below += is_used(a, i);
	for (r->blocks = r->table = 1;;) {
		const uint64_t end = r->base + r->blocks + r->table;
		uint64_t blocks, table;

		r->covered = (end + per - 1) / per;
		blocks = below + r->covered - from;
		table = (r->covered * 8 + a->cluster - 1) >> a->bits;
		if (blocks == r->blocks && table == r->table)
			break;
		r->blocks = blocks;
		r->table = table;
	}
	if (r->table << a->bits > QCOW2_MAX_RT)
		return EFBIG;
	r->rt = calloc(r->table, a->cluster);
	return r->rt == NULL ? ENOMEM : 0;
}

/* The old table and its blocks are not used any more. */
static void forget_old(struct qcow2_audit *a)
{
	for (uint64_t at = 0; at < (uint64_t)a->rt_size * 8; at += a->cluster)
		a->count[(a->rt_at + at) >> a->bits]--;
	for (uint32_t i = 0; i < a->rt_size; i++)
		if (a->rt[i] != 0)
			a->count[a->rt[i] >> a->bits]--;
}

static int write_blocks(struct qcow2_audit *a, struct rebuild *r)
{
	const uint64_t per = per_block(a), end = r->base + r->blocks + r->table;
	uint64_t at = r->base;
	bool changed;
	int err = 0;

	for (uint64_t i = 0; i < r->covered && err == 0; i++) {
		if (i < r->base / per && !is_used(a, i))
			continue;
		memset(a->buf, 0, a->cluster);
		/* What is not known to be used by nobody keeps the count it has. */
		if (a->unsure && i < a->rt_size && a->rt[i] != 0)
			err = qcow2_pread(&a->file, a->buf, a->cluster, a->rt[i]);
		if (err == 0 && !right_counts(a, i, a->buf, &changed))
			err = ERANGE;
		for (uint64_t c = i * per; c < (i + 1) * per && c < end; c++)
			if (c >= r->base)
				qcow2_audit_ref_put(a, a->buf, c - i * per, 1);
		if (err == 0)
			err = qcow2_pwrite(&a->file, a->buf, a->cluster, at << a->bits);
		qcow2_put_be64(&r->rt[i], at << a->bits);
		at++;
	}
	return err;
}

static int header_put(struct qcow2_audit *a)
{
	int err = qcow2_pwrite(&a->file, a->header, sizeof(a->header), 0);

	return err == 0 ? qcow2_sync(&a->file) : err;
}

static int rebuild(struct qcow2_audit *a, struct rebuild *r)
{
	const uint64_t table = r->base + r->blocks;
	int err = write_blocks(a, r);

	if (err == 0)
		err = qcow2_pwrite(&a->file, r->rt, r->table << a->bits, table << a->bits);
	if (err == 0)
		err = qcow2_sync(&a->file);
	if (err != 0)
		return err;
	qcow2_put_be64(a->header + QCOW2_AT_RT_OFFSET, table << a->bits);
	qcow2_put_be32(a->header + QCOW2_AT_RT_CLUSTERS, (uint32_t)r->table);
	return header_put(a);
}

static int fix_counts(struct qcow2_audit *a, struct sill_err *e)
{
	struct rebuild r = { .rt = NULL };
	int err;

	if (a->bad_blocks == 0)
		return fix_in_place(a, e);
	err = plan(a, &r);
	if (err == 0)
		err = rebuild(a, &r);
	/* The file as it was, if nothing points to what was added. */
	if (err != 0 && qcow2_be64(a->header + QCOW2_AT_RT_OFFSET) == a->rt_at)
		(void)a->file.io->resize(a->c->fd, (off_t)a->file_size);
	free(r.rt);
	if (err == ERANGE)
		return too_many(a, e);
	return err != 0 ? sill_err_sys(e, err, "new refcounts of '%s'", a->c->path) : 0;
}

int qcow2_mend(struct qcow2_audit *a, struct sill_err *e)
{
	const uint64_t marks = QCOW2_INCOMPAT_DIRTY | QCOW2_INCOMPAT_CORRUPT;
	const bool counts = a->wrong_low + a->wrong_high + a->bad_blocks != 0;
	int err = 0;

	/* From here on the counts are those that are to be. */
	if (a->bad_blocks != 0)
		forget_old(a);
	if (counts || a->wrong_set + a->wrong_clear != 0)
		err = fix_flags(a, false);
	if (err == 0 && counts && fix_counts(a, e) < 0)
		return -1;
	if (err == 0 && (counts || a->wrong_set + a->wrong_clear != 0))
		err = fix_flags(a, true);
	if (err == 0 && (a->incompat & marks) != 0 && !a->unsure) {
		qcow2_put_be64(a->header + QCOW2_AT_INCOMPAT, a->incompat & ~marks);
		err = header_put(a);
	}
	return err != 0 ? sill_err_sys(e, err, "repair of '%s'", a->c->path) : 0;
}
