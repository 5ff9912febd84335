/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhd_cases.h - what vhd and vhdx are both put through. The program sets
 * rig_check, which asks qemu-img whether the image is sound.
 */
#ifndef TESTS_UNIT_VHD_CASES_H
#define TESTS_UNIT_VHD_CASES_H

#include <pthread.h>

#include "vhd_rig.h"

static void (*rig_check)(void);

static inline void rig_round_trip(const char *options)
{
	struct blk *b;

	RIG_NEEDS_QEMU();
	for (unsigned round = 0; round < rig_rounds(2); round++) {
		rig_make(options);
		for (unsigned life = 0; life < 3; life++) {
			b = rig_open();
			if (life == 2)
				b->writeback = false;
			rig_compare(b);
			for (unsigned i = 0; i < 300; i++)
				assert_int_equal(rig_step(b), 0);
			rig_compare(b);
			blk_close(b);
		}
		rig_check();
		rig_compare_qemu();
		b = rig_open();
		rig_compare(b);
		blk_close(b);
	}
}

/* An image converted from random data reads as that data. */
static inline void rig_reads_qemu(const char *options)
{
	char raw[160];
	struct blk *b;
	int fd;
	uint8_t s[RIG_SECTOR];

	RIG_NEEDS_QEMU();
	(void)snprintf(raw, sizeof(raw), "%s/raw", rig_dir);
	fd = open(raw, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	memset(rig, 0, sizeof(*rig));
	assert_int_equal(ftruncate(fd, RIG_SECTORS * RIG_SECTOR), 0);
	for (unsigned i = 0; i < 4000; i++) {
		const uint32_t at = rig_random(RIG_SECTORS);

		rig->now[at] = ++rig->version;
		rig_fill(s, at, rig->version);
		assert_int_equal(pwrite(fd, s, 512, (off_t)at * 512), 512);
	}
	close(fd);
	assert_int_equal(rig_shell("qemu-img convert -f raw -O %s -o %s '%s' '%s'", rig_format,
				   options, raw, rig_path),
			 0);
	b = rig_open();
	rig_compare(b);
	blk_close(b);
}

static inline void rig_read_only(const char *options)
{
	struct blk *b;
	uint8_t s[512] = { 0 };

	RIG_NEEDS_QEMU();
	rig_make(options);
	b = rig_try_open(true, &(struct sill_err){ 0 });
	assert_non_null(b);
	assert_false(b->can_discard);
	assert_int_equal(rig_rw(b, BLK_WRITE, 0, s, 512), EROFS);
	assert_int_equal(rig_zero(b, BLK_DISCARD, 0, 512, true), EROFS);
	assert_int_equal(rig_zero(b, BLK_WRITE_ZEROES, 0, 512, true), EROFS);
	assert_int_equal(rig_flush(b), 0);
	assert_int_equal(rig_rw(b, BLK_READ, 0, s, 512), 0);
	blk_close(b);
}

/* Every call fails once, in turn: an error, never a lie, and all is well afterwards. */
static inline void rig_each_call_fails(const char *options)
{
	static const int errs[] = { EIO, ENOSPC };
	bool reached = true;

	RIG_NEEDS_QEMU();
	rig_make(options);
	assert_int_equal(rig_shell("cp --sparse=always '%s' '%s'", rig_path, rig_base), 0);
	for (unsigned at = 1; reached; at += 1 + at / rig_rounds(16)) {
		struct sill_err e = { 0 };
		struct blk *b;

		assert_int_equal(rig_shell("cp --sparse=always '%s' '%s'", rig_base, rig_path), 0);
		memset(rig, 0, sizeof(*rig));
		rig_seed = 4711;
		rig_calls = 0;
		rig_fail_at = at;
		rig_fail_with = errs[at % 2];
		rig_fail_on = false;
		vhdio_calls = &rig_failing;
		b = rig_try_open(false, &e);
		for (unsigned i = 0; i < 120 && b != NULL; i++)
			(void)rig_step(b);
		reached = rig_calls >= at;
		rig_fail_at = 0;
		if (b != NULL)
			assert_int_equal(rig_flush(b), 0);
		blk_close(b);
		vhdio_calls = &vhdio_host;
		b = rig_open();
		rig_compare(b);
		blk_close(b);
		if (at % 16 == 1) {
			rig_check();
			rig_compare_qemu();
		}
	}
}

static inline void rig_power_goes(const char *options)
{
	RIG_NEEDS_QEMU();
	rig_make(options);
	for (unsigned round = 0; round < rig_rounds(25); round++) {
		struct blk *b;

		if (round % 4 == 0)
			rig_make(options);
		rig_cut_at_sync = rig_random(2) == 0;
		(void)rig_cut_power(1 + rig_random(rig_cut_at_sync ? 24 : 200), 300);
		b = rig_open();
		rig_compare_crashed(b);
		blk_close(b);
		rig_check();
		if (round % 10 == 0)
			rig_compare_qemu();
	}
}

static inline void rig_kills(const char *options)
{
	RIG_NEEDS_QEMU();
	for (unsigned round = 0; round < rig_rounds(25); round++) {
		struct blk *b;

		if (round % 8 == 0)
			rig_make(options);
		rig_kill_writer(150);
		b = rig_open();
		rig_compare_crashed(b);
		blk_close(b);
		rig_check();
		if (round % 10 == 0)
			rig_compare_qemu();
	}
}

struct rig_writer {
	struct blk *b;
	unsigned index;
	pthread_t thread;
};

/* Every fourth sector, over all blocks, with a flush now and then. */
static inline void *rig_write_stripe(void *arg)
{
	struct rig_writer *w = arg;
	uint8_t data[512];

	for (uint32_t s = w->index; s < RIG_SECTORS; s += 4) {
		if (s % 16 != w->index)
			continue;
		rig_fill(data, s, s + 1);
		assert_int_equal(rig_rw(w->b, BLK_WRITE, (uint64_t)s * 512, data, 512), 0);
		if (s / 4 % 500 == 0)
			assert_int_equal(rig_flush(w->b), 0);
	}
	return NULL;
}

static inline void rig_threads(const char *options)
{
	struct rig_writer w[4];
	struct blk *b;

	RIG_NEEDS_QEMU();
	rig_make(options);
	b = rig_open();
	for (unsigned i = 0; i < 4; i++) {
		w[i] = (struct rig_writer){ .b = b, .index = i };
		assert_int_equal(pthread_create(&w[i].thread, NULL, rig_write_stripe, &w[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_join(w[i].thread, NULL), 0);
	for (uint32_t s = 0; s < RIG_SECTORS; s++)
		rig->now[s] = s % 16 < 4 ? s + 1 : 0;
	rig_compare(b);
	blk_close(b);
	rig_compare_qemu();
}

#endif
