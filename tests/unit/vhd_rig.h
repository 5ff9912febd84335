/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhd_rig.h - images of a format made by qemu-img, driven through the block
 * layer beside a model, with system calls that fail, writes that are dropped
 * and writers that are killed. For the tests of vhd and vhdx; one image at a
 * time.
 *
 * A sector that is written holds its version, a number that only grows. After
 * a crash a sector may hold what it held at the last flush, or anything that
 * was written to it since: a version above the flush's.
 */
#ifndef TESTS_UNIT_VHD_RIG_H
#define TESTS_UNIT_VHD_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/block/block.h"
#include "backend/block/vhdio.h"

enum {
	RIG_SECTOR = 512,
	RIG_SECTORS = 24 * 2048, /* 24 MiB */
	RIG_RUN = 512,           /* sectors a request */
	RIG_PENDING = 4096,      /* calls between two syncs */
};

/* Shared with the child that is killed. */
struct rig_state {
	uint64_t version;          /* the last one given out */
	uint64_t flushed_version;  /* everything up to here is on the medium */
	uint64_t ops;              /* atomic: requests that have ended */
	uint64_t now[RIG_SECTORS]; /* what a read gives; 0: zeroes */
	uint64_t flushed[RIG_SECTORS];
	uint8_t zeroed[RIG_SECTORS];  /* since the last flush */
	uint8_t unknown[RIG_SECTORS]; /* a write of it has failed */
};

static const struct blk_ops *rig_ops; /* the program sets both */
static const char *rig_format;        /* as qemu-img calls it */
static char rig_dir[64], rig_path[128], rig_base[128];
static struct rig_state *rig;
static bool rig_keeps; /* a disk that never gives space back: discarding may do nothing */
static uint64_t rig_seed = 88172645463325252ull;

static inline uint32_t rig_random(uint32_t below)
{
	rig_seed ^= rig_seed << 13;
	rig_seed ^= rig_seed >> 7;
	rig_seed ^= rig_seed << 17;
	return (uint32_t)((rig_seed >> 16) % below);
}

/* How often a random test goes round: SILL_ROUNDS, in percent, for long runs. */
static inline unsigned rig_rounds(unsigned n)
{
	const char *s = getenv("SILL_ROUNDS");

	return s != NULL ? (unsigned)(n * strtoul(s, NULL, 10) / 100) : n;
}

