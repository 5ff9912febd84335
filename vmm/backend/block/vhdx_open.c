/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhdx_open.c - region table, metadata and block table of a VHDX image
 * ([MS-VHDX] 2.2.3, 2.6, 2.5).
 *
 * All of it may be forged. Every structure has its place in the file to
 * itself, which a bit per MiB sees to; the same bits then say where there is
 * free space.
 */
#include "backend/block/vhdx.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BLOCK     (256 * VHDX_MIB)
#define METADATA_SIGN "metadata"

/* What is being read: tables first, then their contents. */
struct tables {
	struct blk *b;
	uint8_t *raw; /* owned: one table */
	uint64_t bat_length;
	uint64_t meta_offset, meta_length;
	uint64_t value[VHDX_ITEMS];
	bool has[VHDX_ITEMS];
};

/* Take [off, off + n) of the file for something; false when it is taken, or not in the file. */
static bool take(struct vhdx *x, uint64_t off, uint64_t n)
{
	if (off % VHDX_MIB != 0 || n == 0 || off > x->end || n > x->end - off)
		return false;
	for (uint64_t i = off / VHDX_MIB; i < (off + n + VHDX_MIB - 1) / VHDX_MIB; i++) {
		const uint64_t bit = 1ull << i % 64;

		if ((x->used[i / 64] & bit) != 0)
			return false;
		x->used[i / 64] |= bit;
	}
	return true;
}

/* --- regions ------------------------------------------------------------ */

static int read_regions(struct tables *t, struct sill_err *e)
{
	struct vhdx *x = t->b->state;
	int err = vhdx_read_regions(t->b->fd, x->table_slot, t->raw);
	uint32_t count;

	if (err == EINVAL)
		return vhdio_damaged(t->b, e, "both region tables are damaged");
	if (err != 0)
		return vhdio_fail(t->b, err, "region table", e);
	count = ld32(t->raw + 8);
	for (uint32_t i = 0; i < count; i++) {
		const uint8_t *p = vhdx_region(t->raw, i);
		const uint64_t offset = ld64(p + 16);
		const uint32_t length = ld32(p + 24);

		if (length % VHDX_MIB != 0 || !take(x, offset, length))
			return vhdio_damaged(t->b, e,
					     "its regions overlap or lie outside of the file");
		if (vhdx_is_guid(p, &vhdx_region_bat)) {
			if (t->bat_length != 0)
				return vhdio_damaged(t->b, e, "it has two block tables");
			x->bat_offset = offset;
			t->bat_length = length;
		} else if (vhdx_is_guid(p, &vhdx_region_meta)) {
			if (t->meta_length != 0)
				return vhdio_damaged(t->b, e, "it has two metadata regions");
			t->meta_offset = offset;
			t->meta_length = length;
		} else if ((ld32(p + 28) & 1) != 0) {
			return vhdio_unsupported(t->b, e, "needs a region that is not known");
		}
	}
	if (t->bat_length == 0 || t->meta_length == 0)
		return vhdio_damaged(t->b, e, "it has no block table or no metadata");
	return 0;
}

/* --- metadata ----------------------------------------------------------- */

static int read_item(struct tables *t, const uint8_t *p, struct sill_err *e)
{
	const uint32_t offset = ld32(p + 16), length = ld32(p + 20), flags = ld32(p + 24);
	uint8_t value[8] = { 0 };
	const unsigned k = vhdx_which_item(p);
	int err;

	if (length != 0 &&
	    (offset < VHDX_TABLE || offset > t->meta_length || length > t->meta_length - offset))
		return vhdio_damaged(t->b, e, "an item of its metadata lies outside of it");
	if (k == VHDX_ITEMS || (flags & VHDX_USER) != 0) {
		if ((flags & VHDX_USER) == 0 && (flags & VHDX_REQUIRED) != 0)
			return vhdio_unsupported(t->b, e, "needs metadata that is not known");
		return 0;
	}
	if (t->has[k] || (vhdx_items[k].size != 0 && length != vhdx_items[k].size))
		return vhdio_damaged(t->b, e,
				     "an item of its metadata is there twice, or too long");
	t->has[k] = true;
	if (k == VHDX_ITEM_SIZE)
		((struct vhdx *)t->b->state)->size_at = t->meta_offset + offset;
	if (vhdx_items[k].size == 0 || vhdx_items[k].size > sizeof(value))
		return 0;
	err = vhdx_read_patched(t->b->state, value, length, t->meta_offset + offset);
	if (err != 0)
		return vhdio_fail(t->b, err, vhdx_items[k].name, e);
	t->value[k] = ld64(value);
	return 0;
}

