/* SPDX-License-Identifier: Apache-2.0 */
/* create.c - what is usual, what fits together, and who makes it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/block/create.h"
#include "image/image.h"

#define KIB 1024ull
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define TIB (1024 * GIB)

/* What the formats allow. */
static const struct kind {
	uint32_t usual, least, most; /* bytes of a block */
	uint64_t max_size;
	unsigned sector; /* what a size is a multiple of */
} kinds[] = {
	[SILL_DISK_RAW] = { .max_size = INT64_MAX },
	[SILL_DISK_QCOW2] = { 64 * KIB, 512, 2 * MIB, 1ull << 62, 512 },
	[SILL_DISK_VHD] = { 2 * MIB, 512 * KIB, 256 * MIB, 2040 * GIB, 512 },
	[SILL_DISK_VHDX] = { 32 * MIB, MIB, 256 * MIB, 64 * TIB, 512 },
};

static bool is_power(uint64_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

static int check_size(const struct sill_image_options *o, struct sill_err *e)
{
	const struct kind *k = &kinds[o->format];

	if (o->size == 0 || o->size % 512 != 0) {
		(void)sill_err_set(e, SILL_ERR_STATE, "a disk has sectors: a size of %llu is none",
				   (unsigned long long)o->size);
		return sill_err_hint(e, "write a multiple of 512 bytes, for example 20G");
	}
	if (o->size > k->max_size)
		return sill_err_set(e, SILL_ERR_LIMIT, "%s has disks of at most %llu GiB",
				    sill_image_format_name(o->format),
				    (unsigned long long)(k->max_size / GIB));
	return 0;
}

static int check_blocks(struct sill_image_options *o, struct sill_err *e)
{
	const struct kind *k = &kinds[o->format];

	if (o->block_size == 0)
		o->block_size = k->usual;
	if (k->usual == 0)
		return o->block_size == 0 ? 0
					  : sill_err_set(e, SILL_ERR_STATE,
							 "raw has no blocks to set a size of");
	if (!is_power(o->block_size) || o->block_size < k->least || o->block_size > k->most)
		return sill_err_set(e, SILL_ERR_STATE,
				    "%s: blocks are a power of two from %u to %u bytes",
				    sill_image_format_name(o->format), k->least, k->most);
	return 0;
}

static int check_qcow2(struct sill_image_options *o, struct sill_err *e)
{
	if (o->version == 0)
		o->version = 3;
	if (o->refcount_bits == 0)
		o->refcount_bits = 16;
	if (o->version != 2 && o->version != 3)
		return sill_err_set(e, SILL_ERR_STATE, "qcow2 has versions 2 and 3");
	if (!is_power(o->refcount_bits) || o->refcount_bits > 64)
		return sill_err_set(e, SILL_ERR_STATE,
				    "refcounts have 1, 2, 4, 8, 16, 32 or 64 bits");
	if (o->version == 2 &&
	    (o->refcount_bits != 16 || o->subclusters || o->lazy_refcounts || o->zstd)) {
		(void)sill_err_set(e, SILL_ERR_STATE,
				   "version 2 has refcounts of 16 bits, no subclusters, no lazy "
				   "refcounts and no zstd");
		return sill_err_hint(e, "version 3 has them");
	}
	if (o->subclusters && o->block_size < 16 * KIB)
		return sill_err_set(e, SILL_ERR_STATE,
				    "subclusters need clusters of at least 16 KiB");
	if (o->data_file != NULL && (o->version == 2 || o->prealloc != SILL_PREALLOC_OFF))
		return sill_err_set(e, SILL_ERR_STATE,
				    "an image with a data file has version 3, and begins empty");
	if (o->backing != NULL && o->prealloc != SILL_PREALLOC_OFF)
		return sill_err_set(e, SILL_ERR_STATE,
				    "preallocated clusters would hide what is in the backing file");
	if (o->backing != NULL && o->backing_format != SILL_DISK_RAW &&
	    o->backing_format != SILL_DISK_QCOW2)
		return sill_err_set(e, SILL_ERR_STATE, "a backing file is raw or qcow2");
	return 0;
}

/* What belongs to another format. */
static int check_others(const struct sill_image_options *o, struct sill_err *e)
{
	const bool qcow2 = o->format == SILL_DISK_QCOW2;
	const bool vhd = o->format == SILL_DISK_VHD || o->format == SILL_DISK_VHDX;
	const char *what = NULL;

	if (!qcow2 && o->backing != NULL)
		what = "a backing file";
	else if (!qcow2 && o->data_file != NULL)
		what = "a data file";
	else if (!qcow2 && o->zstd)
		what = "compressed clusters";
	else if (!qcow2 &&
		 (o->version != 0 || o->refcount_bits != 0 || o->subclusters || o->lazy_refcounts))
		what = "versions, refcounts and subclusters";
	else if (!vhd && o->fixed)
		what = "fixed disks";
	else if (o->format != SILL_DISK_VHDX &&
		 (o->physical_size != 0 || (o->sector_size != 0 && o->sector_size != 512)))
		what = "sectors of another size";
	else if (vhd && !o->fixed && o->prealloc != SILL_PREALLOC_OFF)
		what = "preallocation without 'fixed'";
	if (what == NULL)
		return 0;
	return sill_err_set(e, SILL_ERR_STATE, "%s has no %s", sill_image_format_name(o->format),
			    what[0] == 'a' && what[1] == ' ' ? what + 2 : what);
}

int image_options_check(struct sill_image_options *o, struct sill_err *e)
{
	if (check_size(o, e) < 0 || check_others(o, e) < 0 || check_blocks(o, e) < 0)
		return -1;
	if (o->format == SILL_DISK_QCOW2)
		return check_qcow2(o, e);
	if (o->format != SILL_DISK_VHDX)
		return 0;
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

static int raw_create(int fd, const struct sill_image_options *o, struct sill_err *e)
{
	int err = ftruncate(fd, (off_t)o->size) < 0 ? errno : 0;

	if (err == 0 && o->prealloc == SILL_PREALLOC_FULL)
		err = posix_fallocate(fd, 0, (off_t)o->size);
	return err != 0 ? sill_err_sys(e, err, "raw image") : 0;
}

int sill_image_create(int fd, const struct sill_image_options *given, struct sill_err *e)
{
	struct sill_image_options o = *given;
	struct stat st;

	if (image_options_check(&o, e) < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return sill_err_sys(e, errno, "new image");
	if (!S_ISREG(st.st_mode) || st.st_size != 0)
		return sill_err_set(e, SILL_ERR_STATE,
				    "a new image is made in an empty regular file");
	switch (o.format) {
	case SILL_DISK_RAW:
		return raw_create(fd, &o, e);
	case SILL_DISK_QCOW2:
		return qcow2_create(fd, &o, e);
	case SILL_DISK_VHD:
		return vhd_create(fd, &o, e);
	case SILL_DISK_VHDX:
		return vhdx_create(fd, &o, e);
	}
	return sill_err_set(e, SILL_ERR_INTERNAL, "no such format");
}
