/* SPDX-License-Identifier: Apache-2.0 */
/*
 * note_kit.h - power cuts while an image changes, for all formats.
 *
 * A change is carried out once while its writes are noted. Then the file is put
 * together again as it may be found after a power cut at any of them: what was
 * synced is there, and of what came after, any sectors; or all of it, as after a
 * kill -9. A call can be made to fail, too.
 */
#ifndef TESTS_UNIT_NOTE_KIT_H
#define TESTS_UNIT_NOTE_KIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/block/qcow2.h"
#include "backend/block/vhdio.h"

enum { NOTES = 8192, SECTOR = 512 };
#define MIB (1024 * 1024ull)

enum note_kind { NOTE_WRITE, NOTE_ZERO, NOTE_SIZE, NOTE_SYNC };

struct note {
	enum note_kind kind;
	uint64_t off, n;
	uint8_t *bytes; /* owned */
};

static struct note notes[NOTES];
static unsigned note_count;
static unsigned fail_at; /* the call that fails, 1 is the next one; 0: none */
static int fail_with = ENOSPC;
static bool fail_on; /* and so do all later ones */
static bool failed_once;
static uint32_t dice_seed = 1;

static inline uint32_t dice(void)
{
	dice_seed = dice_seed * 1103515245 + 12345;
	return dice_seed >> 16;
}

static inline void forget(void)
{
	for (unsigned i = 0; i < note_count; i++)
		free(notes[i].bytes);
	note_count = 0;
}

/* --- calls that are noted ------------------------------------------------- */

static inline bool fails(void)
{
	if (fail_at == 0)
		return false;
	if (fail_at > 1) {
		fail_at--;
		return false;
	}
	fail_at = fail_on;
	failed_once = true;
	errno = fail_with;
	return true;
}

static inline struct note *note(enum note_kind kind, uint64_t off, uint64_t n)
{
	assert_true(note_count < NOTES);
	notes[note_count] = (struct note){ .kind = kind, .off = off, .n = n };
	return &notes[note_count++];
}

static inline ssize_t noting_readv(int fd, const struct iovec *iov, int count, off_t off)
{
	return fails() ? -1 : preadv(fd, iov, count, off);
}

static inline ssize_t noting_writev(int fd, const struct iovec *iov, int count, off_t off)
{
	struct note *n;

	if (fails())
		return -1;
	n = note(NOTE_WRITE, (uint64_t)off, 0);
	for (int i = 0; i < count; i++)
		n->n += iov[i].iov_len;
	n->bytes = malloc(n->n);
	assert_non_null(n->bytes);
	for (size_t i = 0, at = 0; i < (size_t)count; at += iov[i++].iov_len)
		memcpy(n->bytes + at, iov[i].iov_base, iov[i].iov_len);
	return pwritev(fd, iov, count, off);
}

static inline int noting_sync(int fd)
{
	(void)fd;
	if (fails())
		return -1;
	(void)note(NOTE_SYNC, 0, 0);
	return 0;
}

static inline int noting_truncate(int fd, off_t size)
{
	if (fails())
		return -1;
	(void)note(NOTE_SIZE, 0, (uint64_t)size);
	return ftruncate(fd, size);
}

static inline int no_punch(int fd, off_t off, off_t length)
{
	(void)fd;
	(void)off;
	(void)length;
	errno = EOPNOTSUPP;
	return -1;
}

/* Holes and zeroed ranges inside the file; its size stays. */
static inline int noting_fallocate(int fd, int mode, off_t off, off_t n)
{
	struct stat st;

	if (fails() || fallocate(fd, mode, off, n) < 0)
		return -1;
	assert_int_equal(fstat(fd, &st), 0);
	if (off < st.st_size)
		(void)note(NOTE_ZERO, (uint64_t)off,
			   (uint64_t)(n < st.st_size - off ? n : st.st_size - off));
	return 0;
}

