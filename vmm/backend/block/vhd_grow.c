/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhd_grow.c - a larger disk in a VHD image, also while requests go on.
 *
 * At every instant there is a footer where one is looked for. It is one sector,
 * and so is what changes of the header: each is the old one or the new one.
 *
 *   fixed     the old footer is written once more to where the new end will be,
 *             what was behind the disk's end, the first one too, is zeroed, and
 *             the footer is written again with the new size
 *   dynamic   the footer moves on if the longer BAT needs the space; the BAT, where
 *             it is, or behind the last block when something else follows it; the
 *             header with its place and length; the rest of the last block is
 *             zeroed; the footer with the new size, and its copy
 *
 * All of that is on the medium before the next begins. A BAT that is longer than
 * the disk needs does no harm. The place of one that has moved stays unused.
 */
#include "backend/block/vhd.h"

#include <errno.h>
#include <string.h>

static int refuse(struct blk *b, struct sill_err *e, enum sill_err_code code, const char *why)
{
	return sill_err_set(e, code, "vhd image '%s' cannot grow: %s", b->path, why);
}

/* The footer at the end with another size; on the medium. */
static int set_size(struct vhd *v, uint64_t bytes) REQUIRES(v->lock)
{
	struct vhd_footer foot = v->foot;
	int err;

	vhd_footer_set_size((uint8_t *)&foot, bytes);
	err = vhdio_write(v->fd, &foot, sizeof(foot), v->footer_off);
	if (err == 0)
		err = vhd_sync(v);
	if (err == 0)
		v->foot = foot;
	else /* either size is a good one; this is the one we go by */
		(void)!vhdio_write(v->fd, &v->foot, sizeof(v->foot), v->footer_off);
	return err;
}

/* --- fixed ----------------------------------------------------------------- */

static int grow_fixed(struct vhd *v, uint64_t old, uint64_t bytes) REQUIRES(v->lock)
{
	const uint64_t before = v->footer_off;
	uint64_t end = bytes > before ? bytes : before;
	int err = 0;

	if (end > before && end < before + VHD_FOOTER) /* of a file of odd size: not on top of it */
		end += VHD_FOOTER;
	if (end > before)
		err = vhd_move_footer_locked(v, end);
	if (err == 0)
		err = vhd_sync(v);
	/* All up to the footer that was moved; beyond it the file is new. */
	if (err == 0)
		err = vhdio_zero(v->fd, old, (end > before ? before + VHD_FOOTER : bytes) - old,
				 true);
	if (err == 0)
		err = vhd_sync(v);
	return err == 0 ? set_size(v, bytes) : err;
}

/* --- dynamic --------------------------------------------------------------- */

/* Up to where the BAT may become longer where it is. */
static uint64_t room_end(const struct vhd *v) REQUIRES(v->lock)
{
	const uint64_t end = v->table_offset + (uint64_t)v->sectors * VHD_SECTOR;
	uint64_t next = UINT64_MAX;

	if (v->head_off >= end)
		next = v->head_off;
	for (uint32_t i = 0; i < v->entries; i++) {
		const uint64_t at = (uint64_t)v->bat[i] * VHD_SECTOR;

		if (v->bat[i] != VHD_NOT_THERE && at >= end && at < next)
			next = at;
	}
	return next;
}

/* The BAT's sectors from @first on, to where they are to be. */
static int write_table(struct vhd *v, uint32_t first, uint32_t sectors, uint64_t at)
	REQUIRES(v->lock)
{
	for (uint32_t s = first; s < sectors; s++) {
		be32 out[VHD_PER_SECTOR];
		int err;

		for (unsigned i = 0; i < VHD_PER_SECTOR; i++)
			out[i] = be32_of(v->bat[(size_t)s * VHD_PER_SECTOR + i]);
		err = vhdio_write(v->fd, out, sizeof(out), at + (uint64_t)s * VHD_SECTOR);
		if (err != 0)
			return err;
	}
	return vhd_sync(v);
}

/* Its first sector: all that changes is in there, and the checksum is too. */
static int write_header(struct vhd *v, uint64_t table, uint32_t entries) REQUIRES(v->lock)
{
	struct vhd_header h = v->head;
	int err;

	/* Where it moves to there is room for so many, even if it had more. */
	if (entries > be32_get(h.max_entries) || table != v->table_offset)
		h.max_entries = be32_of(entries);
	h.table_offset = be64_of(table);
	h.checksum = be32_of(vhd_checksum(&h, sizeof(h), offsetof(struct vhd_header, checksum)));
	if (memcmp(&h, &v->head, sizeof(h)) == 0)
		return 0;
	err = vhdio_write(v->fd, &h, VHD_SECTOR, v->head_off);
	if (err == 0)
		err = vhd_sync(v);
	if (err == 0) {
		v->head = h;
		return 0;
	}
	/* It may be there; the old one has to be before the old BAT changes. */
	if (vhdio_write(v->fd, &v->head, VHD_SECTOR, v->head_off) != 0 || vhd_sync(v) != 0)
		v->broken = true;
	return err;
}

