/* SPDX-License-Identifier: Apache-2.0 */
/* imagehead.h - qcow2 files of which only the head is true, for tests that read no further. */
#ifndef TESTS_UNIT_IMAGEHEAD_H
#define TESTS_UNIT_IMAGEHEAD_H

#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

enum { HEAD_FILE = 0x40000 }; /* header, refcounts, L1: a cluster each, and one more */

struct head {
	const char *backing, *format, *data; /* NULL: none */
	const char *feature;                 /* the name of incompatible bit 9, which is set */
};

static inline void head_put32(uint8_t *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof(v));
}

static inline void head_put64(uint8_t *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof(v));
}

static inline size_t head_extension(uint8_t *p, uint32_t type, const void *data, size_t n)
{
	head_put32(p, type);
	head_put32(p + 4, (uint32_t)n);
	memcpy(p + 8, data, n);
	return 8 + (n + 7) / 8 * 8;
}

/* Version 3, 1 MiB, clusters of 64 KiB. Returns the length of what is not zero. */
static inline size_t head_make(uint8_t *p, size_t size, const struct head *h)
{
	uint8_t names[48] = { 0, 9 };
	size_t at = 104;

	memset(p, 0, size);
	head_put32(p, 0x514649fb);
	head_put32(p + 4, 3);
	head_put32(p + 20, 16);
	head_put64(p + 24, 1 << 20);
	head_put32(p + 36, 1);
	head_put64(p + 40, 0x30000);
	head_put64(p + 48, 0x10000);
	head_put32(p + 56, 1);
	head_put64(p + 72, (h->data != NULL ? 4u : 0u) | (h->feature != NULL ? 1u << 9 : 0u));
	head_put32(p + 96, 4);
	head_put32(p + 100, 104);
	if (h->format != NULL)
		at += head_extension(p + at, 0xe2792aca, h->format, strlen(h->format));
	if (h->data != NULL)
		at += head_extension(p + at, 0x44415441, h->data, strlen(h->data));
	if (h->feature != NULL) {
		memcpy(names + 2, h->feature, strlen(h->feature));
		at += head_extension(p + at, 0x6803f857, names, sizeof(names));
	}
	at += 8;
	if (h->backing != NULL) {
		head_put64(p + 8, at);
		head_put32(p + 16, (uint32_t)strlen(h->backing));
		memcpy(p + at, h->backing, strlen(h->backing));
		at += strlen(h->backing);
	}
	return at;
}

/* 0, or -1. */
static inline int head_file(const char *path, const struct head *h)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600), ret;
	uint8_t bytes[4096];
	size_t n = head_make(bytes, sizeof(bytes), h);

	if (fd < 0)
		return -1;
	ret = ftruncate(fd, HEAD_FILE) == 0 && write(fd, bytes, n) == (ssize_t)n ? 0 : -1;
	(void)close(fd);
	return ret;
}

#endif
