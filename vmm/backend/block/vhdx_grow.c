/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhdx_grow.c - a larger disk in a VHDX image, also while requests go on.
 *
 *	1  a BAT whose region has no room for the new blocks moves to the end of the file
 *	2  what is behind the old end of its last block is zeroed; a fixed disk gets its blocks
 *	3  the BAT's new entries, through the log
 *	4  the size in the metadata, through the log
 *
 * The region tables are not in the log: the first one changes over once the new
 * BAT is on the medium, then the second one, each with its checksum. A first one
 * that is torn leaves the second, which leads to the old BAT: with the same
 * contents, as nothing else changes meanwhile. Who opens the image makes the two
 * equal again before the BATs differ (vhdx_open.c).
 *
 * Entries behind the disk's end mean nothing, nor does a BAT that is too long:
 * cut off anywhere, the image has its old size or the new one.
 */
#include "backend/block/vhdx.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int refuse(struct blk *b, struct sill_err *e, enum sill_err_code code, const char *why)
{
	return sill_err_set(e, code, "vhdx image '%s' cannot grow: %s", b->path, why);
}

/* --- the region of the BAT ------------------------------------------------- */

static int write_regions(struct vhdx *x, unsigned which, const uint8_t *table)
{
	int err =
		vhdio_write(x->fd, table, VHDX_TABLE, VHDX_HEADERS + which * (uint64_t)VHDX_TABLE);

	return err == 0 ? vhdx_sync(x) : err;
}

/* The table, with another place for the BAT. */
static void change_regions(uint8_t *table, uint64_t off, uint32_t length)
{
	const uint32_t count = ld32(table + 8);

	for (uint32_t i = 0; i < count; i++) {
		uint8_t *p = vhdx_region(table, i);

		if (!vhdx_is_guid(p, &vhdx_region_bat))
			continue;
		st64(p + 16, off);
		st32(p + 24, length);
	}
	st32(table + 4, 0);
	st32(table + 4, vhdio_crc(0, table, VHDX_TABLE));
}

/* Both tables are read, and one of them is changed: @tables has room for two. */
static int switch_regions(struct vhdx *x, uint8_t *tables, uint64_t off, uint32_t length)
	REQUIRES(x->lock)
{
	uint8_t *old = tables, *new = tables + VHDX_TABLE;
	int err = vhdx_read_regions(x->fd, 0, old);

	if (err != 0)
		return err == EINVAL ? EIO : err;
	memcpy(new, old, VHDX_TABLE);
	change_regions(new, off, length);
	err = write_regions(x, 0, new);
	if (err != 0) {
		/* Some of it may be there; the old one has to be before the old BAT changes. */
		x->broken = write_regions(x, 0, old) != 0;
		return err;
	}
	x->bat_offset = off;
	x->bat_room = length / 8;
	return write_regions(x, 1, new);
}

/* Through @buf, which is VHDX_TABLE bytes. */
static int write_bat(struct vhdx *x, uint64_t *buf, uint64_t off) REQUIRES(x->lock)
{
	const uint32_t at_once = VHDX_TABLE / VHDX_SECTOR;

	for (uint32_t s = 0; s < x->bat_sectors; s += at_once) {
		uint32_t n = 0;
		int err;

		for (; n < at_once && s + n < x->bat_sectors; n++)
			vhdx_bat_sector(x, s + n, buf + (size_t)n * VHDX_BAT_PER_SECTOR);
		err = vhdio_write(x->fd, buf, (size_t)n * VHDX_SECTOR,
				  off + (uint64_t)s * VHDX_SECTOR);
		if (err != 0)
			return err;
	}
	return vhdx_sync(x);
}

static int move_bat(struct vhdx *x, uint64_t entries) REQUIRES(x->lock)
{
	const uint64_t length = (entries * 8 + VHDX_MIB - 1) / VHDX_MIB * VHDX_MIB;
	void *tables;
	uint64_t off;
	int err;

	if (entries <= x->bat_room)
		return 0;
	tables = malloc(2 * (size_t)VHDX_TABLE);
	if (tables == NULL)
		return ENOMEM;
	/* What is in the log is for the old place: it must be there. */
	err = vhdx_commit_locked(x);
	if (err == 0)
		err = vhdx_append_locked(x, length, &off);
	if (err == 0)
		err = write_bat(x, tables, off);
	if (err == 0)
		err = switch_regions(x, tables, off, (uint32_t)length);
	free(tables);
	return err;
}

/* --- blocks ---------------------------------------------------------------- */

