/* SPDX-License-Identifier: Apache-2.0 */
/*
 * le.h - byte order is a type: a le32 cannot be added to by mistake.
 * The hosts we run on are little-endian, so these cost nothing.
 */
#ifndef BASE_LE_H
#define BASE_LE_H

#include <stdint.h>
#include <string.h>

/* clang-format off */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "big-endian hosts are not supported");

typedef struct { uint16_t v; } le16;
typedef struct { uint32_t v; } le32;
typedef struct { uint64_t v; } le64;
typedef struct { uint16_t v; } be16;
typedef struct { uint32_t v; } be32;
typedef struct { uint64_t v; } be64;

static inline uint16_t le16_get(le16 x) { return x.v; }
static inline uint32_t le32_get(le32 x) { return x.v; }
static inline uint64_t le64_get(le64 x) { return x.v; }
static inline le16 le16_of(uint16_t v) { return (le16){ v }; }
static inline le32 le32_of(uint32_t v) { return (le32){ v }; }
static inline le64 le64_of(uint64_t v) { return (le64){ v }; }
static inline uint16_t be16_get(be16 x) { return __builtin_bswap16(x.v); }
static inline uint32_t be32_get(be32 x) { return __builtin_bswap32(x.v); }
static inline uint64_t be64_get(be64 x) { return __builtin_bswap64(x.v); }
static inline be16 be16_of(uint16_t v) { return (be16){ __builtin_bswap16(v) }; }
static inline be32 be32_of(uint32_t v) { return (be32){ __builtin_bswap32(v) }; }
static inline be64 be64_of(uint64_t v) { return (be64){ __builtin_bswap64(v) }; }

/* Unaligned little-endian access to our own byte buffers. */
static inline uint16_t ld16(const void *p) { uint16_t v; memcpy(&v, p, sizeof(v)); return v; }
static inline uint32_t ld32(const void *p) { uint32_t v; memcpy(&v, p, sizeof(v)); return v; }
static inline uint64_t ld64(const void *p) { uint64_t v; memcpy(&v, p, sizeof(v)); return v; }
static inline void st16(void *p, uint16_t v) { memcpy(p, &v, sizeof(v)); }
static inline void st32(void *p, uint32_t v) { memcpy(p, &v, sizeof(v)); }
static inline void st64(void *p, uint64_t v) { memcpy(p, &v, sizeof(v)); }
/* clang-format on */

#endif
