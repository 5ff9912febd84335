/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h - numbers of the wire, big-endian, and the Internet's checksum (RFC 1071). */
#ifndef BACKEND_NET_WIRE_H
#define BACKEND_NET_WIRE_H

#include <stddef.h>
#include <stdint.h>

static inline uint16_t wire_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t wire_get32(const uint8_t *p)
{
	return (uint32_t)wire_get16(p) << 16 | wire_get16(p + 2);
}

static inline void wire_put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void wire_put32(uint8_t *p, uint32_t v)
{
	wire_put16(p, v >> 16);
	wire_put16(p + 2, v);
}

/* Over @n bytes, at most 65535, added to @sum. */
static inline uint32_t wire_add_up(uint32_t sum, const uint8_t *p, size_t n)
{
	for (; n > 1; p += 2, n -= 2)
		sum += wire_get16(p);
	return n > 0 ? sum + (uint32_t)(p[0] << 8) : sum;
}

/* The checksum of what was added up. */
static inline uint16_t wire_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

#endif