/* The new entries: "not present", or all the blocks of a fixed disk. */
static int add_entries(struct vhdx *x, uint64_t old, uint64_t bytes) REQUIRES(x->lock)
{
	const uint32_t entries = (uint32_t)vhdx_bat_entries(x, bytes);
	const uint32_t sectors = (entries + VHDX_BAT_PER_SECTOR - 1) / VHDX_BAT_PER_SECTOR;
	const uint32_t first = (uint32_t)((old - 1) / x->block_size + 1);
	const uint32_t blocks = (uint32_t)((bytes - 1) / x->block_size + 1);
	int err = vhdio_table_grow(&x->table, (size_t)sectors * VHDX_SECTOR);

	if (err != 0)
		return err;
	/* In the file there may be anything behind the old ones. */
	for (uint32_t s = (x->bat_entries - 1) / VHDX_BAT_PER_SECTOR; s < sectors; s++)
		x->dirty[s] = 1;
	if (entries > x->bat_entries) {
		x->bat_entries = entries;
		x->bat_sectors = sectors;
	}
	__atomic_store_n(&x->is_dirty, true, __ATOMIC_SEQ_CST);
	for (uint32_t n = first; n < blocks && x->keep_blocks && err == 0; n++) {
		uint64_t off;

		if (vhdx_is_present(*vhdx_slot(x, n))) /* since an attempt that failed */
			continue;
		err = vhdx_append_locked(x, x->block_size, &off);
		if (err == 0)
			vhdx_set_locked(x, n, off | VHDX_PRESENT);
	}
	return err;
}

/* What is behind the end of the last block. */
static int clear_tail(struct vhdx *x, uint64_t end) REQUIRES(x->lock)
{
	const uint64_t skip = end % x->block_size;
	uint64_t entry;

	if (skip == 0) /* it is full; behind its entry the table may end */
		return 0;
	entry = *vhdx_slot(x, (uint32_t)(end / x->block_size));
	if (!vhdx_is_present(entry))
		return 0;
	return vhdio_zero(x->fd, (entry & VHDX_OFFSET) + skip, x->block_size - skip,
			  !x->keep_blocks);
}

/* The sectors that hold the size, with the new one; they are in one entry of the log. */
static int set_size(struct vhdx *x, uint64_t bytes) REQUIRES(x->lock)
{
	const uint64_t at = x->size_at / VHDX_SECTOR * VHDX_SECTOR;
	const uint64_t skip = x->size_at - at;
	const unsigned sectors = skip + 8 > VHDX_SECTOR ? 2 : 1;
	int err = vhdio_read(x->fd, x->meta, (size_t)sectors * VHDX_SECTOR, at);

	if (err != 0)
		return err;
	st64(x->meta + skip, bytes);
	x->meta_at = at;
	x->meta_sectors = sectors;
	__atomic_store_n(&x->is_dirty, true, __ATOMIC_SEQ_CST);
	err = vhdx_commit_locked(x);
	x->meta_sectors = 0; /* if it did not come to it, it is off */
	return err;
}

static int grow_locked(struct vhdx *x, uint64_t old, uint64_t bytes) REQUIRES(x->lock)
{
	int err = vhdx_begin_locked(x);

	if (err == 0)
		err = move_bat(x, vhdx_bat_entries(x, bytes));
	if (err == 0)
		err = clear_tail(x, old);
	if (err == 0)
		err = add_entries(x, old, bytes);
	if (err == 0)
		err = set_size(x, bytes);
	return err;
}

int vhdx_resize(struct blk *b, uint64_t bytes, uint64_t *ret, struct sill_err *e)
{
	struct vhdx *x = b->state;
	int err;

	*ret = b->capacity;
	if (bytes == 0 || bytes == b->capacity)
		return 0;
	if (b->readonly)
		return refuse(b, e, SILL_ERR_STATE, "it is read-only");
	if (bytes % b->block_size != 0)
		return refuse(b, e, SILL_ERR_LIMIT, "the size is not one of whole sectors");
	if (bytes > VHDX_MAX_DISK)
		return refuse(b, e, SILL_ERR_LIMIT, "vhdx has disks of at most 64 TiB");
	if (vhdx_bat_entries(x, bytes) > VHDX_MAX_BAT) {
		(void)refuse(b, e, SILL_ERR_LIMIT, "it would have more blocks than are supported");
		return sill_err_hint(e, "larger blocks are fewer: convert it");
	}
	lock_take(&x->lock);
	err = grow_locked(x, b->capacity, bytes);
	lock_drop(&x->lock);
	if (err != 0)
		return sill_err_sys(e, err, "grow '%s'", b->path);
	*ret = bytes;
	return 0;
}
