/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhdx_look.c - headers, region tables and metadata of a VHDX image, and what they say
 * ([MS-VHDX] 2.2, 2.6).
 *
 * What a writer needs to know about each, vhdx_open.c checks.
 */
#include "backend/block/vhdx.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define SIGN_HEAD 0x64616568u /* "head" */
#define SIGN_REGI 0x69676572u /* "regi" */

/* clang-format off */
const struct vhdx_guid vhdx_region_bat = { {
	0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42, 0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08,
} };
const struct vhdx_guid vhdx_region_meta = { {
	0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b, 0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e,
} };

const struct vhdx_item vhdx_items[VHDX_ITEMS] = {
	[VHDX_ITEM_FILE] = { { { 0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d,
				 0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b } },
			     "file parameters", 8, true, VHDX_REQUIRED },
	[VHDX_ITEM_SIZE] = { { { 0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48,
				 0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8 } },
			     "disk size", 8, true, VHDX_REQUIRED | VHDX_OF_DISK },
	[VHDX_ITEM_ID] = { { { 0xab, 0x12, 0xca, 0xbe, 0xe6, 0xb2, 0x23, 0x45,
			       0x93, 0xef, 0xc3, 0x09, 0xe0, 0x00, 0xc7, 0x46 } },
			   "disk id", 16, false, VHDX_REQUIRED | VHDX_OF_DISK },
	[VHDX_ITEM_LOGICAL] = { { { 0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 0x09, 0x47,
				    0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f } },
				"logical sector size", 4, true, VHDX_REQUIRED | VHDX_OF_DISK },
	[VHDX_ITEM_PHYSICAL] = { { { 0xc7, 0x48, 0xa3, 0xcd, 0x5d, 0x44, 0x71, 0x44,
				     0x9c, 0xc9, 0xe9, 0x88, 0x52, 0x51, 0xc5, 0x56 } },
				 "physical sector size", 4, true, VHDX_REQUIRED | VHDX_OF_DISK },
	[VHDX_ITEM_PARENT] = { { { 0x2d, 0x5f, 0xd3, 0xa8, 0x0b, 0xb3, 0x4d, 0x45,
				   0xab, 0xf7, 0xd3, 0xd8, 0x48, 0x34, 0xab, 0x0c } },
			       "parent locator", 0, false, VHDX_REQUIRED },
};
/* clang-format on */

bool vhdx_is_guid(const void *p, const struct vhdx_guid *g)
{
	return memcmp(p, g, sizeof(*g)) == 0;
}

bool vhdx_is_null(const struct vhdx_guid *g)
{
	static const struct vhdx_guid null;

	return vhdx_is_guid(g, &null);
}

/* --- headers ------------------------------------------------------------ */

bool vhdx_is_header(const struct vhdx_header *h)
{
	struct vhdx_header copy = *h;

	copy.checksum = le32_of(0);
	return le32_get(h->signature) == SIGN_HEAD &&
	       le32_get(h->checksum) == vhdio_crc(0, &copy, sizeof(copy));
}

/* One of the two headers, as it is. */
static int read_header(int fd, unsigned which, struct vhdx_header *ret)
{
	return vhdio_read(fd, ret, sizeof(*ret), VHDX_HEADER_AT * (1ull + which));
}

int vhdx_find_header(int fd, struct vhdx_header *ret, unsigned *ret_slot)
{
	bool found = false;

	for (unsigned i = 0; i < 2; i++) {
		struct vhdx_header h;
		const int err = read_header(fd, i, &h);

		if (err != 0)
			return err;
		if (!vhdx_is_header(&h) ||
		    (found && le64_get(h.sequence) <= le64_get(ret->sequence)))
			continue;
		*ret = h;
		*ret_slot = i;
		found = true;
	}
	return found ? 0 : EINVAL;
}

/* --- regions and items -------------------------------------------------- */

int vhdx_read_regions(int fd, unsigned which, uint8_t *table)
{
	int err = vhdio_read(fd, table, VHDX_TABLE, VHDX_HEADERS + which * (uint64_t)VHDX_TABLE);
	uint32_t sum;
	bool good;

	if (err != 0)
		return err;
	sum = ld32(table + 4);
	st32(table + 4, 0);
	good = ld32(table) == SIGN_REGI && ld32(table + 8) <= VHDX_MAX_TABLE &&
	       vhdio_crc(0, table, VHDX_TABLE) == sum;
	st32(table + 4, sum);
	return good ? 0 : EINVAL;
}

