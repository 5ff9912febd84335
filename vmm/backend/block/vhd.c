/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhd.c - Virtual Hard Disk images, fixed and dynamic (specification v1.0, 2006).
 *
 *   fixed     data, footer
 *   dynamic   copy of the footer, header, BAT, blocks ..., footer
 *
 * Everything is big-endian. A block is a bitmap of its sectors, padded to a
 * sector, and the data; the BAT holds where it begins, in sectors, or all ones.
 * A sector whose bit is clear reads as zeroes. The disk's size is the footer's
 * current size: the geometry beside it is rounded, and what Virtual PC went by.
 *
 * Data I/O takes no lock. An entry of the BAT changes once, from "not there",
 * under the lock. A block is added behind the last one: a footer behind it, its
 * bitmap (over the old footer), and at the next flush, once all that is on the
 * medium, its entry in the file's BAT. Whatever is cut off in between leaves an
 * image that opens, at worst with the footer's copy at 0, and a block that
 * nobody refers to, whose space the next writer takes again.
 */
#include "backend/block/vhd.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

/* --- opening ------------------------------------------------------------ */

/* The footer, or its copy. */
static int read_footer(struct blk *b, uint64_t size, struct sill_err *e)
{
	struct vhd *v = b->state;
	enum vhd_place place;
	int err;

	if (size < VHD_FOOTER)
		return vhdio_damaged(b, e, "it is too short");
	err = vhd_read_footer(b->fd, size, &v->foot, &place);
	if (err != 0)
		return vhdio_fail(b, err, "footer", e);
	if (place == VHD_NOWHERE) {
		const bool vhdx = memcmp(v->foot.cookie, "vhdxfile", 8) == 0;

		(void)vhdio_damaged(b, e, "there is no footer at its end");
		if (vhdx)
			return sill_err_hint(e, "it is a vhdx image: format: vhdx");
		if (b->salvage)
			return sill_err_hint(
				e, "a fixed image begins with the disk's bytes: -f raw has those");
		return -1;
	}
	v->no_footer = place == VHD_COPY;
	v->footer_off = v->no_footer ? (size + VHD_SECTOR - 1) / VHD_SECTOR * VHD_SECTOR
				     : size - VHD_FOOTER + (place == VHD_CUT);
	return 0;
}

struct extent {
	uint64_t from, to;
};

static int compare_extents(const void *pa, const void *pb)
{
	const struct extent *a = pa, *b = pb;

	return a->from < b->from ? -1 : a->from > b->from;
}

/* Where the BAT ends as its header has it: longer than the disk needs, it is what others read. */
static uint64_t table_end(const struct vhd *v)
{
	const uint64_t n = ((uint64_t)be32_get(v->head.max_entries) * 4 + VHD_SECTOR - 1) /
			   VHD_SECTOR * VHD_SECTOR;

	return v->table_offset + n;
}

/* Nothing lies on anything else, and all of it before the footer. Finds v->next. */
static int check_extents(struct blk *b, uint64_t header, struct sill_err *e)
{
	struct vhd *v = b->state;
	struct extent *x = calloc((size_t)v->entries + 3, sizeof(*x));
	bool overlap = false;
	size_t n = 0;

	if (x == NULL)
		return vhdio_fail(b, ENOMEM, "block table", e);
	x[n++] = (struct extent){ 0, VHD_FOOTER };
	x[n++] = (struct extent){ header, header + VHD_HEADER };
	x[n++] = (struct extent){ v->table_offset, v->table_offset + v->sectors * VHD_SECTOR };
	for (uint32_t i = 0; i < v->entries; i++) {
		const uint64_t at = (uint64_t)v->bat[i] * VHD_SECTOR;

		if (v->bat[i] != VHD_NOT_THERE && b->salvage &&
		    at + v->bitmap_size + VHD_SECTOR > v->footer_off)
			v->bat[i] = VHD_LOST; /* of one that was cut something can be read */
		else if (v->bat[i] != VHD_NOT_THERE)
			x[n++] = (struct extent){ at, at + v->bitmap_size + v->block_size };
	}
	qsort(x, n, sizeof(*x), compare_extents);
	for (size_t i = 1; i < n; i++)
		overlap |= x[i].from < x[i - 1].to;
	v->next = (x[n - 1].to + VHD_SECTOR - 1) / VHD_SECTOR * VHD_SECTOR;
	overlap |= x[n - 1].to > v->footer_off;
	if (table_end(v) > v->next && table_end(v) <= v->footer_off)
		v->next = table_end(v);
	free(x);
	return overlap && !b->salvage
		       ? vhdio_damaged(b, e, "its blocks overlap or lie outside of the file")
		       : 0;
}

