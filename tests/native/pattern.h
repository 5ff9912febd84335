/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pattern.h - what the runner writes on the test disk and what the payload
 * leaves there: each 8-byte word follows from its place and from who wrote it.
 *
 *	sectors 0 ..       the host's pattern, for reading only
 *	GUEST_FIRST ..     the guest's pattern afterwards
 *	ZERO_FIRST ..      the host's pattern, zeroed by the guest
 *	SCRATCH_FIRST ..   anything
 */
#ifndef NATIVE_PATTERN_H
#define NATIVE_PATTERN_H

#include <stdint.h>

enum {
	SECTOR_SIZE = 512,
	GUEST_FIRST = 2048,
	GUEST_COUNT = 1024,
	ZERO_FIRST = 4096,
	ZERO_COUNT = 512,
	SCRATCH_FIRST = 8192,
	DISK_SECTORS = 32768, /* 16 MiB */
};

#define SALT_HOST  0x486f7374u
#define SALT_GUEST 0x4775657374u

static inline uint64_t pattern_word(uint64_t salt, uint64_t sector, unsigned word)
{
	uint64_t z = (salt << 20) + sector * 64 + word;

	z = (z ^ z >> 33) * 0xff51afd7ed558ccd;
	return z ^ z >> 29;
}

static inline void pattern_fill(uint64_t salt, uint64_t sector, unsigned count, void *buf)
{
	uint64_t *w = buf;

	for (unsigned i = 0; i < count * (SECTOR_SIZE / 8); i++)
		w[i] = pattern_word(salt, sector + i / 64, i % 64);
}

/* The first sector that is not as it should be, or -1. */
static inline int64_t pattern_check(uint64_t salt, uint64_t sector, unsigned count, const void *buf)
{
	const uint64_t *w = buf;

	for (unsigned i = 0; i < count * (SECTOR_SIZE / 8); i++)
		if (w[i] != pattern_word(salt, sector + i / 64, i % 64))
			return (int64_t)(sector + i / 64);
	return -1;
}

#endif