static int read_metadata(struct tables *t, struct sill_err *e)
{
	uint16_t count;
	int err = vhdx_read_patched(t->b->state, t->raw, VHDX_TABLE, t->meta_offset);

	if (err != 0)
		return vhdio_fail(t->b, err, "metadata", e);
	count = ld16(t->raw + 10);
	if (memcmp(t->raw, METADATA_SIGN, 8) != 0 || count > VHDX_MAX_TABLE)
		return vhdio_damaged(t->b, e, "its metadata is damaged");
	for (uint16_t i = 0; i < count; i++)
		if (read_item(t, vhdx_item(t->raw, i), e) < 0)
			return -1;
	for (unsigned k = 0; k < VHDX_ITEMS; k++)
		if (vhdx_items[k].needed && !t->has[k])
			return sill_err_set(e, SILL_ERR_HOST,
					    "disk '%s' is not a sound vhdx image: it has no %s",
					    t->b->path, vhdx_items[k].name);
	return 0;
}

static unsigned log2_of(uint64_t v)
{
	return 63u - (unsigned)__builtin_clzll(v);
}

static bool is_sector_size(uint64_t v)
{
	return v == 512 || v == 4096;
}

uint64_t vhdx_bat_entries(const struct vhdx *x, uint64_t size)
{
	const uint64_t blocks = size / x->block_size + (size % x->block_size != 0);

	return blocks + ((blocks - 1) >> x->chunk_shift);
}

static int use_metadata(struct tables *t, struct sill_err *e)
{
	struct vhdx *x = t->b->state;
	const uint64_t block = t->value[VHDX_ITEM_FILE] & UINT32_MAX,
		       flags = t->value[VHDX_ITEM_FILE] >> 32;
	const uint64_t logical = t->value[VHDX_ITEM_LOGICAL],
		       physical = t->value[VHDX_ITEM_PHYSICAL];
	const uint64_t size = t->value[VHDX_ITEM_SIZE];
	uint64_t entries;

	if ((flags & VHDX_FILE_HAS_PARENT) != 0) {
		(void)vhdio_unsupported(t->b, e, "is a differencing vhdx");
		return sill_err_hint(e, "merge it with its parent, or convert the chain to qcow2");
	}
	if (block < VHDX_MIB || block > MAX_BLOCK || (block & (block - 1)) != 0)
		return vhdio_damaged(t->b, e, "the block size is not a power of two of 1-256 MiB");
	if (!is_sector_size(logical) || !is_sector_size(physical))
		return vhdio_damaged(t->b, e, "a sector size is neither 512 nor 4096");
	if (size == 0 || size % logical != 0 || size > VHDX_MAX_DISK)
		return vhdio_damaged(t->b, e, "the disk's size is not one of whole sectors");
	x->block_size = (uint32_t)block;
	t->b->unit = x->block_size;
	x->keep_blocks = (flags & VHDX_FILE_KEEP_BLOCKS) != 0;
	x->chunk_shift = 23 + log2_of(logical) - log2_of(block);
	entries = vhdx_bat_entries(x, size);
	if (entries > VHDX_MAX_BAT)
		return sill_err_set(e, SILL_ERR_LIMIT,
				    "disk '%s' has %llu blocks; at most %d are supported",
				    t->b->path, (unsigned long long)entries, VHDX_MAX_BAT);
	if (entries > t->bat_length / 8)
		return vhdio_damaged(t->b, e, "the block table is shorter than the disk");
	x->bat_room = (uint32_t)(t->bat_length / 8);
	x->bat_entries = (uint32_t)entries;
	x->bat_sectors = (x->bat_entries + VHDX_BAT_PER_SECTOR - 1) / VHDX_BAT_PER_SECTOR;
	t->b->capacity = size;
	t->b->block_size = (uint32_t)logical;
	t->b->phys_size = (uint32_t)(physical > logical ? physical : logical);
	return 0;
}