static int read_table(struct blk *b, struct sill_err *e)
{
	struct vhd *v = b->state;
	int err;

	v->sectors = (v->entries + VHD_PER_SECTOR - 1) / VHD_PER_SECTOR;
	v->dirty = calloc(VHD_MAX_ENTRIES / VHD_PER_SECTOR, 1);
	v->bitmap = calloc(1, v->bitmap_size);
	err = v->dirty == NULL || v->bitmap == NULL ? ENOMEM : 0;
	if (err == 0)
		err = vhdio_table_init(&v->bat_table, VHD_MAX_ENTRIES * sizeof(*v->bat));
	if (err == 0)
		err = vhdio_table_init(&v->full_table, VHD_MAX_ENTRIES);
	if (err == 0)
		err = vhdio_table_grow(&v->bat_table, (size_t)v->sectors * VHD_SECTOR);
	if (err == 0)
		err = vhdio_table_grow(&v->full_table, v->entries);
	if (err != 0)
		return vhdio_fail(b, err, "block table", e);
	v->bat = v->bat_table.mem;
	v->full = v->full_table.mem;
	err = vhdio_read(b->fd, v->bat, (size_t)v->sectors * VHD_SECTOR, v->table_offset);
	if (err != 0)
		return vhdio_fail(b, err, "block table", e);
	for (uint32_t i = 0; i < v->sectors * VHD_PER_SECTOR; i++)
		v->bat[i] = __builtin_bswap32(v->bat[i]);
	return 0;
}

/* A writer finds two footers that say the same: that of the end counts. */
static int mend_copy(struct vhd *v)
{
	struct vhd_footer copy;
	int err = vhdio_read(v->fd, &copy, sizeof(copy), 0);

	if (err != 0 || memcmp(&copy, &v->foot, sizeof(copy)) == 0)
		return err;
	err = vhdio_write(v->fd, &v->foot, sizeof(v->foot), 0);
	return err == 0 ? vhd_sync(v) : err;
}

static int open_dynamic(struct blk *b, uint64_t size, struct sill_err *e)
{
	struct vhd *v = b->state;
	const uint64_t at = be64_get(v->foot.data_offset);
	uint64_t entries, table;
	struct vhd_header h;
	int err;

	v->head_off = at;
	if (at > size || size - at < VHD_HEADER || at % VHD_SECTOR != 0)
		return vhdio_damaged(b, e, "its header lies outside of the file");
	err = vhdio_read(b->fd, &h, sizeof(h), at);
	if (err != 0)
		return vhdio_fail(b, err, "header", e);
	if (memcmp(h.cookie, "cxsparse", 8) != 0 ||
	    be32_get(h.checksum) !=
		    vhd_checksum(&h, sizeof(h), offsetof(struct vhd_header, checksum)))
		return vhdio_damaged(b, e, "the header is damaged");
	if (be32_get(h.version) >> 16 != VHD_VERSION)
		return sill_err_set(e, SILL_ERR_LIMIT,
				    "disk '%s' has a header of an unknown version", b->path);
	v->head = h;
	v->block_size = be32_get(h.block_size);
	if (v->block_size < VHD_SECTOR || v->block_size > VHD_MAX_BLOCK ||
	    (v->block_size & (v->block_size - 1)) != 0)
		return vhdio_damaged(b, e, "the block size is not a power of two up to 256 MiB");
	v->bitmap_size =
		(v->block_size / VHD_SECTOR / 8 + VHD_SECTOR - 1) / VHD_SECTOR * VHD_SECTOR;
	if (v->bitmap_size == 0)
		v->bitmap_size = VHD_SECTOR;
	entries = b->capacity / v->block_size + (b->capacity % v->block_size != 0);
	if (entries > be32_get(h.max_entries))
		return vhdio_damaged(b, e, "the block table is shorter than the disk");
	if (entries > VHD_MAX_ENTRIES)
		return sill_err_set(e, SILL_ERR_LIMIT,
				    "disk '%s' has %llu blocks; at most %d are supported", b->path,
				    (unsigned long long)entries, VHD_MAX_ENTRIES);
	v->entries = (uint32_t)entries;
	v->table_offset = table = be64_get(h.table_offset);
	if (table % VHD_SECTOR != 0 || table > size ||
	    size - table < (entries + 127) / 128 * VHD_SECTOR)
		return vhdio_damaged(b, e, "the block table lies outside of the file");
	if (read_table(b, e) < 0 || check_extents(b, at, e) < 0)
		return -1;
	if (b->readonly)
		return 0;
	/* Now that it is known to be an image, not a part of one that is still being copied. */
	err = v->no_footer ? vhdio_write(b->fd, &v->foot, sizeof(v->foot), v->footer_off) : 0;
	if (err == 0)
		err = mend_copy(v);
	return err != 0 ? vhdio_fail(b, err, "footer", e) : 0;
}

