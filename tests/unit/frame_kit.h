/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame_kit.h - numbers and sums of frames that tests make and look at, written a second time: what they test has
 * its own (backend/net/wire.h). And what the host of such a test is told by its shell.
 */
#ifndef TESTS_UNIT_FRAME_KIT_H
#define TESTS_UNIT_FRAME_KIT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Big-endian. */
static inline void fk_put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void fk_put32(uint8_t *p, uint32_t v)
{
	fk_put16(p, v >> 16);
	fk_put16(p + 2, v & 0xffff);
}

/* RFC 1071: of what has its checksum in it, 0xffff. @sum: of what stands before. */
static inline uint32_t fk_sum(const uint8_t *p, size_t n, uint32_t sum)
{
	for (size_t i = 0; i < n; i++)
		sum += (uint32_t)p[i] << (i % 2 == 0 ? 8 : 0);
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* DISCOVER (RFC 2131) of the client @mac: FK_DISCOVER bytes. */
enum { FK_DISCOVER = 342 };

static inline uint32_t fk_discover(uint8_t *p, const uint8_t *mac)
{
	memset(p, 0, FK_DISCOVER);
	memset(p, 0xff, 6);
	memcpy(p + 6, mac, 6);
	memcpy(p + 12, "\x08\x00\x45\x00\x01\x48", 6);
	p[23] = 17;
	memset(p + 30, 0xff, 4);
	memcpy(p + 34, "\x00\x44\x00\x43\x01\x34", 6);
	memcpy(p + 42, "\x01\x01\x06", 3);
	memcpy(p + 70, mac, 6);
	memcpy(p + 278, "\x63\x82\x53\x63\x35\x01\x01\xff", 8);
	return FK_DISCOVER;
}

/* Its status; what it says is nobody's. */
static inline int fk_run(const char *command)
{
	char text[512];

	(void)snprintf(text, sizeof(text), "{ PATH=$PATH:/usr/sbin:/sbin; %s; } >/dev/null 2>&1",
		       command);
	return system(text); /* NOLINT: a test's own words */
}

#endif
