/* SPDX-License-Identifier: Apache-2.0 */
/*
 * foreign.c - what a file is that none of our formats is: other programs' disk
 * images, packed files, archives, and what is told of a raw disk by its contents.
 *
 * Nobody acts on this; it is for words to a person. A guest can write any of it
 * into its raw disk.
 */
#include "backend/block/foreign.h"

#include <stdlib.h>
#include <string.h>

#include "backend/block/qcow2_format.h"
#include "base/attr.h"
#include "base/le.h"

enum {
	SECTOR = 512,
	MEDIUM_AT = 32 * 1024, /* the first descriptor of a CD or DVD */
	MEDIUM_SECTOR = 2048,
};

struct row {
	const char *magic;
	unsigned length, at;
	const char *name;
	enum sill_image_foreign_kind kind;
	const char *with; /* the program that makes something of it */
	uint64_t (*size)(const uint8_t *head);
};

static uint64_t sectors(uint64_t n)
{
	return n > UINT64_MAX / SECTOR ? 0 : n * SECTOR;
}

static uint64_t vmdk_size(const uint8_t *p)
{
	return sectors(ld64(p + 12));
}

static uint64_t cowd_size(const uint8_t *p)
{
	return sectors(ld32(p + 12));
}

/* The extents that the descriptor lists: "RW 8192 FLAT ...". The head ends in a NUL. */
static uint64_t descriptor_size(const uint8_t *head)
{
	uint64_t sum = 0;

	for (const char *p = (const char *)head; p != NULL; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, "RW ", 3) == 0 || strncmp(p, "RDONLY ", 7) == 0 ||
		    strncmp(p, "NOACCESS ", 9) == 0)
			if (__builtin_add_overflow(sum, strtoull(strchr(p, ' '), NULL, 10), &sum))
				return 0;
	}
	return sectors(sum);
}

static uint64_t vdi_size(const uint8_t *p)
{
	return ld64(p + 368);
}

static uint64_t qed_size(const uint8_t *p)
{
	return ld64(p + 48);
}

static uint64_t qcow1_size(const uint8_t *p)
{
	return qcow2_be64(p + 24);
}

/* The older kind counts in 32 bits, and has anything behind them. */
static uint64_t parallels_old_size(const uint8_t *p)
{
	return sectors(ld32(p + 36));
}

static uint64_t parallels_size(const uint8_t *p)
{
	return sectors(ld64(p + 36));
}

static uint64_t bochs_size(const uint8_t *p)
{
	return ld64(p + (ld32(p + 64) == 0x10000 ? 84 : 88));
}

static uint64_t android_size(const uint8_t *p)
{
	return (uint64_t)ld32(p + 12) * ld32(p + 16);
}

#define DISK    SILL_FOREIGN_DISK
#define PACKED  SILL_FOREIGN_PACKED
#define ARCHIVE SILL_FOREIGN_ARCHIVE
#define CONTENT SILL_FOREIGN_CONTENT

/* clang-format off */
static const struct row rows[] = {
	/* other programs' images; those that qemu-img knows are made known by it */
	{ "KDMV", 4, 0, "vmdk", DISK, "qemu-img convert", vmdk_size },
	{ "COWD", 4, 0, "vmdk", DISK, "qemu-img convert", cowd_size },
	{ "# Disk DescriptorFile", 21, 0, "vmdk", DISK, "qemu-img convert", descriptor_size },
	{ "\x7f\x10\xda\xbe", 4, 64, "vdi", DISK, "qemu-img convert", vdi_size },
	{ "QED\0", 4, 0, "qed", DISK, "qemu-img convert", qed_size },
	{ "QFI\xfb\0\0\0\1", 8, 0, "qcow1", DISK, "qemu-img convert", qcow1_size },
	{ "WithoutFreeSpace", 16, 0, "parallels", DISK, "qemu-img convert", parallels_old_size },
	{ "WithouFreSpacExt", 16, 0, "parallels", DISK, "qemu-img convert", parallels_size },
	{ "Bochs Virtual HD Image\0", 23, 0, "bochs", DISK, "qemu-img convert", bochs_size },
	{ "#!/bin/sh\n#V2.0 Format\n", 23, 0, "cloop", DISK, "qemu-img convert", NULL },
	{ "\x3a\xff\x26\xed", 4, 0, "android-sparse", DISK, "simg2img", android_size },
	{ "EVF\x09\x0d\x0a\xff\0", 8, 0, "ewf", DISK, "ewfexport", NULL },
	{ "sprs", 4, 0, "sparseimage", DISK, "hdiutil convert", NULL },
	/* packed */
	{ "\x1f\x8b\x08", 3, 0, "gz", PACKED, "gzip -d", NULL },
	{ "\x1f\x9d", 2, 0, "Z", PACKED, "gzip -d", NULL },
	{ "\xfd" "7zXZ\0", 6, 0, "xz", PACKED, "xz -d", NULL },
	{ "\x5d\0\0", 3, 0, "lzma", PACKED, "xz -d", NULL },
	{ "\x28\xb5\x2f\xfd", 4, 0, "zst", PACKED, "zstd -d", NULL },
	{ "BZh", 3, 0, "bz2", PACKED, "bzip2 -d", NULL },
	{ "\x04\x22\x4d\x18", 4, 0, "lz4", PACKED, "lz4 -d", NULL },
	{ "\x02\x21\x4c\x18", 4, 0, "lz4", PACKED, "lz4 -d", NULL },
	{ "LZIP", 4, 0, "lz", PACKED, "lzip -d", NULL },
	{ "\x89LZO\0\x0d\x0a\x1a\x0a", 9, 0, "lzo", PACKED, "lzop -d", NULL },
	/* archives */
	{ "PK\3\4", 4, 0, "zip", ARCHIVE, "unzip", NULL },
	{ "PK\5\6", 4, 0, "zip", ARCHIVE, "unzip", NULL },
	{ "7z\xbc\xaf\x27\x1c", 6, 0, "7z", ARCHIVE, "7z x", NULL },
	{ "Rar!\x1a\x07", 6, 0, "rar", ARCHIVE, "unrar x", NULL },
	{ "ustar", 5, 257, "tar", ARCHIVE, "tar xf", NULL },
	{ "070701", 6, 0, "cpio", ARCHIVE, "cpio -i", NULL },
	{ "!<arch>\n", 8, 0, "ar", ARCHIVE, "ar x", NULL },
	{ "MSCF\0\0\0\0", 8, 0, "cab", ARCHIVE, "cabextract", NULL },
	{ "MSWIM\0\0\0", 8, 0, "wim", ARCHIVE, "wimlib-imagex", NULL },
	{ "VMA\0", 4, 0, "vma", ARCHIVE, "vma extract", NULL },
	/* raw disks with this on them */
	{ "LUKS\xba\xbe", 6, 0, "luks", CONTENT, NULL, NULL },
	{ "hsqs", 4, 0, "squashfs", CONTENT, NULL, NULL },
};
/* clang-format on */