/* By the footer that v->foot is. */
static int open_through(struct blk *b, uint64_t size, struct sill_err *e)
{
	struct vhd *v = b->state;

	if (be32_get(v->foot.version) >> 16 != VHD_VERSION)
		return vhdio_unsupported(b, e, "has a footer of an unknown version");
	b->capacity = be64_get(v->foot.current_size);
	if (b->capacity == 0 || b->capacity % VHD_SECTOR != 0)
		return vhdio_damaged(b, e, "the size is not a multiple of 512");
	switch (be32_get(v->foot.type)) {
	case VHD_FIXED:
		if (b->capacity > v->footer_off && !b->salvage)
			return vhdio_damaged(b, e, "the file is shorter than the disk");
		return 0;
	case VHD_DYNAMIC:
		v->dynamic = true;
		return open_dynamic(b, size, e);
	case VHD_DIFFERENCING:
		(void)vhdio_unsupported(b, e, "is a differencing vhd");
		return sill_err_hint(e, "merge it with its parent, or convert the chain to qcow2");
	default:
		return vhdio_damaged(b, e, "its footer has an unknown disk type");
	}
}

static void free_tables(struct vhd *v)
{
	vhdio_table_fini(&v->bat_table);
	vhdio_table_fini(&v->full_table);
	free(v->dirty);
	free(v->bitmap);
	v->dirty = v->bitmap = NULL;
}

/*
 * The footer at the end is one, but leads nowhere. Its copy may lead to the disk; then that one
 * counts, and a writer puts it into the other's place once it has.
 */
static int open_through_copy(struct blk *b, uint64_t size, struct sill_err *e)
{
	struct vhd *v = b->state;
	struct sill_err why = { 0 };
	struct vhd_footer copy;

	if (e->code == SILL_ERR_LIMIT || e->sys != 0 || v->no_footer ||
	    be32_get(v->foot.type) != VHD_DYNAMIC ||
	    vhdio_read(b->fd, &copy, sizeof(copy), 0) != 0 || !vhd_is_copy(&copy) ||
	    memcmp(&copy, &v->foot, sizeof(copy)) == 0)
		return -1;
	free_tables(v);
	v->dynamic = false;
	v->foot = copy;
	v->no_footer = true;
	if (open_through(b, size, &why) < 0)
		return -1;
	*e = (struct sill_err){ 0 };
	return 0;
}

static int vhd_open_image(struct blk *b, struct sill_err *e)
{
	struct vhd *v = b->state;
	uint64_t size;

	if (vhdio_prepare(b, &size, e) < 0 || read_footer(b, size, e) < 0)
		return -1;
	if (open_through(b, size, e) < 0 && open_through_copy(b, size, e) < 0)
		return -1;
	if (v->no_footer && !b->quiet)
		log_line(LOG_WARN, "%s: the footer is damaged, its copy is used", b->path);
	if (v->foot.saved_state != 0)
		log_line(LOG_WARN, "%s: belongs to a virtual machine whose state was saved",
			 b->path);
	return 0;
}

int vhd_open(struct blk *b, struct sill_err *e)
{
	struct vhd *v = b->state;

	lock_init(&v->lock, RANK_BACKEND);
	syncs_init(&v->syncs);
	v->fd = b->fd;
	if (vhd_open_image(b, e) == 0)
		return 0;
	free_tables(v);
	syncs_fini(&v->syncs);
	lock_fini(&v->lock);
	return -1;
}

