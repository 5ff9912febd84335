/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head.c - the heads of images, read without trusting a byte of them.
 *
 * The formats' own files read them again, and more of them, when the image is
 * opened; here is what has to be known before: which other files belong to it,
 * and whether it is what the manifest says.
 *
 * qcow2: the specification in QEMU's docs/interop/qcow2.txt; VHD: Virtual Hard
 * Disk Image Format v1.0; VHDX: [MS-VHDX] 2.2.
 */
#include "sill/imagehead.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/block/vhd.h"
#include "base/attr.h"
#include "base/err.h"
#include "base/log.h"
#include "sill/image.h"

enum {
	SECTOR = 512,
	FRONT = 64 * 1024, /* of the file's beginning is looked at */
	TAIL = SECTOR,
	Q_MAGIC = 0x514649fb,
	Q_V2_LENGTH = 72,
	Q_V3_LENGTH = 104,
	Q_BACKING_FORMAT = 0xe2792aca,
	Q_DATA_FILE = 0x44415441,
	Q_FEATURES = 0x6803f857,
	Q_LUKS = 0x0537be77,
	Q_MAX_L1 = 4 * 1024 * 1024, /* entries; the backend's limit */
	V_FIXED = 2,
	V_DYNAMIC = 3,
	V_DIFFERENCING = 4,
	X_HEADERS = 64 * 1024, /* two, 64 KiB apart */
};
static const uint64_t Q_CORRUPT = 1 << 1, Q_EXTERNAL = 1 << 2, Q_KNOWN = 0x1f;

struct look {
	const char *path;
	const char *format;
	int fd;
	uint64_t file_size;
	uint8_t *front; /* FRONT bytes, with zeroes beyond the end of the file */
	size_t n;       /* of them that are there */
	uint8_t tail[TAIL];
	unsigned cut; /* bytes that a vhd footer lacks at its end */
};

static uint32_t get32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static uint64_t get64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v);
}

static int bad(const struct look *l, struct sill_err *e, const char *what)
{
	return sill_err_set(e, SILL_ERR_HOST, "%s image '%.150s': %s", l->format, l->path, what);
}

/* --- which format the bytes are of -------------------------------------- */

static bool is_qcow2(const struct look *l)
{
	const uint32_t bits = get32(l->front + 20);

	return get32(l->front) == Q_MAGIC &&
	       (get32(l->front + 4) == 2 || get32(l->front + 4) == 3) && bits >= 9 && bits <= 21;
}

static bool is_vhdx(const struct look *l)
{
	return memcmp(l->front, "vhdxfile", 8) == 0;
}

static bool is_vhd(const uint8_t *footer)
{
	uint32_t sum = 0;

	if (memcmp(footer, "conectix", 8) != 0)
		return false;
	for (unsigned i = 0; i < SECTOR; i++)
		if (i < 64 || i >= 68)
			sum += footer[i];
	return get32(footer + 64) == ~sum;
}

/* What the bytes look like; raw when like nothing. */
static enum sill_disk_format looks_like(const struct look *l)
{
	if (is_qcow2(l))
		return SILL_DISK_QCOW2;
	if (is_vhdx(l))
		return SILL_DISK_VHDX;
	if (is_vhd(l->tail) || is_vhd(l->front))
		return SILL_DISK_VHD;
	return SILL_DISK_RAW;
}

static int not_it(const struct look *l, struct sill_err *e, const char *what)
{
	static const struct {
		const char *magic, *name;
	} foreign[] = {
		{ "KDMV", "vmdk" },
		{ "# Di", "vmdk" },
		{ "QED", "qed" },
		{ "LUKS", "luks" },
	};
	const enum sill_disk_format like = looks_like(l);

	(void)bad(l, e, what);
	for (unsigned i = 0; i < ARRAY_LEN(foreign); i++)
		if (memcmp(l->front, foreign[i].magic, 4) == 0)
			return sill_err_hint(
				e, "it is a %s image: qemu-img convert makes a qcow2 of it",
				foreign[i].name);
	if (like != SILL_DISK_RAW)
		return sill_err_hint(e, "it is a %s image: write 'format: %s'",
				     sill_image_format_name(like), sill_image_format_name(like));
	return sill_err_hint(e, "is it a raw image, or was it cut off or damaged?");
}

/* --- raw ---------------------------------------------------------------- */

static int head_raw(const struct look *l, struct sill_image_head *h, struct sill_err *e)
{
	(void)e;
	h->size = (l->file_size + SECTOR - 1) & ~(uint64_t)(SECTOR - 1);
	h->looks_like = looks_like(l);
	return 0;
}

/* --- qcow2 -------------------------------------------------------------- */

/* The name of an incompatible feature, if the image tells. */
static int unknown_feature(const struct look *l, uint64_t bits, const uint8_t *table, uint32_t n,
			   struct sill_err *e)
{
	const unsigned bit = (unsigned)__builtin_ctzll(bits);
	char text[64] = "";

