/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qcow2_format.h - what stands where in a qcow2 file, as QEMU's docs/interop/qcow2.txt has it.
 *
 * Big-endian. The header begins the first cluster. Version 2 ends after 72 bytes; 3 goes on for
 * header_length, and extensions follow: type, length, data padded to 8, until type 0. Behind them
 * is the name of the backing file, in the same cluster.
 */
#ifndef BACKEND_BLOCK_QCOW2_FORMAT_H
#define BACKEND_BLOCK_QCOW2_FORMAT_H

#include <stdint.h>

#define QCOW2_MAGIC 0x514649fbu /* "QFI\xfb" */

/* The header's fields. */
enum {
	QCOW2_AT_MAGIC = 0,
	QCOW2_AT_VERSION = 4,
	QCOW2_AT_NAME = 8, /* of the backing file; 8 bytes; 0: there is none */
	QCOW2_AT_NAME_LENGTH = 16,
	QCOW2_AT_CLUSTER_BITS = 20,
	QCOW2_AT_SIZE = 24, /* 8 bytes */
	QCOW2_AT_ENCRYPTION = 32,
	QCOW2_AT_L1_SIZE = 36, /* entries */
	QCOW2_AT_L1 = 40,      /* 8 bytes */
	QCOW2_AT_RT_OFFSET = 48,
	QCOW2_AT_RT_CLUSTERS = 56,
	QCOW2_AT_SNAPSHOTS = 60,
	QCOW2_V2_LENGTH = 72, /* all of version 2 */
	QCOW2_AT_INCOMPAT = 72,
	QCOW2_AT_COMPAT = 80,
	QCOW2_AT_AUTOCLEAR = 88,
	QCOW2_AT_REF_ORDER = 96,
	QCOW2_AT_LENGTH = 100,
	QCOW2_V3_LENGTH = 104,      /* the least of version 3 */
	QCOW2_AT_COMPRESSION = 104, /* of compressed clusters: 0 zlib, 1 zstd */
};

/* Feature bits. */
enum {
	QCOW2_INCOMPAT_DIRTY = 1 << 0,
	QCOW2_INCOMPAT_CORRUPT = 1 << 1,
	QCOW2_INCOMPAT_DATA_FILE = 1 << 2,
	QCOW2_INCOMPAT_COMPRESSION = 1 << 3,
	QCOW2_INCOMPAT_SUBCLUSTERS = 1 << 4,
	QCOW2_COMPAT_LAZY = 1 << 0,
	QCOW2_AUTOCLEAR_BITMAPS = 1 << 0,
	QCOW2_AUTOCLEAR_RAW = 1 << 1,
};
#define QCOW2_INCOMPAT_KNOWN 0x1full

/* Extensions. */
#define QCOW2_EXT_END            0u
#define QCOW2_EXT_BACKING_FORMAT 0xe2792acau
#define QCOW2_EXT_FEATURES       0x6803f857u /* rows of 48: kind, bit, name */
#define QCOW2_EXT_BITMAPS        0x23852875u
#define QCOW2_EXT_LUKS           0x0537be77u
#define QCOW2_EXT_DATA_FILE      0x44415441u

/* Entries of tables. */
#define QCOW2_COPIED     (1ull << 63) /* L1, L2: refcount is one */
#define QCOW2_COMPRESSED (1ull << 62)
#define QCOW2_ZERO       1ull
#define QCOW2_OFFSET     0x00fffffffffffe00ull

static inline uint32_t qcow2_be32(const void *p)
{
	uint32_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static inline uint64_t qcow2_be64(const void *p)
{
	uint64_t v;

	__builtin_memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v);
}

static inline void qcow2_put_be32(void *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	__builtin_memcpy(p, &v, sizeof(v));
}

static inline void qcow2_put_be64(void *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	__builtin_memcpy(p, &v, sizeof(v));
}

/* From one extension to the next: its data are padded. */
static inline uint64_t qcow2_ext_size(uint32_t length)
{
	return 8 + (((uint64_t)length + 7) & ~7ull);
}

#endif