/* --- metadata ----------------------------------------------------------- */

static int sync_file(void *ctx)
{
	return vhdio_sync(((struct vhd *)ctx)->fd);
}

int vhd_sync(struct vhd *v)
{
	return syncs_run(&v->syncs, sync_file, v);
}

int vhd_commit_locked(struct vhd *v)
{
	int err = v->broken ? EIO : vhd_sync(v);

	if (err != 0 || !v->is_dirty)
		return err;
	for (uint32_t s = 0; s < v->sectors && err == 0; s++) {
		be32 out[VHD_PER_SECTOR];

		if (v->dirty[s] == 0)
			continue;
		for (unsigned i = 0; i < VHD_PER_SECTOR; i++)
			out[i] = be32_of(v->bat[s * VHD_PER_SECTOR + i]);
		err = vhdio_write(v->fd, out, sizeof(out),
				  v->table_offset + (uint64_t)s * VHD_SECTOR);
	}
	if (err == 0)
		err = vhd_sync(v);
	if (err != 0)
		return err;
	memset(v->dirty, 0, v->sectors);
	__atomic_store_n(&v->is_dirty, false, __ATOMIC_SEQ_CST);
	return 0;
}

static int vhd_flush(struct blk *b)
{
	struct vhd *v = b->state;
	int err;

	if (!v->dynamic || !__atomic_load_n(&v->is_dirty, __ATOMIC_SEQ_CST))
		return vhd_sync(v);
	lock_take(&v->lock);
	err = vhd_commit_locked(v);
	lock_drop(&v->lock);
	return err;
}

int vhd_move_footer_locked(struct vhd *v, uint64_t off)
{
	int err = vhdio_write(v->fd, &v->foot, sizeof(v->foot), off);

	if (err == 0) {
		v->footer_off = off;
		return 0;
	}
	/* What there is of it must not be where a footer is looked for. */
	if (vhdio_truncate(v->fd, v->footer_off + VHD_FOOTER) != 0)
		log_guest_at(&v->bucket, LOG_ERROR, "vhd", "the footer is lost, but for its copy");
	return err;
}

/* Add block @n behind the others, all zero. */
static int allocate_locked(struct vhd *v, uint32_t n) REQUIRES(v->lock)
{
	const uint64_t data = v->next + v->bitmap_size, end = data + v->block_size;
	const uint64_t old_end = v->footer_off + VHD_FOOTER;
	int err;

	if (v->next / VHD_SECTOR >= VHD_NOT_THERE)
		return ENOSPC;
	if (end > v->footer_off) {
		err = vhd_move_footer_locked(v, end);
		if (err != 0)
			return err;
	}
	/* What an earlier crash has left there, the old footer among it. */
	if (old_end > data) {
		err = vhdio_zero(v->fd, data, (old_end < end ? old_end : end) - data, true);
		if (err != 0)
			return err;
	}
	memset(v->bitmap, 0xff, v->bitmap_size);
	err = vhdio_write(v->fd, v->bitmap, v->bitmap_size, v->next);
	if (err != 0)
		return err;
	v->full[n] = 1;
	v->dirty[n / VHD_PER_SECTOR] = 1;
	__atomic_store_n(&v->bat[n], (uint32_t)(v->next / VHD_SECTOR), __ATOMIC_RELEASE);
	__atomic_store_n(&v->is_dirty, true, __ATOMIC_SEQ_CST);
	v->next = end;
	return 0;
}

static bool has_bit(const uint8_t *bitmap, uint32_t sector)
{
	return (bitmap[sector / 8] & 0x80 >> sector % 8) != 0;
}

/* Sectors from @s on, before @end, that are in the same state as @s. */
static uint32_t run_of(const uint8_t *bitmap, uint32_t s, uint32_t end)
{
	uint32_t n = 1;

	while (s + n < end && has_bit(bitmap, s + n) == has_bit(bitmap, s))
		n++;
	return n;
}

