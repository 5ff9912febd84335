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
 * known who uses what, no count is lowered; and when an entry leads to behind the
 * end, to just where new blocks would lie, there are none. Where tables contradict each
 * other 3 is left out: a missing flag costs no more than a copy.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "backend/block/qcow2_audit.h"

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
	bool is_hole;
	int err = qcow2_audit_read(a, off, &is_hole);

	for (uint64_t k = 0; k < per && err == 0 && !is_hole; k++) {
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
		const uint64_t at = a->l1_at + (uint64_t)i * 8;

		if (a->l1[i] == 0 || !qcow2_audit_is_place(a, off))
			continue;
		if (to_change(a, a->l1[i], set) && a->count[at >> a->bits] == 1) {
			err = change(a, a->l1[i], at);
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

/* Has a cluster that block @i counts a use? */
static bool has_uses(const struct qcow2_audit *a, uint64_t i)
{
	const uint64_t per = per_block(a), first = i * per;
	const uint64_t end = first + per < a->n ? first + per : a->n;

	return first < a->n && qcow2_audit_next(a, first, end) < end;
}

static int fix_in_place(struct qcow2_audit *a, struct sill_err *e)
{
	int err = 0;

	for (uint32_t i = 0; i < a->rt_size && err == 0; i++) {
		bool changed, is_hole;

		if (a->rt[i] == 0)
			continue;
		err = qcow2_audit_read(a, a->rt[i], &is_hole);
		if (err == 0 && is_hole) {
			if (!has_uses(a, i))
				continue;
			memset(a->buf, 0, a->cluster);
		}
		if (err == 0 && !right_counts(a, i, a->buf, &changed))
			return too_many(a, e);
		if (err == 0 && changed)
			err = qcow2_pwrite(&a->file, a->buf, a->cluster, a->rt[i]);
	}
	if (err == 0)
		err = qcow2_sync(&a->file);
	return err != 0 ? sill_err_sys(e, err, "refcounts of '%s'", a->c->path) : 0;
}

/*
 * The new blocks and their table: behind the end of the file, where certainly nobody has anything. A
 * device ends where it ends: there they go to where nobody has been found to have something.
 */
struct rebuild {
	uint64_t base;          /* the first cluster of them */
	uint64_t blocks, table; /* clusters */
	uint64_t covered;       /* entries of the table that are needed */
	uint64_t *rt;           /* owned; big-endian */
};

static uint64_t new_end(const struct rebuild *r)
{
	return r->base + r->blocks + r->table;
}

/* Has block @i something to count? */
static bool is_needed(const struct qcow2_audit *a, const struct rebuild *r, uint64_t i)
{
	const uint64_t per = per_block(a);

	return has_uses(a, i) || (i * per < new_end(r) && (i + 1) * per > r->base);
}

/* The first @n clusters in a row without a use, now or before; a->n: there are none. */
static uint64_t find_row(const struct qcow2_audit *a, uint64_t n)
{
	uint64_t from = 1, c;

	for (c = from; c < a->n && c - from < n; c++)
		/* The old refcounts are metadata still: they are good until the header changes over. */
		if (a->count[c] != 0 || qcow2_audit_is_meta(a, c))
			from = c + 1;
	return c - from == n ? from : a->n;
}

static int plan(struct qcow2_audit *a, struct rebuild *r)
{
	const uint64_t per = per_block(a);

	/* They grow from round to round, for what is needed only grows with them. */
	for (r->blocks = r->table = 1;;) {
		uint64_t blocks = 0, table;

		r->base = a->is_device ? find_row(a, r->blocks + r->table) : a->n;
		if (a->is_device && (r->base == a->n || a->unsure))
			return ENOSPC;
		r->covered = (new_end(r) + per - 1) / per;
		if (r->covered < (a->n + per - 1) / per)
			r->covered = (a->n + per - 1) / per;
		table = (r->covered * 8 + a->cluster - 1) >> a->bits;
		if (table << a->bits > QCOW2_MAX_RT)
			return EFBIG;
		for (uint64_t i = 0; i < r->covered; i++)
			blocks += is_needed(a, r, i);
		if (blocks <= r->blocks && table <= r->table)
			break;
		r->blocks = blocks > r->blocks ? blocks : r->blocks;
		r->table = table > r->table ? table : r->table;
	}
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
	const uint64_t per = per_block(a), end = new_end(r);
	uint64_t at = r->base;
	bool changed;
	int err = 0;

	for (uint64_t i = 0; i < r->covered && err == 0; i++) {
		if (!is_needed(a, r, i))
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
	/* One sector: all of it gets there, or nothing. */
	int err = qcow2_pwrite(&a->file, a->header, QCOW2_HEADER, 0);

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

/* *@ret_done: the counts are right now. */
static int fix_counts(struct qcow2_audit *a, bool *ret_done, struct sill_err *e)
{
	struct rebuild r = { .rt = NULL };
	int err;

	*ret_done = true;
	if (a->bad_blocks == 0)
		return fix_in_place(a, e);
	err = plan(a, &r);
	/* An entry that leads there must go on leading nowhere. */
	if (err == 0 && !a->is_device && a->wild_from < new_end(&r) << a->bits)
		*ret_done = false;
	else if (err == 0)
		err = rebuild(a, &r);
	/* The file as it was, if nothing points to what was added. */
	if (err != 0 && !a->is_device && qcow2_be64(a->header + QCOW2_AT_RT_OFFSET) == a->rt_at)
		(void)a->file.io->resize(a->c->fd, (off_t)a->file_size);
	free(r.rt);
	if (err == ERANGE)
		return too_many(a, e);
	return err != 0 ? sill_err_sys(e, err, "new refcounts of '%s'", a->c->path) : 0;
}

int qcow2_mend(struct qcow2_audit *a, struct sill_err *e)
{
	const bool counts = a->wrong_low + a->wrong_high + a->wrong_behind + a->bad_blocks != 0;
	uint64_t marks = 0;
	bool done = true;
	int err = 0;

	/* Whatever else there may be, no count is too low then. */
	if (!a->left)
		marks |= a->incompat & QCOW2_INCOMPAT_DIRTY;
	if (!a->unsure)
		marks |= a->incompat & QCOW2_INCOMPAT_CORRUPT;
	/* What is written from here on may have been a hole. */
	a->hole_from = a->hole_to = 0;
	/* From here on the counts are those that are to be. */
	if (a->bad_blocks != 0)
		forget_old(a);
	if (counts || a->wrong_set + a->wrong_clear != 0)
		err = fix_flags(a, false);
	if (err == 0 && counts && fix_counts(a, &done, e) < 0)
		return -1;
	/* A table that nobody could read may be taken for data by what leads there: it stays as it is. */
	if (err == 0 && done && !a->left && (counts || a->wrong_set + a->wrong_clear != 0))
		err = fix_flags(a, true);
	if (err == 0 && marks != 0) {
		qcow2_put_be64(a->header + QCOW2_AT_INCOMPAT, a->incompat & ~marks);
		err = header_put(a);
	}
	return err != 0 ? sill_err_sys(e, err, "repair of '%s'", a->c->path) : 0;
}