static const struct qcow2_io noting_qcow2 = {
	.readv = noting_readv,
	.writev = noting_writev,
	.sync = noting_sync,
	.resize = noting_truncate,
	.punch = no_punch,
};

static const struct vhdio_calls noting_vhd = {
	.preadv = noting_readv,
	.pwritev = noting_writev,
	.fdatasync = noting_sync,
	.ftruncate = noting_truncate,
	.fallocate = noting_fallocate,
};

/* While no image is open. */
static inline void set_noting(bool on)
{
	qcow2_io_set(on ? &noting_qcow2 : NULL);
	vhdio_calls = on ? &noting_vhd : &vhdio_host;
}

/* --- files ---------------------------------------------------------------- */

static inline void ok(int ret, const struct sill_err *e)
{
	if (ret != 0)
		fail_msg("%s", e->msg);
}

static inline int file(void)
{
	int fd = memfd_create("image", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* Its holes too. */
static inline int copy_of(int fd)
{
	int to = file();
	struct stat st;
	off_t at = 0;

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(ftruncate(to, st.st_size), 0);
	while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
		const off_t end = lseek(fd, at, SEEK_HOLE);

		while (at < end) {
			static uint8_t buf[256 * 1024];
			const size_t want =
				end - at < (off_t)sizeof(buf) ? (size_t)(end - at) : sizeof(buf);

			assert_int_equal(pread(fd, buf, want, at), want);
			assert_int_equal(pwrite(to, buf, want, at), want);
			at += (off_t)want;
		}
	}
	return to;
}

/* --- cuts ----------------------------------------------------------------- */

/* All of it, or @some sectors. */
static inline void apply(int fd, const struct note *n, bool some)
{
	static const uint8_t zeroes[SECTOR];

	if (n->kind == NOTE_SIZE)
		assert_int_equal(ftruncate(fd, (off_t)n->n), 0);
	if (n->kind == NOTE_ZERO && !some) {
		assert_int_equal(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					   (off_t)n->off, (off_t)n->n),
				 0);
		return;
	}
	for (uint64_t at = 0; n->kind < NOTE_SIZE && at < n->n;) {
		const uint64_t to_end = SECTOR - (n->off + at) % SECTOR;
		const uint64_t piece = to_end < n->n - at ? to_end : n->n - at;

		if (!some || (dice() & 1) != 0)
			assert_int_equal(pwrite(fd, n->bytes != NULL ? n->bytes + at : zeroes,
						piece, (off_t)(n->off + at)),
					 piece);
		at += piece;
	}
}

/* The file after a power cut before note @k: all up to the last sync, and @some or all of the rest. */
static inline int cut(int before, unsigned k, bool some)
{
	int fd = copy_of(before);
	unsigned synced = 0; /* notes before this one are on the medium */

	for (unsigned i = 0; i < k; i++)
		synced = notes[i].kind == NOTE_SYNC ? i : synced;
	for (unsigned i = 0; i < k; i++)
		apply(fd, &notes[i], some && i >= synced);
	return fd;
}

/* What the changes and their judges share. */
struct change {
	void (*make)(int fd, int base);
	void (*judge)(int fd, int base);
	int base;
};

static inline void cut_anywhere(const struct change *c, int fd)
{
	const char *percent = getenv("SILL_ROUNDS");
	const unsigned long tries = percent != NULL ? strtoul(percent, NULL, 10) / 100 : 1;
	int before = copy_of(fd);

	forget();
	set_noting(true);
	c->make(fd, c->base);
	set_noting(false);
	assert_true(note_count > 1);
	c->judge(fd, c->base);
	for (unsigned k = 0; k <= note_count; k++)
		for (unsigned i = 0; i <= tries; i++) {
			int after = cut(before, k, i != 0);

			c->judge(after, c->base);
			(void)close(after);
		}
	(void)close(before);
	forget();
}

#endif