/* Read the bitmap of a block that is not known to be full; it may turn out to be. */
static int look_at_locked(struct vhd *v, uint32_t n) REQUIRES(v->lock)
{
	const uint32_t count = v->block_size / VHD_SECTOR;
	int err = vhdio_read(v->fd, v->bitmap, v->bitmap_size, (uint64_t)v->bat[n] * VHD_SECTOR);

	if (err == 0 && has_bit(v->bitmap, 0) && run_of(v->bitmap, 0, count) == count)
		__atomic_store_n(&v->full[n], 1, __ATOMIC_RELEASE);
	return err;
}

/* Give a block that has holes zeroes in them, then set all of its bits. */
static int fill_locked(struct vhd *v, uint32_t n) REQUIRES(v->lock)
{
	const uint64_t at = (uint64_t)v->bat[n] * VHD_SECTOR;
	const uint32_t count = v->block_size / VHD_SECTOR;
	int err = look_at_locked(v, n);

	if (err != 0 || v->full[n] != 0)
		return err;
	for (uint32_t s = 0, run; s < count; s += run) {
		run = run_of(v->bitmap, s, count);
		if (has_bit(v->bitmap, s))
			continue;
		err = vhdio_zero(v->fd, at + v->bitmap_size + (uint64_t)s * VHD_SECTOR,
				 (uint64_t)run * VHD_SECTOR, true);
		if (err != 0)
			return err;
	}
	err = vhd_sync(v);
	if (err != 0)
		return err;
	memset(v->bitmap, 0xff, v->bitmap_size);
	err = vhdio_write(v->fd, v->bitmap, v->bitmap_size, at);
	if (err == 0)
		__atomic_store_n(&v->full[n], 1, __ATOMIC_RELEASE);
	return err;
}

/* --- requests ----------------------------------------------------------- */

/* From a block with holes: under the lock, which is slow, and rare. */
static int read_holes(struct blk *b, const struct vhdio_piece *p, struct vhdio_cursor *c)
{
	struct vhd *v = b->state;
	const uint32_t end = (uint32_t)((p->skip + p->n) / VHD_SECTOR);
	const uint64_t data = (uint64_t)v->bat[p->block] * VHD_SECTOR + v->bitmap_size;
	int err;

	lock_take(&v->lock);
	err = look_at_locked(v, p->block);
	for (uint32_t s = p->skip / VHD_SECTOR, run; s < end && err == 0; s += run) {
		const uint64_t at = data + (uint64_t)s * VHD_SECTOR;

		run = run_of(v->bitmap, s, end);
		if (has_bit(v->bitmap, s))
			err = vhdio_xfer(b->fd, false, c, at, (uint64_t)run * VHD_SECTOR);
		else
			vhdio_cursor_zero(c, (uint64_t)run * VHD_SECTOR);
	}
	lock_drop(&v->lock);
	return err;
}

static uint32_t entry(struct vhd *v, uint32_t n)
{
	return __atomic_load_n(&v->bat[n], __ATOMIC_ACQUIRE);
}

static bool is_full(struct vhd *v, uint32_t n)
{
	return __atomic_load_n(&v->full[n], __ATOMIC_ACQUIRE) != 0;
}

/* Make block @n one that can be written to anywhere. */
static int make_full(struct blk *b, uint32_t n)
{
	struct vhd *v = b->state;
	int err = 0;

	if (entry(v, n) != VHD_NOT_THERE && is_full(v, n))
		return 0;
	lock_take(&v->lock);
	if (v->bat[n] == VHD_NOT_THERE)
		err = allocate_locked(v, n);
	else if (v->full[n] == 0)
		err = fill_locked(v, n);
	lock_drop(&v->lock);
	return err;
}

static int do_piece(struct blk *b, const struct blk_req *r, const struct vhdio_piece *p,
		    struct vhdio_cursor *c)
{
	struct vhd *v = b->state;
	uint64_t at;
	int err;

	if (entry(v, p->block) == VHD_LOST)
		return EIO;
	if (r->op == BLK_WRITE) {
		err = make_full(b, p->block);
		if (err != 0)
			return err;
	} else if (entry(v, p->block) == VHD_NOT_THERE) {
		if (r->op == BLK_READ)
			vhdio_cursor_zero(c, p->n);
		return 0;
	}
	if (r->op == BLK_READ && !is_full(v, p->block))
		return read_holes(b, p, c);
	at = (uint64_t)entry(v, p->block) * VHD_SECTOR + v->bitmap_size + p->skip;
	switch (r->op) {
	case BLK_DISCARD:
		err = vhdio_punch(b->fd, at, p->n);
		return err == EOPNOTSUPP ? 0 : err; /* advice that was not taken */
	case BLK_WRITE_ZEROES:
		return vhdio_zero(b->fd, at, p->n, r->unmap);
	default:
		return vhdio_xfer(b->fd, r->op == BLK_WRITE, c, at, p->n);
	}
}