	for (uint32_t i = 0; n - i >= 48; i += 48)
		if (table[i] == 0 && table[i + 1] == bit)
			(void)log_escape(text, sizeof(text), table + i + 2,
					 strnlen((const char *)table + i + 2, 46));
	(void)sill_err_set(e, SILL_ERR_HOST,
			   "qcow2 image '%.100s' has a feature that is not supported: bit %u%s%s%s",
			   l->path, bit, text[0] != 0 ? " '" : "", text, text[0] != 0 ? "'" : "");
	return sill_err_hint(e, "convert it with the program that made it");
}

/* A name in the head: not empty, and without a NUL in it. */
static int take_name(const struct look *l, char dst[SILL_IMAGE_NAME], const uint8_t *src,
		     uint64_t n, const char *what, struct sill_err *e)
{
	if (n == 0 || n >= SILL_IMAGE_NAME || memchr(src, 0, n) != NULL)
		return sill_err_set(e, SILL_ERR_HOST,
				    "qcow2 image '%.150s': the name of its %s is not one", l->path,
				    what);
	memcpy(dst, src, n);
	dst[n] = '\0';
	return 0;
}

static int qcow2_extensions(const struct look *l, uint64_t at, uint64_t end, uint64_t incompat,
			    struct sill_image_head *h, struct sill_err *e)
{
	const uint8_t *features = l->front;
	uint32_t features_n = 0;

	while (at + 8 <= end) {
		const uint32_t type = get32(l->front + at), n = get32(l->front + at + 4);
		const uint8_t *data = l->front + at + 8;

		if (type == 0)
			break;
		if (n > end - at - 8)
			return bad(l, e, "a header extension is longer than the header's cluster");
		if (type == Q_LUKS)
			return bad(l, e, "it is encrypted, which is not supported");
		if (type == (uint32_t)Q_BACKING_FORMAT) {
			if (n >= sizeof(h->backing_format) || memchr(data, 0, n) != NULL)
				return bad(l, e, "the format of its backing file is not one");
			memcpy(h->backing_format, data, n);
		}
		if (type == Q_DATA_FILE && take_name(l, h->data_file, data, n, "data file", e) < 0)
			return -1;
		if (type == Q_FEATURES) {
			features = data;
			features_n = n;
		}
		at += 8 + (((uint64_t)n + 7) & ~7ull);
	}
	if ((incompat & ~Q_KNOWN) != 0)
		return unknown_feature(l, incompat & ~Q_KNOWN, features, features_n, e);
	return 0;
}

static int qcow2_names(const struct look *l, uint64_t cluster, uint64_t length, uint64_t incompat,
		       struct sill_image_head *h, struct sill_err *e)
{
	const uint64_t name_at = get64(l->front + 8), name_n = get32(l->front + 16);
	const uint64_t room = cluster < l->n ? cluster : l->n;
	uint64_t end = room;

	if (name_at != 0) {
		if (name_at < length || name_at > room || name_n > room - name_at)
			return bad(l, e, "the name of its backing file is out of bounds");
		if (take_name(l, h->backing, l->front + name_at, name_n, "backing file", e) < 0)
			return -1;
		end = name_at;
	}
	return qcow2_extensions(l, length, end, incompat, h, e);
}

/* Everything that the tables must have room for. */
static int qcow2_geometry(const struct look *l, uint64_t cluster, unsigned entry,
			  struct sill_image_head *h, struct sill_err *e)
{
	const uint64_t size = get64(l->front + 24), l1 = get32(l->front + 36),
		       l1_at = get64(l->front + 40), rt_at = get64(l->front + 48);
	const uint64_t covered = cluster / entry * cluster; /* by an entry of L1 */

	if (size < SECTOR || size > INT64_MAX)
		return bad(l, e, "its size is less than a sector, or absurd");
	if (l1 > Q_MAX_L1 || l1 < (size - 1) / covered + 1)
		return bad(l, e, "its L1 table does not fit its size");
	if (l1_at > l->file_size || l1 * 8 > l->file_size - l1_at || rt_at >= l->file_size) {
		(void)bad(l, e, "the file ends before its tables: it was cut off");
		return sill_err_hint(e, "was it copied completely?");
	}
	h->size = size - size % SECTOR;
	return 0;
}

static int head_qcow2(const struct look *l, struct sill_image_head *h, struct sill_err *e)
{
	const uint8_t *p = l->front;
	const uint32_t version = get32(p + 4), bits = get32(p + 20);
	uint64_t incompat = 0, length = Q_V2_LENGTH;

	if (get32(p) != Q_MAGIC || l->n < Q_V3_LENGTH)
		return not_it(l, e, "it is none: there is no qcow2 header");
	if (version != 2 && version != 3)
		return sill_err_set(e, SILL_ERR_HOST,
				    "qcow2 image '%.150s' has version %u, not 2 or 3", l->path,
				    version);
	if (bits < 9 || bits > 21)
		return bad(l, e, "its cluster size is not one from 512 bytes to 2 MiB");
	if (version == 3) {
		incompat = get64(p + 72);
		length = get32(p + 100);
		if (length < Q_V3_LENGTH || length % 8 != 0 || length > l->n || length > 1u << bits)
			return bad(l, e, "the length of its header is out of bounds");
	}
	if (get32(p + 32) != 0)
		return bad(l, e, "it is encrypted, which is not supported");
	if (qcow2_names(l, 1ull << bits, length, incompat, h, e) < 0 ||
	    qcow2_geometry(l, 1ull << bits, (incompat & 1 << 4) != 0 ? 16 : 8, h, e) < 0)
		return -1;
	if (get32(p + 60) != 0) {
		(void)bad(l, e, "it has internal snapshots, which are not supported");
		return sill_err_hint(e, "qemu-img snapshot -l lists them, -d deletes one");
	}
	h->has_data_file = (incompat & Q_EXTERNAL) != 0;
	h->corrupt = (incompat & Q_CORRUPT) != 0;
	return 0;
}