/* --- blocks ------------------------------------------------------------- */

/*
 * Take the place of block @n. QEMU's fixed images end with the disk, not with its
 * last block: who writes makes them whole first.
 */
static bool take_block(struct tables *t, uint32_t n, uint64_t offset)
{
	struct vhdx *x = t->b->state;
	const uint64_t on_disk = t->b->capacity - (uint64_t)n * x->block_size;
	uint64_t there = offset < x->end ? x->end - offset : 0;

	if (there >= x->block_size) {
		there = x->block_size;
	} else if (there >= on_disk) {
		if (offset + x->block_size > x->whole)
			x->whole = offset + x->block_size;
	} else {
		return false;
	}
	return take(x, offset, there);
}

/* Of an image that is salvaged, one block is lost, not all. */
static int bad_block(struct tables *t, uint64_t *entry, const char *what, struct sill_err *e)
{
	if (!t->b->salvage)
		return vhdio_damaged(t->b, e, what);
	*entry = VHDX_PARTIAL;
	return 0;
}

static int check_block(struct tables *t, uint32_t n, uint64_t *entry, struct sill_err *e)
{
	const struct vhdx *x = t->b->state;
	const uint64_t offset = *entry & VHDX_OFFSET;

	switch (*entry & VHDX_STATE) {
	case VHDX_NOT_PRESENT:
	case VHDX_ZERO:
		*entry &= VHDX_STATE; /* the place is reserved, which is: anything */
		return 0;
	case VHDX_UNDEFINED:
	case VHDX_UNMAPPED:
	case VHDX_UNMAPPED_095: /* may hold on to its place */
		*entry = offset | VHDX_UNMAPPED;
		if (offset == 0)
			return 0;
		break;
	case VHDX_PRESENT:
		break;
	case VHDX_PARTIAL:
		return bad_block(t, entry, "a block refers to a parent, which there is none of", e);
	default:
		return bad_block(t, entry, "a block has an unknown state", e);
	}
	if (t->b->salvage && offset >= VHDX_MIB && offset < x->end &&
	    x->end - offset < x->block_size)
		return 0; /* the file was cut: what there is of it can be read */
	if (!take_block(t, n, offset))
		return bad_block(t, entry, "its blocks overlap or lie outside of the file", e);
	return 0;
}

static int read_bat(struct tables *t, struct sill_err *e)
{
	struct vhdx *x = t->b->state;
	int err = vhdio_table_init(&x->table, VHDX_MAX_BAT * sizeof(*x->bat));

	x->bat = x->table.mem;
	x->dirty = calloc(VHDX_MAX_BAT / VHDX_BAT_PER_SECTOR, 1);
	if (err == 0 && x->dirty == NULL)
		err = ENOMEM;
	if (err == 0)
		err = vhdio_table_grow(&x->table, (size_t)x->bat_sectors * VHDX_SECTOR);
	if (err != 0)
		return vhdio_fail(t->b, err, "block table", e);
	err = vhdx_read_patched(x, x->bat, (size_t)x->bat_sectors * VHDX_SECTOR, x->bat_offset);
	if (err != 0)
		return vhdio_fail(t->b, err, "block table", e);
	/* Sector bitmaps in between, and what is behind the last block, mean nothing here. */
	for (uint32_t i = 0; i < x->bat_sectors * VHDX_BAT_PER_SECTOR; i++) {
		const uint64_t chunk = (1ull << x->chunk_shift) + 1;

		if (i >= x->bat_entries || (i + 1) % chunk == 0)
			x->bat[i] = 0;
		else if (check_block(t, i - (uint32_t)(i / chunk), &x->bat[i], e) < 0)
			return -1;
	}
	return 0;
}

