/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_image.c - what `sill image` does with an image that is all the attacker's:
 * described, checked, repaired, mapped, copied, grown, put on top of another.
 *
 * Input: a byte that picks the image, a byte that picks what is done, then
 * pieces { where, length, bytes }: three bytes of place (in units of 8 bytes), one
 * of length, and so many bytes. They are laid over an image that is right.
 *
 * Beside the sanitizers: a repair changes no sector that could be read before.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "sill/image.h"

enum { SECTORS = 512, SECTOR = 512 };

/* clang-format off */
static const struct sill_image_options kinds[] = {
	{ .format = SILL_DISK_QCOW2, .block_size = 512 },
	{ .format = SILL_DISK_QCOW2, .block_size = 512, .prealloc = SILL_PREALLOC_METADATA },
	{ .format = SILL_DISK_QCOW2, .block_size = 16384, .subclusters = true, .prealloc = SILL_PREALLOC_METADATA },
	{ .format = SILL_DISK_QCOW2, .block_size = 512, .version = 2, .prealloc = SILL_PREALLOC_METADATA },
	{ .format = SILL_DISK_QCOW2, .block_size = 512, .refcount_bits = 1, .prealloc = SILL_PREALLOC_METADATA },
	{ .format = SILL_DISK_VHD, .block_size = 512 * 1024 },
	{ .format = SILL_DISK_VHD, .fixed = true },
	{ .format = SILL_DISK_VHDX, .block_size = 1024 * 1024 },
};
/* clang-format on */

static void mutate(int fd, const uint8_t *p, size_t n)
{
	while (n >= 4) {
		const off_t at = (off_t)(p[0] | p[1] << 8 | (p[2] & 7) << 16) * 8;
		size_t size = p[3] % 65;

		p += 4;
		n -= 4;
		size = size < n ? size : n;
		(void)!pwrite(fd, p, size, at);
		p += size;
		n -= size;
	}
}

static struct sill_image *open_it(int fd, enum sill_disk_format format, bool readonly)
{
	const struct sill_image_source s = {
		.fd = dup(fd), .path = "image", .format = format, .readonly = readonly
	};
	struct sill_err e = { 0 };

	return sill_image_open(&s, &e);
}

/* The first sectors; those that cannot be read are not @ret_good. False: it cannot be opened. */
static bool read_all(int fd, enum sill_disk_format format, uint8_t *bytes, bool *ret_good)
{
	struct sill_image *i = open_it(fd, format, true);

	if (i == NULL)
		return false;
	for (unsigned k = 0; k < SECTORS; k++) {
		struct sill_err e = { 0 };

		ret_good[k] = (uint64_t)(k + 1) * SECTOR <= sill_image_size(i) &&
			      sill_image_read(i, bytes + (size_t)k * SECTOR, SECTOR,
					      (uint64_t)k * SECTOR, &e) == 0;
	}
	sill_image_close(i);
	return true;
}

static void try_repair(int fd, enum sill_disk_format format)
{
	static uint8_t before[SECTORS * SECTOR], after[SECTORS * SECTOR];
	static bool good[SECTORS], still[SECTORS];
	const struct sill_image_checking how = {
		.fd = fd, .path = "image", .format = format, .repair = true
	};
	const bool could = read_all(fd, format, before, good);
	struct sill_image_check r;
	struct sill_err e = { 0 };

	if (sill_image_check(&how, &r, &e) < 0 || !could)
		return;
	assert(read_all(fd, format, after, still));
	for (unsigned k = 0; k < SECTORS; k++)
		if (good[k])
			assert(still[k] && memcmp(before + (size_t)k * SECTOR,
						  after + (size_t)k * SECTOR, SECTOR) == 0);
}

static void walk_and_copy(int fd, enum sill_disk_format format)
{
	struct sill_image *i = open_it(fd, format, true);
	struct sill_image_copy c = { .from = i, .is_new = true, .workers = 1 };
	struct sill_image_source to = { .fd = -1, .path = "copy" };
	struct sill_image_extent x = { .length = 0 };
	struct sill_err e = { 0 };
	uint64_t size;
	int out;

	if (i == NULL)
		return;
	size = sill_image_size(i);
	for (uint64_t at = 0, k = 0; at < size && k < 4096; at += x.length, k++) {
		if (sill_image_extent(i, at, size - at, 16, &x, &e) < 0)
			break;
		assert(x.offset == at && x.length > 0 && x.length <= size - at);
	}
	if (size <= 16 * 1024 * 1024) {
		out = memfd_create("copy", MFD_CLOEXEC);
		assert(out >= 0 && ftruncate(out, (off_t)size) == 0);
		to.fd = out;
		c.to = sill_image_open(&to, &e);
		assert(c.to != NULL);
		(void)sill_image_copy(&c, &e);
		sill_image_close(c.to);
	}
	sill_image_close(i);
}

static void try_growing(int fd, enum sill_disk_format format, uint8_t how)
{
	struct sill_image *i = open_it(fd, format, false);
	struct sill_err e = { 0 };
	unsigned shift;

	if (i == NULL)
		return;
	/* So far now and then that tables must move. */
	shift = format == SILL_DISK_VHDX ? 30 : (how & 4) != 0 ? 20 : 12;
	(void)sill_image_grow(i, sill_image_size(i) + ((uint64_t)how << shift), &e);
	sill_image_close(i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sill_image_info info;
	struct sill_image_options o;
	enum sill_disk_format told;
	struct sill_err e = { 0 };
	struct stat st;
	int fd;

	if (size < 2)
		return 0;
	o = kinds[data[0] % ARRAY_LEN(kinds)];
	o.size = SECTORS * SECTOR;
	fd = memfd_create("image", MFD_CLOEXEC);
	assert(fd >= 0 && sill_image_create(fd, &o, &e) == 0);
	mutate(fd, data + 2, size - 2);
	(void)sill_image_tell(fd, &told, &e);
	for (unsigned k = 0; k < 4; k++) {
		e = (struct sill_err){ 0 };
		(void)sill_image_info(fd, "image", (enum sill_disk_format)k, &info, &e);
	}
	e = (struct sill_err){ 0 };
	switch (data[1] % 4) {
	case 0:
		try_repair(fd, o.format);
		break;
	case 1:
		walk_and_copy(fd, o.format);
		break;
	case 2:
		try_growing(fd, o.format, data[1]);
		break;
	default:
		if (o.format == SILL_DISK_QCOW2)
			(void)sill_image_set_backing(fd, "image",
						     (data[1] & 4) != 0 ? "below" : NULL,
						     SILL_DISK_RAW, &e);
		break;
	}
	assert(fstat(fd, &st) == 0);
	(void)close(fd);
	return 0;
}