/* --- vhd, vhdx ---------------------------------------------------------- */

static int head_vhd(const struct look *l, struct sill_image_head *h, struct sill_err *e)
{
	const uint8_t *f = is_vhd(l->tail) ? l->tail : l->front;

	/* A fixed disk has no copy at its beginning: that is the guest's. */
	if (!is_vhd(f) || (f == l->front && get32(f + 60) == V_FIXED))
		return not_it(l, e, "it is none: there is no footer at its end");
	h->size = get64(f + 48);
	if (h->size < SECTOR || h->size > INT64_MAX || h->size % SECTOR != 0)
		return bad(l, e, "its size is not a multiple of 512");
	switch (get32(f + 60)) {
	case V_FIXED:
		if (l->file_size < SECTOR || h->size > l->file_size - SECTOR + l->cut)
			return bad(l, e, "the file is shorter than the disk: it was cut off");
		return 0;
	case V_DYNAMIC:
		return 0;
	case V_DIFFERENCING:
		(void)bad(l, e, "it is a differencing disk, which is not supported");
		return sill_err_hint(e, "merge it with its parent, or convert the chain to qcow2");
	default:
		return bad(l, e, "its footer has an unknown disk type");
	}
}

static int head_vhdx(const struct look *l, struct sill_image_head *h, struct sill_err *e)
{
	char sign[2][4] = { { 0 } };

	(void)h;
	if (!is_vhdx(l))
		return not_it(l, e, "it is none: its first bytes are not 'vhdxfile'");
	for (unsigned i = 0; i < 2; i++)
		if (pread(l->fd, sign[i], 4, (off_t)X_HEADERS * (1 + i)) < 0)
			return sill_err_sys(e, errno, "read '%.150s'", l->path);
	if (memcmp(sign[0], "head", 4) != 0 && memcmp(sign[1], "head", 4) != 0)
		return bad(l, e, "it has no header: it was cut off or damaged");
	return 0;
}

/* --- the way in --------------------------------------------------------- */

/* As many of @n bytes as the file has. -1 and errno. */
static ssize_t read_some(int fd, uint8_t *p, size_t n, uint64_t off)
{
	size_t done = 0;

	while (done < n) {
		ssize_t k = pread(fd, p + done, n - done, (off_t)(off + done));

		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0)
			return -1;
		if (k == 0)
			break;
		done += (size_t)k;
	}
	return (ssize_t)done;
}

static int file_size(int fd, uint64_t *ret)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -1;
	*ret = (uint64_t)st.st_size;
	return S_ISBLK(st.st_mode) ? ioctl(fd, BLKGETSIZE64, ret) : 0;
}

static int fetch(struct look *l, struct sill_err *e)
{
	bool is_short;
	ssize_t n = read_some(l->fd, l->front, FRONT, 0);

	if (n >= 0)
		l->n = (size_t)n;
	if (n >= 0 && l->file_size >= TAIL)
		n = read_some(l->fd, l->tail, TAIL, l->file_size - TAIL);
	l->cut = n == TAIL && vhd_find_footer(l->tail, &is_short) && is_short ? 1 : 0;
	return n < 0 ? sill_err_sys(e, errno, "read '%.150s'", l->path) : 0;
}

int sill_image_head(int fd, enum sill_disk_format format, const char *path,
		    struct sill_image_head *ret, struct sill_err *e)
{
	static int (*const heads[])(const struct look *l, struct sill_image_head *h,
				    struct sill_err *e) = {
		[SILL_DISK_RAW] = head_raw,
		[SILL_DISK_QCOW2] = head_qcow2,
		[SILL_DISK_VHD] = head_vhd,
		[SILL_DISK_VHDX] = head_vhdx,
	};
	struct sill_image_head *h = calloc(1, sizeof(*h));
	struct look l = { .path = path, .format = sill_image_format_name(format), .fd = fd };
	int result = -1;

	l.front = calloc(1, FRONT);
	if (h == NULL || l.front == NULL) {
		(void)sill_err_sys(e, ENOMEM, "'%.150s'", path);
		goto out;
	}
	if (file_size(fd, &l.file_size) < 0) {
		(void)sill_err_sys(e, errno, "size of '%.150s'", path);
		goto out;
	}
	if (fetch(&l, e) == 0)
		result = heads[format](&l, h, e);
	if (result == 0)
		*ret = *h;
out:
	free(l.front);
	free(h);
	return result;
}