/* Where the magic alone is too little: other bytes may begin like that. */
static bool is_sound(const struct row *r, const uint8_t *p)
{
	if (strcmp(r->name, "bz2") == 0)
		return p[3] >= '1' && p[3] <= '9' &&
		       (memcmp(p + 4, "1AY&SY", 6) == 0 ||
			memcmp(p + 4, "\x17\x72\x45\x38\x50\x90", 6) == 0);
	if (strcmp(r->name, "lzma") == 0) /* a dictionary of whole kilobytes, a size or none */
		return p[3] % 16 == 0 && (ld64(p + 5) == UINT64_MAX || ld64(p + 5) >> 56 == 0) &&
		       ld64(p + 5) != 0 && p[13] == 0;
	if (strcmp(r->name, "Z") == 0)
		return (p[2] & 0x60) == 0 && (p[2] & 0x1f) >= 9 && (p[2] & 0x1f) <= 16;
	return true;
}

/* The first descriptors of a CD, a DVD, or both. */
static const char *medium(const uint8_t *head)
{
	bool iso = false, udf = false;

	for (unsigned at = MEDIUM_AT; at + 6 <= LOOK_FRONT; at += MEDIUM_SECTOR) {
		iso |= memcmp(head + at + 1, "CD001", 5) == 0;
		udf |= memcmp(head + at + 1, "NSR0", 4) == 0;
	}
	return iso ? "iso9660" : udf ? "udf" : NULL;
}

static void set(struct sill_image_foreign *f, enum sill_image_foreign_kind kind, const char *name,
		const char *with)
{
	f->kind = kind;
	f->name = name;
	f->with = with;
}

static void look_head(const uint8_t *head, struct sill_image_foreign *f)
{
	for (unsigned i = 0; i < ARRAY_LEN(rows) && f->kind == SILL_FOREIGN_NONE; i++) {
		const struct row *r = &rows[i];

		if (memcmp(head + r->at, r->magic, r->length) != 0 || !is_sound(r, head))
			continue;
		set(f, r->kind, r->name, r->with);
		f->size = r->size != NULL ? r->size(head) : 0;
		/* An appliance: its disks are in it. */
		if (strcmp(r->name, "tar") == 0 && strnlen((const char *)head, 100) > 4 &&
		    memcmp(head + strnlen((const char *)head, 100) - 4, ".ovf", 4) == 0)
			f->name = "ova";
	}
	/* A frame to be skipped, before any of theirs. */
	if (f->kind == SILL_FOREIGN_NONE && (head[0] & 0xf0) == 0x50 &&
	    memcmp(head + 1, "\x2a\x4d\x18", 3) == 0)
		set(f, SILL_FOREIGN_PACKED, "zst", "zstd -d");
	if (f->kind == SILL_FOREIGN_NONE && medium(head) != NULL)
		set(f, SILL_FOREIGN_CONTENT, medium(head), NULL);
}

void foreign_look(const uint8_t *head, const uint8_t *tail, struct sill_image_foreign *ret)
{
	*ret = (struct sill_image_foreign){ .kind = SILL_FOREIGN_NONE };
	look_head(head, ret);
	if (ret->kind == SILL_FOREIGN_NONE && memcmp(tail, "koly\0\0\0\4", 8) == 0) {
		set(ret, SILL_FOREIGN_DISK, "dmg", "qemu-img convert");
		ret->size = sectors(qcow2_be64(tail + 0x1ec));
	}
}