static int do_fixed(struct blk *b, const struct blk_req *r, struct vhdio_cursor *c)
{
	const struct vhd *v = b->state;
	int err;

	/* The end of it was lost. */
	if (b->salvage && (r->offset > v->footer_off || r->length > v->footer_off - r->offset))
		return EIO;
	if (r->op == BLK_READ || r->op == BLK_WRITE)
		return vhdio_xfer(b->fd, r->op == BLK_WRITE, c, r->offset, r->length);
	if (r->op == BLK_WRITE_ZEROES)
		return vhdio_zero(b->fd, r->offset, r->length, r->unmap);
	err = vhdio_punch(b->fd, r->offset, r->length);
	return err == EOPNOTSUPP ? 0 : err;
}

static int execute(struct blk *b, const struct blk_req *r)
{
	struct vhd *v = b->state;
	struct vhdio_cursor c;
	int err = 0;

	if (r->op == BLK_FLUSH)
		return b->readonly ? 0 : vhd_flush(b);
	if (b->readonly && r->op != BLK_READ)
		return EROFS;
	vhdio_cursor_init(&c, r);
	if (!v->dynamic)
		err = do_fixed(b, r, &c);
	for (uint64_t done = 0; v->dynamic && done < r->length && err == 0;) {
		const struct vhdio_piece p =
			vhdio_piece_at(v->block_size, r->offset + done, r->length - done);

		err = do_piece(b, r, &p, &c);
		done += p.n;
	}
	if (err == 0 && r->op != BLK_READ && !__atomic_load_n(&b->writeback, __ATOMIC_ACQUIRE))
		err = vhd_flush(b);
	return err;
}

/* A block with holes: whose sectors are there? */
static int status_of_holes(struct vhd *v, uint32_t block, uint32_t sector, struct blk_status *s)
{
	const uint32_t end = sector + (uint32_t)(s->length / VHD_SECTOR);
	int err;

	lock_take(&v->lock);
	err = look_at_locked(v, block);
	if (err == 0) {
		s->length = (uint64_t)run_of(v->bitmap, sector, end) * VHD_SECTOR;
		if (!has_bit(v->bitmap, sector))
			s->kind = BLK_ABSENT;
	}
	lock_drop(&v->lock);
	return err;
}

int vhd_status(struct blk *b, uint64_t off, uint64_t n, struct blk_status *ret)
{
	struct vhd *v = b->state;
	struct blk_status s = { .kind = BLK_DATA, .length = n };
	struct vhdio_piece p;
	int err = 0;

	if (v->dynamic) {
		p = vhdio_piece_at(v->block_size, off, n);
		s.length = p.n;
		if (entry(v, p.block) == VHD_NOT_THERE)
			s.kind = BLK_ABSENT;
		else if (entry(v, p.block) == VHD_LOST)
			s.kind = BLK_LOST;
		else if (!is_full(v, p.block))
			err = status_of_holes(v, p.block, p.skip / VHD_SECTOR, &s);
		off = (uint64_t)entry(v, p.block) * VHD_SECTOR + v->bitmap_size + p.skip;
	} else if (b->salvage && off >= v->footer_off) {
		s.kind = BLK_LOST;
	} else if (b->salvage && n > v->footer_off - off) {
		s.length = v->footer_off - off;
	}
	s.has_place = s.kind == BLK_DATA;
	s.place = s.has_place ? off : 0;
	if (err == 0)
		*ret = s;
	return err;
}

void vhd_submit(struct blk *b, struct blk_req *r)
{
	blk_execute(b, r, execute);
}

int vhd_close(struct blk *b)
{
	struct vhd *v = b->state;
	const int err = b->readonly ? 0 : vhd_flush(b);

	free_tables(v);
	syncs_fini(&v->syncs);
	lock_fini(&v->lock);
	return err;
}