static inline int rig_shell(const char *fmt, ...) PRINTF(1, 2);
static inline int rig_shell(const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int status;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	status = system(line);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline int rig_set_up(void **state)
{
	(void)state;
	(void)snprintf(rig_dir, sizeof(rig_dir), "%s/sill-vhd-XXXXXX",
		       access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/var/tmp");
	if (mkdtemp(rig_dir) == NULL)
		return -1;
	(void)snprintf(rig_path, sizeof(rig_path), "%s/image", rig_dir);
	(void)snprintf(rig_base, sizeof(rig_base), "%s/base", rig_dir);
	rig = mmap(NULL, sizeof(*rig), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return rig == MAP_FAILED ? -1 : 0;
}

static inline int rig_tear_down(void **state)
{
	(void)state;
	(void)munmap(rig, sizeof(*rig));
	return rig_shell("rm -rf '%s'", rig_dir);
}

/* Test programs skip where Debian's qemu-utils are not installed. */
static inline bool rig_has_qemu(void)
{
	return rig_shell("command -v qemu-img qemu-io >/dev/null") == 0;
}

#define RIG_NEEDS_QEMU()                                                  \
	do {                                                              \
		if (!rig_has_qemu()) {                                    \
			print_message("skipped: there is no qemu-img\n"); \
			skip();                                           \
		}                                                         \
	} while (0)

/* A new image at rig_path. */
static inline void rig_make(const char *options)
{
	memset(rig, 0, sizeof(*rig));
	assert_int_equal(rig_shell("rm -f '%s'; qemu-img create -q -f %s -o %s '%s' %u", rig_path,
				   rig_format, options, rig_path, RIG_SECTORS * RIG_SECTOR),
			 0);
}

static inline struct blk *rig_try_open(bool readonly, struct sill_err *e)
{
	const struct blk_config c = {
		.fd = open(rig_path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC),
		.path = rig_path,
		.readonly = readonly,
	};

	return blk_open(rig_ops, &c, e);
}

/* What is left of it, to be read. */
static inline struct blk *rig_salvage(void)
{
	const struct blk_config c = {
		.fd = open(rig_path, O_RDONLY | O_CLOEXEC),
		.path = rig_path,
		.readonly = true,
		.salvage = true,
	};
	struct sill_err e = { 0 };
	struct blk *b = blk_open(rig_ops, &c, &e);

	if (b == NULL)
		fail_msg("%s", e.msg);
	return b;
}

static inline struct blk *rig_open(void)
{
	struct sill_err e = { 0 };
	struct blk *b = rig_try_open(false, &e);

	if (b == NULL)
		fail_msg("%s", e.msg);
	assert_true(b->capacity >= RIG_SECTORS * RIG_SECTOR);
	return b;
}

/* The image is refused, with @text in the message. */
static inline void rig_refused(bool readonly, const char *text)
{
	struct sill_err e = { 0 };
	struct blk *b = rig_try_open(readonly, &e);

	if (b != NULL)
		fail_msg("the image is opened; expected: %s", text);
	if (strstr(e.msg, text) == NULL)
		fail_msg("'%s' is not in: %s", text, e.msg);
}

static inline void rig_poke(off_t off, const void *p, size_t n)
{
	int fd = open(rig_path, O_RDWR | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, p, n, off), n);
	close(fd);
}

static inline void rig_peek(off_t off, void *p, size_t n)
{
	int fd = open(rig_path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, p, n, off), n);
	close(fd);
}

/* --- requests ----------------------------------------------------------- */

struct rig_req {
	struct blk_req r;
	int status;
};

static inline void rig_done(struct blk_req *r, int status)
{
	struct rig_req *q = (struct rig_req *)r;

	assert_int_equal(q->status, -1); /* exactly once */
	q->status = status;
}

static inline int rig_submit(struct blk *b, struct blk_req r)
{
	struct rig_req q = { .r = r, .status = -1 };

	q.r.done = rig_done;
	blk_submit(b, &q.r);
	assert_int_not_equal(q.status, -1);
	return q.status;
}

static inline int rig_rw(struct blk *b, enum blk_op op, uint64_t off, void *p, size_t n)
{
	const struct iovec v = { p, n };

	return rig_submit(
		b, (struct blk_req){
			   .op = op, .offset = off, .length = n, .iov = &v, .iov_count = 1 });
}

static inline int rig_zero(struct blk *b, enum blk_op op, uint64_t off, uint64_t n, bool unmap)
{
	return rig_submit(b,
			  (struct blk_req){ .op = op, .offset = off, .length = n, .unmap = unmap });
}

static inline int rig_flush(struct blk *b)
{
	return rig_submit(b, (struct blk_req){ .op = BLK_FLUSH });
}

/* --- the model ---------------------------------------------------------- */

static inline void rig_fill(void *p, uint64_t sector, uint64_t version)
{
	uint64_t *w = p;

	for (unsigned i = 0; i < RIG_SECTOR / 8; i++)
		w[i] = version == 0 ? 0 : version + ((sector + 1) * 0x9e3779b97f4a7c15ull * i);
}

static inline bool rig_holds(const void *p, uint64_t sector, uint64_t version)
{
	uint64_t want[RIG_SECTOR / 8];

	rig_fill(want, sector, version);
	return memcmp(want, p, RIG_SECTOR) == 0;
}

/* Vectors of odd sizes over a flat buffer. */
static inline int rig_cut(struct iovec *v, int max, uint8_t *p, size_t n)
{
	int count = 0;

	while (n > 0) {
		size_t piece = count == max - 1 ? n : 1 + rig_random(3 * RIG_SECTOR);

		if (piece > n)
			piece = n;
		v[count++] = (struct iovec){ p, piece };
		p += piece;
		n -= piece;
	}
	return count;
}

/* A random request on both sides; its status. A failed one leaves its sectors unknown. */
static inline int rig_step(struct blk *b)
{
	static uint8_t data[RIG_RUN * RIG_SECTOR];
	const uint32_t dice = rig_random(100);
	struct iovec v[100];
	struct blk_req r = { .op = BLK_WRITE, .iov = v };
	uint32_t n = 1 + rig_random(rig_random(4) == 0 ? RIG_RUN : 16);
	uint32_t from = rig_random(RIG_SECTORS);
	int err;

	if (dice < 12)
		r.op = BLK_FLUSH;
	else if (dice < 32)
		r.op = BLK_READ;
	else if (dice < 38)
		r.op = BLK_DISCARD;
	else if (dice < 44)
		r.op = BLK_WRITE_ZEROES;
	if ((r.op == BLK_DISCARD || r.op == BLK_WRITE_ZEROES) && rig_random(3) == 0) {
		n = 2048 * (1 + rig_random(8));
		from -= from % 2048;
	}
	if (n > RIG_SECTORS - from)
		n = RIG_SECTORS - from;
	r.unmap = rig_random(2) == 0;
	if (r.op != BLK_FLUSH) {
		r.offset = (uint64_t)from * RIG_SECTOR;
		r.length = (uint64_t)n * RIG_SECTOR;
	}
	if (r.op == BLK_READ || r.op == BLK_WRITE)
		r.iov_count = rig_cut(v, 100, data, r.length);
	if (r.op == BLK_WRITE) {
		const uint64_t version = ++rig->version;

		for (uint32_t i = 0; i < n; i++)
			rig_fill(data + (size_t)i * RIG_SECTOR, from + i, version);
	}
	if (r.op == BLK_DISCARD || r.op == BLK_WRITE_ZEROES)
		memset(&rig->zeroed[from], 1, n);
	err = rig_submit(b, r);
	if (r.op == BLK_FLUSH && err == 0) {
		memcpy(rig->flushed, rig->now, sizeof(rig->now));
		memset(rig->zeroed, 0, sizeof(rig->zeroed));
		__atomic_store_n(&rig->flushed_version, rig->version, __ATOMIC_SEQ_CST);
	}
	for (uint32_t i = from; r.op != BLK_FLUSH && i < from + n; i++) {
		if (r.op == BLK_READ) {
			if (err == 0 && rig->unknown[i] == 0 &&
			    !rig_holds(data + (size_t)(i - from) * RIG_SECTOR, i, rig->now[i]))
				fail_msg("sector %u is not what was written", i);
			continue;
		}
		rig->unknown[i] = err != 0 || (rig_keeps && r.op == BLK_DISCARD);
		rig->now[i] = r.op == BLK_WRITE ? rig->version : 0;
	}
	__atomic_fetch_add(&rig->ops, 1, __ATOMIC_SEQ_CST);
	return err;
}

/* Every known sector reads as the model has it. */
static inline void rig_compare(struct blk *b)
{
	static uint8_t data[RIG_RUN * RIG_SECTOR];

	for (uint32_t s = 0; s < RIG_SECTORS; s += RIG_RUN) {
		assert_int_equal(rig_rw(b, BLK_READ, (uint64_t)s * RIG_SECTOR, data, sizeof(data)),
				 0);
		for (uint32_t i = 0; i < RIG_RUN; i++)
			if (rig->unknown[s + i] == 0 &&
			    !rig_holds(data + (size_t)i * RIG_SECTOR, s + i, rig->now[s + i]))
				fail_msg("sector %u is not what was written", s + i);
	}
}

/* After a crash: what was flushed, or newer. The model becomes what is there. */
static inline void rig_compare_crashed(struct blk *b)
{
	static uint8_t data[RIG_RUN * RIG_SECTOR];

	for (uint32_t s = 0; s < RIG_SECTORS; s++) {
		const uint8_t *p = data + (size_t)(s % RIG_RUN) * RIG_SECTOR;
		uint64_t version;

		if (s % RIG_RUN == 0)
			assert_int_equal(
				rig_rw(b, BLK_READ, (uint64_t)s * RIG_SECTOR, data, sizeof(data)),
				0);
		memcpy(&version, p, 8);
		if (!rig_holds(p, s, version))
			fail_msg("sector %u is torn or not ours", s);
		if (version != rig->flushed[s] && version <= rig->flushed_version &&
		    (version != 0 || rig->zeroed[s] == 0))
			fail_msg("sector %u has version %llu; %llu was flushed", s,
				 (unsigned long long)version, (unsigned long long)rig->flushed[s]);
		rig->now[s] = version;
	}
	memcpy(rig->flushed, rig->now, sizeof(rig->now));
	memset(rig->zeroed, 0, sizeof(rig->zeroed));
	memset(rig->unknown, 0, sizeof(rig->unknown));
	rig->flushed_version = rig->version;
}

/* qemu-img reads the same. */
static inline void rig_compare_qemu(void)
{
	char raw[160];
	uint8_t s[RIG_SECTOR];
	int fd;

	(void)snprintf(raw, sizeof(raw), "%s/raw", rig_dir);
	assert_int_equal(
		rig_shell("qemu-img convert -f %s -O raw '%s' '%s'", rig_format, rig_path, raw), 0);
	fd = open(raw, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (uint32_t i = 0; i < RIG_SECTORS; i++) {
		assert_int_equal(pread(fd, s, sizeof(s), (off_t)i * RIG_SECTOR), RIG_SECTOR);
		if (rig->unknown[i] == 0 && !rig_holds(s, i, rig->now[i]))
			fail_msg("sector %u is not what was written", i);
	}
	close(fd);
	assert_int_equal(unlink(raw), 0);
}

/* --- calls that fail ---------------------------------------------------- */

static unsigned rig_calls, rig_fail_at; /* 1 is the first; 0: none */
static int rig_fail_with;
static bool rig_fail_on; /* and all later ones */

static inline bool rig_fails(void)
{
	rig_calls++;
	if (rig_calls == rig_fail_at ||
	    (rig_fail_on && rig_fail_at != 0 && rig_calls > rig_fail_at)) {
		errno = rig_fail_with;
		return true;
	}
	return false;
}

static inline ssize_t rig_preadv(int fd, const struct iovec *v, int n, off_t off)
{
	return rig_fails() ? -1 : preadv(fd, v, n, off);
}

static inline ssize_t rig_pwritev(int fd, const struct iovec *v, int n, off_t off)
{
	return rig_fails() ? -1 : pwritev(fd, v, n, off);
}

static inline int rig_fdatasync(int fd)
{
	return rig_fails() ? -1 : fdatasync(fd);
}

static inline int rig_ftruncate(int fd, off_t size)
{
	return rig_fails() ? -1 : ftruncate(fd, size);
}

static inline int rig_fallocate(int fd, int mode, off_t off, off_t n)
{
	return rig_fails() ? -1 : fallocate(fd, mode, off, n);
}

static const struct vhdio_calls rig_failing = {
	rig_preadv, rig_pwritev, rig_fdatasync, rig_ftruncate, rig_fallocate,
};

/* --- writes that are dropped -------------------------------------------- */

struct rig_pending {
	enum { PENDING_WRITE, PENDING_SIZE, PENDING_ZERO } kind;
	off_t off, n;
	uint8_t *data; /* owned */
};

static struct rig_pending rig_pending[RIG_PENDING];
static unsigned rig_pendings;
static int rig_medium = -1; /* the file as it is on the medium */

static inline void rig_pend(int kind, off_t off, off_t n, uint8_t *data)
{
	assert_true(rig_pendings < RIG_PENDING);
	rig_pending[rig_pendings++] =
		(struct rig_pending){ .kind = kind, .off = off, .n = n, .data = data };
}

static inline void rig_medium_size(off_t at_least)
{
	struct stat st;

	assert_int_equal(fstat(rig_medium, &st), 0);
	if (st.st_size < at_least)
		assert_int_equal(ftruncate(rig_medium, at_least), 0);
}

/* Bring what is pending to the medium: all of it, or what chance has it, by sectors or calls. */
static inline void rig_settle(bool all)
{
	const uint32_t odds = rig_random(101);
	const bool by_calls = rig_random(2) == 0;

	for (unsigned i = 0; i < rig_pendings; i++) {
		const struct rig_pending *p = &rig_pending[i];

		if (p->kind == PENDING_SIZE && (all || rig_random(100) < odds))
			assert_int_equal(ftruncate(rig_medium, p->n), 0);
		for (off_t at = 0; p->kind != PENDING_SIZE && at < p->n;) {
			off_t n = p->n - at < RIG_SECTOR ? p->n - at : RIG_SECTOR;

			if (all || by_calls)
				n = p->n;
			if (all || rig_random(100) < odds) {
				if (p->kind == PENDING_WRITE)
					assert_int_equal(pwrite(rig_medium, p->data + at, (size_t)n,
								p->off + at),
							 n);
				else
					assert_int_equal(fallocate(rig_medium,
								   FALLOC_FL_PUNCH_HOLE |
									   FALLOC_FL_KEEP_SIZE,
								   p->off + at, n),
							 0);
			}
			at += n;
		}
		free(p->data);
	}
	rig_pendings = 0;
}

/* For calls other than a sync: half of the cuts are at one, where most is pending. */
static bool rig_cut_at_sync;

static inline bool rig_cuts(void)
{
	if (!rig_cut_at_sync)
		return rig_fails();
	errno = rig_fail_with;
	return rig_calls >= rig_fail_at;
}

static inline ssize_t cut_pwritev(int fd, const struct iovec *v, int n, off_t off)
{
	size_t size = 0;
	ssize_t done;
	uint8_t *data;

	if (rig_cuts())
		return -1;
	done = pwritev(fd, v, n, off);
	if (done <= 0)
		return done;
	data = malloc((size_t)done);
	assert_non_null(data);
	for (int i = 0; i < n && size < (size_t)done; i++) {
		size_t piece =
			v[i].iov_len < (size_t)done - size ? v[i].iov_len : (size_t)done - size;

		memcpy(data + size, v[i].iov_base, piece);
		size += piece;
	}
	rig_pend(PENDING_WRITE, off, done, data);
	return done;
}

static inline int cut_fdatasync(int fd)
{
	(void)fd;
	if (rig_fails())
		return -1;
	rig_settle(true);
	return 0;
}

static inline int cut_ftruncate(int fd, off_t size)
{
	if (rig_cuts())
		return -1;
	rig_pend(PENDING_SIZE, 0, size, NULL);
	return ftruncate(fd, size);
}

static inline int cut_fallocate(int fd, int mode, off_t off, off_t n)
{
	if (rig_cuts())
		return -1;
	rig_pend(PENDING_ZERO, off, n, NULL);
	return fallocate(fd, mode, off, n);
}

static inline ssize_t cut_preadv(int fd, const struct iovec *v, int n, off_t off)
{
	return rig_cuts() ? -1 : preadv(fd, v, n, off);
}

static const struct vhdio_calls rig_cutting = {
	cut_preadv, cut_pwritev, cut_fdatasync, cut_ftruncate, cut_fallocate,
};

/*
 * Write until the power goes, at the @at'th call (or sync); rig_path is then what the
 * medium held. False when the workload ended before.
 */
static inline bool rig_cut_power(unsigned at, unsigned steps)
{
	char medium[160];
	struct sill_err e = { 0 };
	struct blk *b;

	(void)snprintf(medium, sizeof(medium), "%s/medium", rig_dir);
	assert_int_equal(rig_shell("cp --sparse=always '%s' '%s'", rig_path, medium), 0);
	rig_medium = open(medium, O_RDWR | O_CLOEXEC);
	assert_true(rig_medium >= 0);
	rig_calls = 0;
	rig_fail_at = at;
	rig_fail_with = EIO;
	rig_fail_on = true;
	vhdio_calls = &rig_cutting;
	b = rig_try_open(false, &e);
	for (unsigned i = 0; i < steps && b != NULL && rig_calls < at; i++)
		(void)rig_step(b);
	blk_close(b);
	vhdio_calls = &vhdio_host;
	rig_settle(false);
	assert_int_equal(close(rig_medium), 0);
	assert_int_equal(rename(medium, rig_path), 0);
	return rig_calls >= at;
}

/* --- writers that are killed -------------------------------------------- */

/* A child writes until it has done a random number of requests, and is killed in a later one. */
static inline void rig_kill_writer(unsigned most)
{
	const uint64_t stop = rig->ops + 1 + rig_random(most);
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		struct sill_err e = { 0 };
		struct blk *b = rig_try_open(false, &e);

		while (b != NULL)
			(void)rig_step(b);
		_exit(1);
	}
	rig_seed += (uint64_t)pid; /* the child has gone on with the old one */
	while (__atomic_load_n(&rig->ops, __ATOMIC_SEQ_CST) < stop) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			fail_msg("the writer has ended, status %#x", status);
		(void)sched_yield();
	}
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

#endif
