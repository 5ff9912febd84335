/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash.h - FNV-1a, 64 bits: the same from release to release, for what is made of names (addresses, serial numbers),
 * and to see that two differ. Nobody is kept from making the same. Any thread.
 * Constants: http://www.isthe.com/chongo/tech/comp/fnv/.
 */
#ifndef SILL_HASH_H
#define SILL_HASH_H

#include <stddef.h>
#include <stdint.h>

#define SILL_HASH_START 0xcbf29ce484222325ull

/* @h with @n bytes more; at first, SILL_HASH_START. */
static inline uint64_t sill_hash(uint64_t h, const void *bytes, size_t n)
{
	const uint8_t *p = (const uint8_t *)bytes;

	for (size_t i = 0; i < n; i++)
		h = (h ^ p[i]) * 0x100000001b3ull;
	return h;
}

static inline uint64_t sill_hash_text(uint64_t h, const char *text)
{
	for (; *text != '\0'; text++)
		h = sill_hash(h, text, 1);
	return h;
}

/* Every bit depends on every byte (the finalizer of MurmurHash3). */
static inline uint64_t sill_hash_mix(uint64_t h)
{
	h = (h ^ h >> 33) * 0xff51afd7ed558ccdull;
	h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53ull;
	return h ^ h >> 33;
}

#endif
