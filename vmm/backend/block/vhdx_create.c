/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhdx_create.c - a new VHDX image, fixed or dynamic ([MS-VHDX] v20180912).
 *
 *   0 identifier   64K, 128K headers   192K, 256K region tables
 *   1M log         2M metadata         3M block table      ... blocks
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "backend/block/vhdx.h"
#include "base/fd.h"

enum {
	TABLE_SIZE = 64 * 1024, /* of regions, and of metadata */
};
#define LOG_AT  (1 * VHDX_MIB)
#define META_AT (2 * VHDX_MIB)
#define BAT_AT  (3 * VHDX_MIB)

/* What we write of them: all but the last. */
enum { ITEMS = VHDX_ITEM_PARENT };

struct new_file {
	const struct sill_image_options *o;
	int fd;
	unsigned chunk_shift;
	uint64_t blocks, bat_length, data_at, end;
	uint8_t *buf; /* owned: a table */
};

static int put(const struct new_file *f, const void *p, size_t n, uint64_t off)
{
	return fd_pwrite_full(f->fd, p, n, (off_t)off) < 0 ? errno : 0;
}

static int random_guid(uint8_t *g)
{
	if (getrandom(g, 16, 0) != 16)
		return EIO;
	g[7] = (uint8_t)((g[7] & 0x0f) | 0x40); /* random (RFC 4122, 4.4) */
	g[8] = (uint8_t)((g[8] & 0x3f) | 0x80);
	return 0;
}

static int plan(struct new_file *f, struct sill_err *e)
{
	const struct sill_image_options *o = f->o;
	uint64_t entries;

	f->chunk_shift = 23 + (unsigned)__builtin_ctz(o->sector_size) -
			 (unsigned)__builtin_ctz(o->block_size);
	f->blocks = o->size / o->block_size + (o->size % o->block_size != 0);
	entries = f->blocks + ((f->blocks - 1) >> f->chunk_shift);
	if (entries > VHDX_MAX_BAT) {
		(void)sill_err_set(e, SILL_ERR_LIMIT,
				   "a disk of this size has more blocks than are supported: %llu",
				   (unsigned long long)f->blocks);
		return sill_err_hint(e, "larger blocks are fewer");
	}
	f->bat_length = (entries * 8 + VHDX_MIB - 1) / VHDX_MIB * VHDX_MIB;
	f->data_at = BAT_AT + f->bat_length;
	f->end = f->data_at + (o->fixed ? f->blocks * o->block_size : 0);
	return 0;
}

static int put_metadata(struct new_file *f)
{
	const struct sill_image_options *o = f->o;
	uint8_t values[40] = { 0 };
	uint32_t at = 0;
	int err;

	memset(f->buf, 0, TABLE_SIZE);
	memcpy(f->buf, "metadata", 8);
	st16(f->buf + 10, ITEMS);
	for (unsigned k = 0; k < ITEMS; k++) {
		uint8_t *p = f->buf + 32 + (size_t)k * 32;

		memcpy(p, vhdx_items[k].id.b, 16);
		st32(p + 16, TABLE_SIZE + at);
		st32(p + 20, vhdx_items[k].size);
		st32(p + 24, vhdx_items[k].flags);
		at += vhdx_items[k].size;
	}
	st32(values, o->block_size);
	st32(values + 4, o->fixed ? VHDX_FILE_KEEP_BLOCKS : 0);
	st64(values + 8, o->size);
	err = random_guid(values + 16);
	st32(values + 32, o->sector_size);
	st32(values + 36, o->physical_size);
	if (err == 0)
		err = put(f, f->buf, TABLE_SIZE, META_AT);
	return err != 0 ? err : put(f, values, sizeof(values), META_AT + TABLE_SIZE);
}

