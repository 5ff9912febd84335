/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhd_create.c - a new VHD image, fixed or dynamic (specification v1.0, 2006).
 *
 *   fixed     data, footer
 *   dynamic   copy of the footer, header, BAT, footer
 *
 * The size is the one asked for: beside it stands a geometry, which is rounded.
 * Programs differ in which of the two they go by, and some decide it by who
 * made the image; so that all take the size, the maker is given as Windows.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "backend/block/vhd.h"
#include "base/fd.h"
#include "base/le.h"

enum {
	TABLE_AT = VHD_FOOTER + VHD_HEADER,
	EPOCH_2000 = 946684800, /* of time stamps, in seconds since 1970 */
};

static void be32_at(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

static void be64_at(uint8_t *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof(v));
}

/* Cylinders, heads and sectors, as the appendix of the specification has it. */
static uint32_t geometry(uint64_t sectors)
{
	uint32_t total = sectors > 65535u * 16 * 255 ? 65535u * 16 * 255 : (uint32_t)sectors;
	uint32_t per_track = 17, heads, rows;

	if (total >= 65535u * 16 * 63) {
		per_track = 255;
		heads = 16;
		rows = total / per_track;
	} else {
		rows = total / per_track;
		heads = (rows + 1023) / 1024;
		heads = heads < 4 ? 4 : heads;
		if (rows >= heads * 1024 || heads > 16) {
			per_track = 31;
			heads = 16;
			rows = total / per_track;
		}
		if (rows >= heads * 1024) {
			per_track = 63;
			heads = 16;
			rows = total / per_track;
		}
	}
	return (rows / heads) << 16 | heads << 8 | per_track;
}

void vhd_footer_set_size(uint8_t *f, uint64_t size)
{
	memcpy(f + 28, "win ", 4);
	be32_at(f + 32, 0x000a0000);
	memcpy(f + 36, "Wi2k", 4);
	be64_at(f + 48, size);
	be32_at(f + 56, geometry(size / VHD_SECTOR));
	be32_at(f + 64, vhd_checksum(f, VHD_FOOTER, 64));
}

static int make_footer(uint8_t *f, const struct sill_image_options *o)
{
	const time_t now = time(NULL);

	memset(f, 0, VHD_FOOTER);
	memcpy(f, "conectix", 8);
	be32_at(f + 8, 2); /* reserved, always set */
	be32_at(f + 12, 0x10000);
	be64_at(f + 16, o->fixed ? UINT64_MAX : VHD_FOOTER);
	be32_at(f + 24, now > EPOCH_2000 ? (uint32_t)(now - EPOCH_2000) : 0);
	be64_at(f + 40, o->size);
	be32_at(f + 60, o->fixed ? VHD_FIXED : VHD_DYNAMIC);
	if (getrandom(f + 68, 16, 0) != 16)
		return EIO;
	vhd_footer_set_size(f, o->size);
	return 0;
}

static int put(int fd, const void *p, size_t n, uint64_t off)
{
	return fd_pwrite_full(fd, p, n, (off_t)off) < 0 ? errno : 0;
}

static int create_dynamic(int fd, const struct sill_image_options *o, const uint8_t *footer)
{
	const uint64_t blocks = o->size / o->block_size + (o->size % o->block_size != 0);
	const uint64_t table = (blocks * 4 + VHD_SECTOR - 1) / VHD_SECTOR * VHD_SECTOR;
	uint8_t header[VHD_HEADER] = "cxsparse";
	uint8_t none[4096];
	int err = 0;

	be64_at(header + 8, UINT64_MAX);
	be64_at(header + 16, TABLE_AT);
	be32_at(header + 24, 0x10000);
	be32_at(header + 28, (uint32_t)blocks);
	be32_at(header + 32, o->block_size);
	be32_at(header + 36, vhd_checksum(header, sizeof(header), 36));
	memset(none, 0xff, sizeof(none));
	for (uint64_t at = 0; at < table && err == 0; at += sizeof(none))
		err = put(fd, none, table - at < sizeof(none) ? (size_t)(table - at) : sizeof(none),
			  TABLE_AT + at);
	if (err == 0)
		err = put(fd, header, sizeof(header), VHD_FOOTER);
	if (err == 0)
		err = put(fd, footer, VHD_FOOTER, TABLE_AT + table);
	return err != 0 ? err : put(fd, footer, VHD_FOOTER, 0);
}

static int create_fixed(int fd, const struct sill_image_options *o, const uint8_t *footer)
{
	int err = ftruncate(fd, (off_t)o->size) < 0 ? errno : 0;

	if (err == 0 && o->prealloc == SILL_PREALLOC_FULL)
		err = posix_fallocate(fd, 0, (off_t)o->size);
	return err != 0 ? err : put(fd, footer, VHD_FOOTER, o->size);
}

int vhd_create(int fd, const struct sill_image_options *o, struct sill_err *e)
{
	uint8_t footer[VHD_FOOTER];
	int err = make_footer(footer, o);

	if (err == 0)
		err = o->fixed ? create_fixed(fd, o, footer) : create_dynamic(fd, o, footer);
	return err != 0 ? sill_err_sys(e, err, "vhd image") : 0;
}

uint64_t vhd_block_bytes(const struct sill_image_options *o)
{
	const uint64_t bitmap = o->block_size / VHD_SECTOR / 8;

	return o->block_size + ((bitmap + VHD_SECTOR - 1) & ~(uint64_t)(VHD_SECTOR - 1));
}