/*
 * A writer finds two region tables that say the same: what was cut off while the BAT moved is done
 * now, before the first one leads where the second does not. The image has been opened through the
 * one that stays.
 */
static int mend_regions(struct tables *t)
{
	const unsigned good = ((struct vhdx *)t->b->state)->table_slot;
	uint8_t *other = malloc(VHDX_TABLE);
	int err = other == NULL ? ENOMEM : vhdx_read_regions(t->b->fd, good, t->raw);

	if (err == 0)
		err = vhdx_read_regions(t->b->fd, !good, other);
	if (err == EINVAL || (err == 0 && memcmp(other, t->raw, VHDX_TABLE) != 0)) {
		err = vhdio_write(t->b->fd, t->raw, VHDX_TABLE,
				  VHDX_HEADERS + !good * (uint64_t)VHDX_TABLE);
		if (err == 0)
			err = vhdio_sync(t->b->fd);
	}
	free(other);
	return err;
}

/* All of it, by region table @slot. */
static int read_through(struct blk *b, struct tables *t, unsigned slot, struct sill_err *e)
{
	struct vhdx *x = b->state;

	*t = (struct tables){ .b = b, .raw = t->raw };
	x->table_slot = slot;
	x->whole = 0;
	vhdio_table_fini(&x->table);
	free(x->dirty);
	x->dirty = NULL;
	memset(x->used, 0, (x->used_count / 64 + 1) * 8);
	if (!take(x, 0, VHDX_MIB) || !take(x, x->log_offset, x->log_length))
		return vhdio_damaged(b, e, "the file is too short");
	if (read_regions(t, e) < 0 || read_metadata(t, e) < 0 || use_metadata(t, e) < 0)
		return -1;
	return read_bat(t, e);
}

/* The first table counts; the second one, if the first leads nowhere. */
static int read_either(struct blk *b, struct tables *t, struct sill_err *e)
{
	const bool first = vhdx_read_regions(b->fd, 0, t->raw) == 0;
	const bool second = vhdx_read_regions(b->fd, 1, t->raw) == 0;
	struct sill_err why = { 0 };
	int ret = read_through(b, t, !first && second, e);

	if (ret == 0 || !first || !second || e->code == SILL_ERR_LIMIT || e->sys != 0 ||
	    read_through(b, t, 1, &why) < 0)
		return ret;
	*e = (struct sill_err){ 0 };
	return 0;
}

/* How long the file has to be is a stranger's word in its log; what nobody uses of that goes again. */
static int trim(struct vhdx *x)
{
	uint64_t end = x->used_count;
	int err;

	while (end > 0 && (x->used[(end - 1) / 64] & 1ull << (end - 1) % 64) == 0)
		end--;
	end *= VHDX_MIB;
	end = end > x->grown_from ? end : x->grown_from;
	if (end >= x->end)
		return 0;
	err = vhdio_truncate(x->fd, end);
	if (err == 0)
		x->end = end;
	return err;
}

int vhdx_read_tables(struct blk *b, struct sill_err *e)
{
	struct vhdx *x = b->state;
	struct tables t = { .b = b, .raw = malloc(VHDX_TABLE) };
	int ret;

	x->used_count = (x->end + VHDX_MIB - 1) / VHDX_MIB;
	x->used = calloc(x->used_count / 64 + 1, 8);
	if (t.raw == NULL || x->used == NULL)
		ret = vhdio_fail(b, ENOMEM, "tables", e);
	else
		ret = read_either(b, &t, e);
	if (ret == 0 && !b->readonly) {
		int err = mend_regions(&t);

		ret = err != 0 ? vhdio_fail(b, err, "region table", e) : 0;
		err = ret == 0 && x->grown_from != 0 ? trim(x) : 0;
		if (err != 0)
			ret = vhdio_fail(b, err, "size", e);
	}
	free(t.raw);
	return ret;
}
