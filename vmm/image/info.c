/* SPDX-License-Identifier: Apache-2.0 */
/*
 * info.c - what a header says, without believing it: no table is read, nothing
 * is opened, and an image too broken to be used can still be looked at.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fs.h>

#include "backend/block/qcow2.h"
#include "backend/block/vhd.h"
#include "backend/block/vhdx.h"
#include "base/fd.h"
#include "base/le.h"
#include "image/foreign.h"
#include "sill/image.h"

enum {
	QCOW2_HEAD = 64 * 1024, /* how much of the first cluster is looked at */
	EXT_BACKING_FORMAT = 0xe2792aca,
	EXT_BITMAPS = 0x23852875,
	EXT_LUKS = 0x0537be77,
	EXT_DATA_FILE = 0x44415441,
	VHDX_META_TABLE = 64 * 1024,
};

/* What there is of [off, off + n), zeroes beyond the end. */
static int read_some(int fd, uint8_t *p, size_t n, uint64_t off)
{
	size_t done = 0;

	memset(p, 0, n);
	while (done < n && off <= INT64_MAX - n) {
		const ssize_t got = pread(fd, p + done, n - done, (off_t)(off + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno;
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return 0;
}

static int file_size(int fd, uint64_t *ret_size, uint64_t *ret_host)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return errno;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return EINVAL;
	*ret_size = (uint64_t)st.st_size;
	*ret_host = (uint64_t)st.st_blocks * 512;
	if (S_ISBLK(st.st_mode) && ioctl(fd, BLKGETSIZE64, ret_size) < 0)
		return errno;
	return 0;
}

/* The footer at the end counts with its checksum only: a raw disk may hold anything. */
static bool is_vhd_footer(const uint8_t *f)
{
	uint32_t sum = 0;

	if (memcmp(f, "conectix", 8) != 0)
		return false;
	for (unsigned i = 0; i < VHD_FOOTER; i++)
		sum += i < 64 || i >= 68 ? f[i] : 0;
	return qcow2_be32(f + 64) == ~sum;
}

static int vhd_footer(int fd, uint64_t size, uint8_t *ret, bool *ret_found)
{
	bool is_short;
	int err = 0;

	*ret_found = false;
	if (size < VHD_FOOTER)
		return 0;
	err = read_some(fd, ret, VHD_FOOTER, size - VHD_FOOTER);
	if (err == 0 && !vhd_find_footer(ret, &is_short))
		err = read_some(fd, ret, VHD_FOOTER, 0);
	*ret_found = err == 0 && is_vhd_footer(ret);
	return err;
}

int sill_image_tell(int fd, enum sill_disk_format *ret_format, struct sill_err *e)
{
	uint8_t head[8], footer[VHD_FOOTER];
	uint64_t size, host;
	bool vhd = false;
	int err = file_size(fd, &size, &host);

	if (err == 0)
		err = read_some(fd, head, sizeof(head), 0);
	if (err == 0)
		err = vhd_footer(fd, size, footer, &vhd);
	if (err != 0)
		return sill_err_sys(e, err, "header");
	*ret_format = SILL_DISK_RAW;
	if (memcmp(head, "QFI\xfb", 4) == 0 && head[4] == 0 && head[5] == 0 && head[6] == 0 &&
	    (head[7] == 2 || head[7] == 3))
		*ret_format = SILL_DISK_QCOW2;
	else if (memcmp(head, "vhdxfile", 8) == 0)
		*ret_format = SILL_DISK_VHDX;
	else if (vhd)
		*ret_format = SILL_DISK_VHD;
	return 0;
}

static int look_foreign(int fd, uint64_t size, struct sill_image_foreign *ret)
{
	uint8_t *p = malloc(FOREIGN_HEAD + 1 + FOREIGN_TAIL);
	int err = p == NULL ? ENOMEM : read_some(fd, p, FOREIGN_HEAD, 0);

	if (err == 0 && size >= FOREIGN_TAIL)
		err = read_some(fd, p + FOREIGN_HEAD + 1, FOREIGN_TAIL, size - FOREIGN_TAIL);
	else if (err == 0)
		memset(p + FOREIGN_HEAD + 1, 0, FOREIGN_TAIL);
	if (err == 0) {
		p[FOREIGN_HEAD] = '\0';
		foreign_look(p, p + FOREIGN_HEAD + 1, ret);
	}
	free(p);
	return err;
}

/* What a raw file looks like. */
static int info_raw(int fd, const char *path, struct sill_image_info *f, struct sill_err *e)
{
	enum sill_disk_format told;
	int err;

	f->size = (f->file_size + 511) & ~511ull; /* raw.c fills up the last sector */
	if (sill_image_tell(fd, &told, e) < 0)
		return -1;
	if (told == SILL_DISK_RAW) {
		err = look_foreign(fd, f->file_size, &f->foreign);
		return err != 0 ? sill_err_sys(e, err, "'%s'", path) : 0;
	}
	f->foreign.kind = SILL_FOREIGN_OURS;
	f->foreign.name = sill_image_format_name(told);
	return 0;
}

/* --- qcow2 ---------------------------------------------------------------- */

static int is_broken(const char *path, const char *what, struct sill_err *e)
{
	return sill_err_set(e, SILL_ERR_HOST, "'%s': %s", path, what);
}

/* It is not of the format that was asked for. Of which is it? */
static int is_another(int fd, const char *path, const char *what, struct sill_err *e)
{
	enum sill_disk_format told = SILL_DISK_RAW;
	struct sill_image_foreign f = { .kind = SILL_FOREIGN_NONE };
	struct sill_err unused = { 0 };
	uint64_t size, host;

	(void)is_broken(path, what, e);
	if (sill_image_tell(fd, &told, &unused) == 0 && told != SILL_DISK_RAW)
		return sill_err_hint(e, "its header says that it is %s",
				     sill_image_format_name(told));
	if (file_size(fd, &size, &host) != 0 || look_foreign(fd, size, &f) != 0)
		return -1;
	if (f.kind == SILL_FOREIGN_DISK)
		return sill_err_hint(e, "it is a %s image: %s makes one of ours of it", f.name,
				     f.with);
	if (f.kind == SILL_FOREIGN_PACKED || f.kind == SILL_FOREIGN_ARCHIVE)
		return sill_err_hint(e, "it is a %s file: unpack it first, with %s", f.name,
				     f.with);
	if (f.kind == SILL_FOREIGN_CONTENT)
		return sill_err_hint(e, "it begins with %s: as a disk that is raw", f.name);
	return -1;
}

static void extension(struct sill_image_info *f, uint32_t type, const uint8_t *data, uint32_t n)
{
	switch (type) {
	case EXT_BACKING_FORMAT:
		if (n >= sizeof(f->backing_format_said))
			return;
		memcpy(f->backing_format_said, data, n);
		f->has_backing_format =
			sill_image_format_find(f->backing_format_said, &f->backing_format);
		return;
	case EXT_DATA_FILE:
		if (n <= SILL_IMAGE_MAX_NAME)
			memcpy(f->data_file, data, n);
		return;
	case EXT_BITMAPS:
		f->has_bitmaps = true;
		return;
	case EXT_LUKS:
		f->encrypted = true;
		return;
	default:
		return;
	}
}

static int read_qcow2(int fd, const uint8_t *p, const char *path, struct sill_image_info *f,
		      struct sill_err *e)
{
	const uint32_t bits = qcow2_be32(p + 20), name = qcow2_be32(p + 16);
	const uint64_t name_at = qcow2_be64(p + 8);
	uint64_t length = 72, incompat = 0;

	if (memcmp(p, "QFI\xfb", 4) != 0)
		return is_another(fd, path,
				  "it is no qcow2 image: its first bytes are not 'QFI\\xfb'", e);
	f->version = qcow2_be32(p + 4);
	if (f->version != 2 && f->version != 3)
		return is_another(fd, path, "a qcow2 image of a version other than 2 and 3", e);
	if (bits < 9 || bits > 21)
		return is_broken(path, "the cluster size is not one from 512 bytes to 2 MiB", e);
	f->block_size = 1u << bits;
	f->size = qcow2_be64(p + 24);
	f->encrypted = qcow2_be32(p + 32) != 0;
	f->snapshots = qcow2_be32(p + 60);
	f->refcount_bits = 16;
	if (f->version == 3) {
		const uint32_t order = qcow2_be32(p + 96);

		incompat = qcow2_be64(p + QCOW2_AT_INCOMPAT);
		length = qcow2_be32(p + 100);
		f->lazy_refcounts = (qcow2_be64(p + 80) & 1) != 0;
		f->data_raw = (qcow2_be64(p + QCOW2_AT_AUTOCLEAR) & QCOW2_AUTOCLEAR_RAW) != 0;
		f->refcount_bits = order <= 6 ? 1u << order : 0;
		f->zstd = length > 104 && p[104] == 1;
	}
	f->dirty = (incompat & QCOW2_INCOMPAT_DIRTY) != 0;
	f->corrupt = (incompat & QCOW2_INCOMPAT_CORRUPT) != 0;
	f->has_data_file = (incompat & QCOW2_INCOMPAT_DATA_FILE) != 0;
	f->subclusters = (incompat & QCOW2_INCOMPAT_SUBCLUSTERS) != 0;
	if (name_at != 0) {
		if (name > SILL_IMAGE_MAX_NAME || name_at > QCOW2_HEAD - name)
			return is_broken(path, "the name of its backing file is out of bounds", e);
		memcpy(f->backing, p + name_at, name);
	}
	for (uint64_t at = length; at + 8 <= QCOW2_HEAD && at + 8 <= f->block_size;) {
		const uint32_t type = qcow2_be32(p + at), n = qcow2_be32(p + at + 4);

		if (type == 0 || n > QCOW2_HEAD - at - 8)
			break;
		extension(f, type, p + at + 8, n);
		at += 8 + (((uint64_t)n + 7) & ~7ull);
	}
	return 0;
}

static int info_qcow2(int fd, const char *path, struct sill_image_info *f, struct sill_err *e)
{
	uint8_t *p = malloc(QCOW2_HEAD);
	int err = p == NULL ? ENOMEM : read_some(fd, p, QCOW2_HEAD, 0), ret;

	ret = err != 0 ? sill_err_sys(e, err, "header of '%s'", path)
		       : read_qcow2(fd, p, path, f, e);
	free(p);
	return ret;
}

/* --- vhd ------------------------------------------------------------------ */

static int info_vhd(int fd, const char *path, struct sill_image_info *f, struct sill_err *e)
{
	uint8_t footer[VHD_FOOTER], header[64];
	bool found;
	int err = vhd_footer(fd, f->file_size, footer, &found);

	if (err != 0)
		return sill_err_sys(e, err, "footer of '%s'", path);
	if (!found)
		return is_another(fd, path, "it is no vhd image: there is no footer at its end", e);
	f->size = qcow2_be64(footer + 48);
	f->fixed = qcow2_be32(footer + 60) == VHD_FIXED;
	f->differencing = qcow2_be32(footer + 60) == VHD_DIFFERENCING;
	if (f->fixed)
		return 0;
	err = read_some(fd, header, sizeof(header), qcow2_be64(footer + 16));
	if (err != 0)
		return sill_err_sys(e, err, "header of '%s'", path);
	if (memcmp(header, "cxsparse", 8) != 0)
		return is_broken(path, "its second header is damaged", e);
	f->block_size = qcow2_be32(header + 32);
	return 0;
}

/* --- vhdx ----------------------------------------------------------------- */

/* Where the metadata are, by the first of the two region tables that says so. */
static int find_metadata(int fd, uint8_t *table, uint64_t *ret_at)
{
	static const uint8_t meta[8] = { 0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b };

	*ret_at = 0;
	for (unsigned i = 0; i < 2 && *ret_at == 0; i++) {
		int err = read_some(fd, table, VHDX_META_TABLE,
				    VHDX_HEADERS + (uint64_t)i * VHDX_META_TABLE);

		if (err != 0)
			return err;
		if (memcmp(table, "regi", 4) != 0)
			continue;
		for (uint32_t k = 0; k < ld32(table + 8) && k < 2047; k++)
			if (memcmp(table + 16 + (size_t)k * 32, meta, sizeof(meta)) == 0)
				*ret_at = ld64(table + 16 + (size_t)k * 32 + 16);
	}
	return 0;
}

static int read_items(int fd, uint8_t *table, uint64_t at, struct sill_image_info *f)
{
	/* The first bytes of the ids of: file parameters, size, logical and physical sectors. */
	static const uint32_t ids[] = { 0xcaa16737, 0x2fa54224, 0x8141bf1d, 0xcda348c7 };
	uint64_t value[ARRAY_LEN(ids)] = { 0 };
	int err = read_some(fd, table, VHDX_META_TABLE, at);

	for (unsigned i = 0; i < ld16(table + 10) && i < 2047 && err == 0; i++) {
		const uint8_t *p = table + 32 + (size_t)i * 32;
		uint8_t bytes[8];

		for (unsigned k = 0; k < ARRAY_LEN(ids) && err == 0; k++)
			if (ld32(p) == ids[k]) {
				err = read_some(fd, bytes, sizeof(bytes), at + ld32(p + 16));
				value[k] = ld64(bytes);
			}
	}
	f->block_size = (uint32_t)value[0];
	f->fixed = (value[0] >> 32 & 1) != 0;
	f->differencing = (value[0] >> 32 & 2) != 0;
	f->size = value[1];
	f->sector_size = (uint32_t)value[2];
	f->physical_size = (uint32_t)value[3];
	return err;
}

/* The current header is the one with the greater number. */
static int read_log(int fd, struct sill_image_info *f)
{
	uint64_t best = 0;
	bool found = false;

	for (unsigned i = 0; i < 2; i++) {
		struct vhdx_header h;
		int err = read_some(fd, (uint8_t *)&h, sizeof(h), VHDX_HEADER_AT * (1ull + i));

		if (err != 0)
			return err;
		if (memcmp(&h.signature, "head", 4) != 0 || (found && le64_get(h.sequence) <= best))
			continue;
		found = true;
		best = le64_get(h.sequence);
		f->has_log = !vhdx_is_null(&h.log);
	}
	return 0;
}

static int info_vhdx(int fd, const char *path, struct sill_image_info *f, struct sill_err *e)
{
	uint8_t *table = malloc(VHDX_META_TABLE);
	uint64_t at = 0;
	int err = table == NULL ? ENOMEM : read_some(fd, table, 8, 0);

	if (err == 0 && memcmp(table, "vhdxfile", 8) != 0) {
		free(table);
		return is_another(fd, path,
				  "it is no vhdx image: it does not begin with 'vhdxfile'", e);
	}
	if (err == 0)
		err = find_metadata(fd, table, &at);
	if (err == 0 && at != 0)
		err = read_items(fd, table, at, f);
	if (err == 0)
		err = read_log(fd, f);
	free(table);
	if (err != 0)
		return sill_err_sys(e, err, "metadata of '%s'", path);
	return at == 0 ? is_broken(path, "both of its region tables are damaged", e) : 0;
}

int sill_image_info(int fd, const char *path, enum sill_disk_format format,
		    struct sill_image_info *ret, struct sill_err *e)
{
	struct sill_image_info f = { .format = format, .sector_size = 512 };
	int err = file_size(fd, &f.file_size, &f.host_bytes), failed = 0;

	if (err == EINVAL)
		return is_broken(path, "it is neither a file nor a block device", e);
	if (err != 0)
		return sill_err_sys(e, err, "'%s'", path);
	switch (format) {
	case SILL_DISK_RAW:
		failed = info_raw(fd, path, &f, e);
		break;
	case SILL_DISK_QCOW2:
		failed = info_qcow2(fd, path, &f, e);
		break;
	case SILL_DISK_VHD:
		failed = info_vhd(fd, path, &f, e);
		break;
	case SILL_DISK_VHDX:
		failed = info_vhdx(fd, path, &f, e);
		break;
	case SILL_DISK_FORMATS:
		break;
	}
	if (failed == 0)
		*ret = f;
	return failed;
}