/* All blocks of a fixed disk, in order; sector bitmaps in between are not there. */
static int put_bat(struct new_file *f)
{
	const uint64_t per = TABLE_SIZE / 8;
	const uint64_t entries = f->blocks + ((f->blocks - 1) >> f->chunk_shift);
	const uint64_t chunk = (1ull << f->chunk_shift) + 1;

	for (uint64_t i = 0; i < entries && f->o->fixed; i += per) {
		int err;

		memset(f->buf, 0, TABLE_SIZE);
		for (uint64_t k = i; k < i + per && k < entries; k++) {
			if ((k + 1) % chunk == 0)
				continue;
			st64(f->buf + (k - i) * 8,
			     (f->data_at + (k - k / chunk) * f->o->block_size) | VHDX_PRESENT);
		}
		err = put(f, f->buf, TABLE_SIZE, BAT_AT + i * 8);
		if (err != 0)
			return err;
	}
	return 0;
}

static int put_regions(struct new_file *f)
{
	uint8_t *p = f->buf;
	int err = 0;

	memset(p, 0, TABLE_SIZE);
	memcpy(p, "regi", 4);
	st32(p + 8, 2);
	memcpy(p + 16, vhdx_region_bat.b, 16);
	st64(p + 32, BAT_AT);
	st32(p + 40, (uint32_t)f->bat_length);
	st32(p + 44, 1);
	memcpy(p + 48, vhdx_region_meta.b, 16);
	st64(p + 64, META_AT);
	st32(p + 72, (uint32_t)VHDX_MIB);
	st32(p + 76, 1);
	st32(p + 4, vhdio_crc(0, p, TABLE_SIZE));
	for (unsigned i = 0; i < 2 && err == 0; i++)
		err = put(f, p, TABLE_SIZE, VHDX_HEADERS + i * TABLE_SIZE);
	return err;
}

static int put_headers(struct new_file *f)
{
	struct vhdx_header h = { .version = le16_of(1) };
	uint8_t id[TABLE_SIZE / 8] = VHDX_ID;
	int err;

	memcpy(&h.signature, "head", 4);
	h.log_length = le32_of((uint32_t)VHDX_MIB);
	h.log_offset = le64_of(LOG_AT);
	err = random_guid(h.file_write.b);
	if (err == 0)
		err = random_guid(h.data_write.b);
	for (unsigned i = 0; i < 2 && err == 0; i++) {
		h.sequence = le64_of(i);
		h.checksum = le32_of(0);
		h.checksum = le32_of(vhdio_crc(0, &h, sizeof(h)));
		err = put(f, &h, sizeof(h), VHDX_HEADER_AT * (1ull + i));
	}
	/* Who made it, in UTF-16. */
	for (unsigned i = 0; i < 4; i++)
		id[8 + 2 * i] = (uint8_t) "sill"[i];
	return err != 0 ? err : put(f, id, sizeof(id), 0);
}

int vhdx_options(struct sill_image_options *o, struct sill_err *e)
{
	if (o->sector_size == 0)
		o->sector_size = 512;
	if (o->physical_size == 0)
		o->physical_size = 4096;
	if ((o->sector_size != 512 && o->sector_size != 4096) ||
	    (o->physical_size != 512 && o->physical_size != 4096))
		return sill_err_set(e, SILL_ERR_STATE, "sectors have 512 or 4096 bytes");
	if (o->size % o->sector_size != 0)
		return sill_err_set(e, SILL_ERR_STATE, "the size is not one of whole sectors");
	return 0;
}

int vhdx_create(int fd, const struct sill_image_options *o, struct sill_err *e)
{
	struct new_file f = { .o = o, .fd = fd };
	int err;

	if (plan(&f, e) < 0)
		return -1;
	f.buf = malloc(TABLE_SIZE);
	if (f.buf == NULL)
		return sill_err_sys(e, ENOMEM, "vhdx image");
	err = ftruncate(fd, (off_t)f.end) < 0 ? errno : 0;
	if (err == 0 && o->prealloc == SILL_PREALLOC_FULL)
		err = posix_fallocate(fd, 0, (off_t)f.end);
	if (err == 0)
		err = put_metadata(&f);
	if (err == 0)
		err = put_bat(&f);
	if (err == 0)
		err = put_regions(&f);
	if (err == 0)
		err = put_headers(&f);
	free(f.buf);
	return err != 0 ? sill_err_sys(e, err, "vhdx image") : 0;
}