/* The BAT has @entries, in memory and in the file. */
static int grow_table(struct vhd *v, uint32_t entries) REQUIRES(v->lock)
{
	const uint32_t sectors = (entries + VHD_PER_SECTOR - 1) / VHD_PER_SECTOR;
	const uint64_t n = (uint64_t)sectors * VHD_SECTOR;
	const bool stays = v->table_offset + n <= room_end(v);
	const uint64_t at = stays ? v->table_offset : v->next;
	int err = vhdio_table_grow(&v->bat_table, (size_t)n);

	if (err == 0)
		err = vhdio_table_grow(&v->full_table, entries);
	if (err == 0)
		err = vhd_commit_locked(v);
	if (err != 0)
		return err;
	for (size_t i = v->entries; i < (size_t)sectors * VHD_PER_SECTOR; i++)
		v->bat[i] = VHD_NOT_THERE;
	if (at + n > v->footer_off) {
		uint64_t end = at + n;

		if (end < v->footer_off + VHD_FOOTER) /* as in grow_fixed() */
			end += VHD_FOOTER;
		err = vhd_move_footer_locked(v, end);
		if (err == 0)
			err = vhd_sync(v);
	}
	if (err == 0)
		err = write_table(v, stays ? v->sectors - 1 : 0, sectors, at);
	if (err == 0)
		err = write_header(v, at, entries);
	if (err != 0)
		return err;
	v->table_offset = at;
	v->sectors = sectors;
	v->entries = entries;
	if (at + n > v->next)
		v->next = at + n;
	return 0;
}

/* What is in the last block behind the disk's end. */
static int clear_tail(struct vhd *v, uint64_t end) REQUIRES(v->lock)
{
	const uint64_t skip = end % v->block_size;
	uint32_t at;

	if (skip == 0)
		return 0;
	at = v->bat[end / v->block_size];
	if (at == VHD_NOT_THERE)
		return 0;
	return vhdio_zero(v->fd, (uint64_t)at * VHD_SECTOR + v->bitmap_size + skip,
			  v->block_size - skip, true);
}

static int grow_dynamic(struct vhd *v, uint64_t old, uint64_t bytes) REQUIRES(v->lock)
{
	const uint32_t entries = (uint32_t)((bytes - 1) / v->block_size + 1);
	int err = entries > v->entries ? grow_table(v, entries) : 0;

	if (err == 0)
		err = clear_tail(v, old);
	if (err == 0)
		err = vhd_sync(v);
	if (err == 0)
		err = set_size(v, bytes);
	if (err == 0)
		err = vhdio_write(v->fd, &v->foot, sizeof(v->foot), 0);
	return err == 0 ? vhd_sync(v) : err;
}

int vhd_resize(struct blk *b, uint64_t bytes, uint64_t *ret, struct sill_err *e)
{
	struct vhd *v = b->state;
	int err;

	*ret = b->capacity;
	if (bytes == 0 || bytes == b->capacity)
		return 0;
	if (b->readonly)
		return refuse(b, e, SILL_ERR_STATE, "it is read-only");
	if (bytes % VHD_SECTOR != 0)
		return refuse(b, e, SILL_ERR_LIMIT, "the size is not one of whole sectors");
	if (bytes > VHD_MAX_DISK) {
		(void)refuse(b, e, SILL_ERR_LIMIT, "vhd has disks of at most 2040 GiB");
		return sill_err_hint(e, "vhdx, qcow2 and raw can be larger: convert it");
	}
	if (v->dynamic && (bytes - 1) / v->block_size >= VHD_MAX_ENTRIES) {
		(void)refuse(b, e, SILL_ERR_LIMIT, "it would have more blocks than are supported");
		return sill_err_hint(e, "larger blocks are fewer: convert it");
	}
	lock_take(&v->lock);
	err = v->dynamic ? grow_dynamic(v, b->capacity, bytes) : grow_fixed(v, b->capacity, bytes);
	lock_drop(&v->lock);
	if (err != 0)
		return sill_err_sys(e, err, "grow '%s'", b->path);
	*ret = bytes;
	return 0;
}