uint8_t *vhdx_region(uint8_t *table, uint32_t i)
{
	return table + VHDX_REGIONS_AT + (size_t)i * VHDX_TABLE_ENTRY;
}

const uint8_t *vhdx_item(const uint8_t *table, uint32_t i)
{
	return table + VHDX_ITEMS_AT + (size_t)i * VHDX_TABLE_ENTRY;
}

unsigned vhdx_which_item(const uint8_t *p)
{
	unsigned k = 0;

	while (k < VHDX_ITEMS && !vhdx_is_guid(p, &vhdx_items[k].id))
		k++;
	return k;
}

/* --- for people, and for who is to use it ------------------------------- */

unsigned vhdx_is(const struct blk_look *l)
{
	return memcmp(l->front, VHDX_ID, 8) == 0 ? 2 : 0;
}

/* Where the metadata are, by the first of the two region tables that says so; 0: neither does. */
static int find_metadata(int fd, uint8_t *table, uint64_t *ret_at)
{
	*ret_at = 0;
	for (unsigned which = 0; which < 2 && *ret_at == 0; which++) {
		const int err = vhdx_read_regions(fd, which, table);

		if (err == EINVAL)
			continue;
		if (err != 0)
			return err;
		for (uint32_t i = 0; i < ld32(table + 8); i++)
			if (vhdx_is_guid(vhdx_region(table, i), &vhdx_region_meta))
				*ret_at = ld64(vhdx_region(table, i) + 16);
	}
	return 0;
}

static int read_items(int fd, uint8_t *table, uint64_t at, struct sill_image_info *f)
{
	uint64_t value[VHDX_ITEMS + 1] = { 0 };
	int err = vhdio_read(fd, table, VHDX_TABLE, at);

	for (unsigned i = 0; err == 0 && i < ld16(table + 10) && i < VHDX_MAX_TABLE; i++) {
		const uint8_t *p = vhdx_item(table, i);
		const unsigned k = vhdx_which_item(p);
		uint8_t bytes[8] = { 0 };

		if (k == VHDX_ITEMS || vhdx_items[k].size == 0 || vhdx_items[k].size > 8)
			continue;
		err = vhdio_read(fd, bytes, vhdx_items[k].size, at + ld32(p + 16));
		value[k] = ld64(bytes);
	}
	f->block_size = (uint32_t)value[VHDX_ITEM_FILE];
	f->fixed = (value[VHDX_ITEM_FILE] >> 32 & VHDX_FILE_KEEP_BLOCKS) != 0;
	f->differencing = (value[VHDX_ITEM_FILE] >> 32 & VHDX_FILE_HAS_PARENT) != 0;
	f->size = value[VHDX_ITEM_SIZE];
	f->sector_size = (uint32_t)value[VHDX_ITEM_LOGICAL];
	f->physical_size = (uint32_t)value[VHDX_ITEM_PHYSICAL];
	return err;
}

int vhdx_look(const struct blk_look *l, struct sill_image_info *ret, struct sill_err *e)
{
	struct vhdx_header h = { .version = le16_of(0) };
	uint8_t *table;
	uint64_t at;
	unsigned slot;
	int err;

	if (vhdx_is(l) == 0)
		return blk_look_is_none(l, "its first bytes are not 'vhdxfile'", e);
	/* What has no region tables has no disk. */
	if (l->size < VHDX_MIB)
		return blk_look_bad(l, "it has no header: it was cut off or damaged", e);
	err = vhdx_find_header(l->fd, &h, &slot);
	if (err == EINVAL && l->to_use)
		return blk_look_bad(l, "it has no header: it was cut off or damaged", e);
	if (l->to_use)
		return err != 0 ? sill_err_sys(e, err, "header of '%.150s'", l->path) : 0;
	ret->has_log = err == 0 && !vhdx_is_null(&h.log);
	table = malloc(VHDX_TABLE);
	err = table == NULL ? ENOMEM : find_metadata(l->fd, table, &at);
	if (err == 0 && at != 0)
		err = read_items(l->fd, table, at, ret);
	free(table);
	if (err != 0)
		return sill_err_sys(e, err, "metadata of '%.150s'", l->path);
	return at == 0 ? blk_look_bad(l, "both of its region tables are damaged", e) : 0;
}
