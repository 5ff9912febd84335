/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_kit.h - images in a directory of their own: made with qemu-img, opened
 * with the backend, and what each sector may hold after a crash.
 */
#ifndef TESTS_IMAGE_IMAGE_KIT_H
#define TESTS_IMAGE_IMAGE_KIT_H

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/block/block.h"
#include "tests/unit/blk_kit.h"

enum { SECTOR = 512, CHAIN = 6, CANDIDATES = 64 };

static uint64_t rng_state = 1;

static inline uint64_t rnd(uint64_t below)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return (rng_state * 0x2545f4914f6cdd1dull >> 16) % below;
}

static inline void rnd_seed(uint64_t seed)
{
	rng_state = seed * 0x9e3779b97f4a7c15ull + 0x1234567;
	for (int i = 0; i < 8; i++)
		(void)rnd(2);
}

static char dir[64];

static inline void dir_make(void)
{
	(void)snprintf(dir, sizeof(dir), "%s/sill-image-XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/var/tmp");
	if (mkdtemp(dir) == NULL) {
		perror(dir);
		_exit(1);
	}
}

/* The exit status; what it said is in <dir>/log. */
PRINTF(1, 2) static inline int sh(const char *fmt, ...)
{
	char cmd[2048];
	va_list ap;
	int n = snprintf(cmd, sizeof(cmd), "cd %s && { ", dir), status;

	va_start(ap, fmt);
	n += vsnprintf(cmd + n, sizeof(cmd) - (size_t)n, fmt, ap);
	va_end(ap);
	(void)snprintf(cmd + n, sizeof(cmd) - (size_t)n, "; } >log 2>&1");
	status = system(cmd);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static inline void dir_remove(void)
{
	(void)sh("cd / && rm -rf %s; true", dir);
	(void)!system("true");
}

/* Images on top of each other, the lowest first. */
struct chain {
	int n;
	bool raw[CHAIN];
	char name[CHAIN][32];
	bool data_file; /* of the top one: data.raw */
};

static inline int open_in_dir(const char *name, bool readonly)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return open(path, O_CLOEXEC | (readonly ? O_RDONLY : O_RDWR));
}

static inline struct blk *chain_open(const struct chain *c, bool readonly, struct sill_err *e)
{
	struct blk *b = NULL;

	for (int i = 0; i < c->n; i++) {
		const bool top = i == c->n - 1;
		const bool ro = !top || readonly;
		struct blk_config config = { .fd = open_in_dir(c->name[i], ro),
					     .path = c->name[i],
					     .readonly = ro,
					     .backing = b };

		if (config.fd < 0) {
			blk_close(b);
			(void)sill_err_sys(e, errno, "%s", c->name[i]);
			return NULL;
		}
		if (top && c->data_file) {
			const struct blk_config d = { .fd = open_in_dir("data.raw", readonly),
						      .path = "data.raw",
						      .readonly = readonly };

			config.data = blk_open(&blk_raw_ops, &d, e);
		}
		b = blk_open(c->raw[i] ? &blk_raw_ops : &blk_qcow2_ops, &config, e);
		if (b == NULL)
			return NULL;
	}
	return b;
}

static inline int request(struct blk *b, enum blk_op op, uint64_t off, uint64_t n,
			  const struct iovec *iov, int count, bool unmap)
{
	return blk_kit_run(b, (struct blk_req){ .op = op,
						.offset = off,
						.length = n,
						.iov = iov,
						.iov_count = count,
						.unmap = unmap });
}

static inline int transfer(struct blk *b, enum blk_op op, uint64_t off, void *p, uint64_t n)
{
	const struct iovec v = { p, (size_t)n };

	return request(b, op, off, n, &v, 1, false);
}

/*
 * What a sector may hold: the values that were written since it was last known
 * to be on the medium. A value is repeated through the sector; 0 is zeroes.
 */
struct candidate {
	uint64_t value;
	bool sure; /* the write was acknowledged */
};

struct history {
	uint64_t sectors;
	struct {
		unsigned n;
		struct candidate c[CANDIDATES];
	} * s; /* owned */
};

static inline void history_init(struct history *h, uint64_t sectors, uint64_t value)
{
	h->sectors = sectors;
	h->s = calloc(sectors, sizeof(*h->s));
	assert(h->s != NULL);
	for (uint64_t i = 0; i < sectors; i++) {
		h->s[i].n = 1;
		h->s[i].c[0] = (struct candidate){ value != 0 ? value + i : 0, true };
	}
}

/* -1: so much has been written to it that we stop keeping account; flush first. */
static inline bool history_full(const struct history *h, uint64_t first, uint64_t n)
{
	for (uint64_t i = first; i < first + n; i++)
		if (h->s[i].n == CANDIDATES)
			return true;
	return false;
}

static inline void history_write(struct history *h, uint64_t i, uint64_t value, bool sure)
{
	assert(h->s[i].n < CANDIDATES);
	h->s[i].c[h->s[i].n++] = (struct candidate){ value, sure };
}

static inline void history_flushed(struct history *h)
{
	for (uint64_t i = 0; i < h->sectors; i++) {
		unsigned last = h->s[i].n - 1;

		while (last > 0 && !h->s[i].c[last].sure)
			last--;
		memmove(h->s[i].c, h->s[i].c + last, (h->s[i].n - last) * sizeof(struct candidate));
		h->s[i].n -= last;
	}
}

static inline void history_free(struct history *h)
{
	free(h->s);
	h->s = NULL;
}

/* true when each sector of the image holds something that it may. */
static inline bool history_holds(const struct history *h, struct blk *b)
{
	for (uint64_t i = 0; i < h->sectors; i++) {
		uint64_t buf[SECTOR / 8];
		bool found = false;
		int err = transfer(b, BLK_READ, i * SECTOR, buf, SECTOR);

		if (err != 0) {
			fprintf(stderr, "sector %llu: read: %s\n", (unsigned long long)i,
				strerrordesc_np(err));
			return false;
		}
		for (unsigned k = 1; k < SECTOR / 8; k++)
			if (buf[k] != buf[0]) {
				fprintf(stderr, "sector %llu is torn: %llx %llx\n",
					(unsigned long long)i, (unsigned long long)buf[0],
					(unsigned long long)buf[k]);
				return false;
			}
		for (unsigned k = 0; k < h->s[i].n; k++)
			found = found || h->s[i].c[k].value == buf[0];
		if (!found) {
			fprintf(stderr, "sector %llu is %llx and may be", (unsigned long long)i,
				(unsigned long long)buf[0]);
			for (unsigned k = 0; k < h->s[i].n; k++)
				fprintf(stderr, " %llx", (unsigned long long)h->s[i].c[k].value);
			fputc('\n', stderr);
			return false;
		}
	}
	return true;
}

#endif
