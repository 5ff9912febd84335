/* SPDX-License-Identifier: Apache-2.0 */
/* test_head.c - what an image says about itself, and what of that is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "imagehead.h"
#include "sill/image.h"

enum { FRONT = 4096 };

static int fd;
static uint8_t bytes[FRONT];

static int set_up(void **state)
{
	(void)state;
	fd = memfd_create("head", MFD_CLOEXEC);
	return fd >= 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return close(fd);
}

static void put(off_t size)
{
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(ftruncate(fd, size), 0);
	assert_true(pwrite(fd, bytes, (size_t)(size < FRONT ? size : FRONT), 0) > 0);
}

static int look(enum sill_disk_format format, struct sill_image_info *h, struct sill_err *e)
{
	*h = (struct sill_image_info){ 0 };
	*e = (struct sill_err){ 0 };
	return sill_image_head(fd, "x.img", format, h, e);
}

static void refused(enum sill_disk_format format, const char *why)
{
	struct sill_image_info h;
	struct sill_err e;

	assert_int_equal(look(format, &h, &e), -1);
	if (strstr(e.msg, why) == NULL)
		fail_msg("'%s' is not in: %s", why, e.msg);
}

static void head__tells_names_and_size(void **state)
{
	const struct head with = { .backing = "../a b.img", .format = "raw", .data = "d.raw" };
	struct sill_image_info h;
	struct sill_err e;

	(void)state;
	(void)head_make(bytes, FRONT, &with);
	put(HEAD_FILE);
	assert_int_equal(look(SILL_DISK_QCOW2, &h, &e), 0);
	assert_int_equal(h.size, 1 << 20);
	assert_string_equal(h.backing, "../a b.img");
	assert_string_equal(h.backing_format_said, "raw");
	assert_true(h.has_data_file);
	assert_string_equal(h.data_file, "d.raw");
	assert_false(h.corrupt);
}

static void head__refuses_each_field_out_of_bounds(void **state)
{
	/* clang-format off */
	static const struct {
		const char *why;
		unsigned at, size;
		uint64_t value;
	} cases[] = {
		{ "version 4", 4, 4, 4 },
		{ "cluster size", 20, 4, 8 },
		{ "cluster size", 20, 4, 22 },
		{ "cluster size", 20, 4, UINT32_MAX },
		{ "encrypted", 32, 4, 2 },
		{ "L1 table", 36, 4, 0 },
		{ "L1 table", 36, 4, UINT32_MAX },
		{ "cut off", 40, 8, HEAD_FILE - 7 },
		{ "cut off", 40, 8, UINT64_MAX },
		{ "cut off", 48, 8, HEAD_FILE },
		{ "smaller than a sector", 24, 8, 511 },
		{ "absurd", 24, 8, 1ull << 63 },
		{ "L1 table", 24, 8, INT64_MAX },
		{ "snapshots", 60, 4, 1 },
		{ "length of its header", 100, 4, 103 },
		{ "length of its header", 100, 4, 96 },
		{ "length of its header", 100, 4, UINT32_MAX - 7 },
		{ "backing file is out of bounds", 8, 8, UINT64_MAX },
		{ "backing file is out of bounds", 8, 8, 16 },
		{ "backing file is out of bounds", 8, 8, 65536 },
		{ "backing file is out of bounds", 16, 4, UINT32_MAX },
		{ "backing file is out of bounds", 16, 4, 65536 - 127 },
		{ "bit 63", 72, 8, 1ull << 63 },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)head_make(bytes, FRONT, &(struct head){ 0 });
		if (cases[i].size == 4)
			head_put32(bytes + cases[i].at, (uint32_t)cases[i].value);
		else
			head_put64(bytes + cases[i].at, cases[i].value);
		if (cases[i].at == 8)
			head_put32(bytes + 16, 4);
		if (cases[i].at == 16)
			head_put64(bytes + 8, 128);
		put(HEAD_FILE);
		refused(SILL_DISK_QCOW2, cases[i].why);
	}
}

static void head__names_the_feature_it_does_not_know(void **state)
{
	(void)state;
	(void)head_make(bytes, FRONT, &(struct head){ .feature = "quantum\033[31m" });
	put(HEAD_FILE);
	refused(SILL_DISK_QCOW2, "bit 9 'quantum\\x1b[31m'");
}

static void head__refuses_extensions_that_do_not_end(void **state)
{
	(void)state;
	(void)head_make(bytes, FRONT, &(struct head){ .format = "raw" });
	head_put32(bytes + 108, UINT32_MAX);
	put(HEAD_FILE);
	refused(SILL_DISK_QCOW2, "longer than the header's cluster");
	(void)head_make(bytes, FRONT, &(struct head){ .format = "a-very-long-format" });
	put(HEAD_FILE);
	refused(SILL_DISK_QCOW2, "format of its backing file");
}

static void head__takes_no_name_with_a_nul(void **state)
{
	size_t n;

	(void)state;
	n = head_make(bytes, FRONT, &(struct head){ .backing = "abcdef" });
	bytes[n - 3] = 0;
	put(HEAD_FILE);
	refused(SILL_DISK_QCOW2, "name of its backing file is not one");
}

static void head__survives_any_bytes_and_any_end(void **state)
{
	const struct head with = { .backing = "b", .format = "qcow2", .data = "d", .feature = "f" };
	struct sill_image_info h;
	struct sill_err e;
	uint32_t seed = 1;

	(void)state;
	for (unsigned round = 0; round < 4000; round++) {
		size_t n = head_make(bytes, FRONT, &with);

		for (unsigned i = 0; i < 1 + round % 4; i++) {
			seed = seed * 1664525u + 1013904223u;
			bytes[(seed >> 8) % n] = (uint8_t)(seed >> 24);
		}
		put(round % 3 == 0 ? (off_t)(1 + round % n) : HEAD_FILE);
		for (int f = SILL_DISK_RAW; f <= SILL_DISK_VHDX; f++) {
			int ret = look((enum sill_disk_format)f, &h, &e);

			assert_true((ret == 0) == (e.code == SILL_ERR_NONE));
			assert_true(strnlen(h.backing, sizeof(h.backing)) < sizeof(h.backing));
		}
	}
}

static void head__tells_what_a_raw_image_looks_like(void **state)
{
	struct sill_image_info h;
	struct sill_err e;

	(void)state;
	(void)head_make(bytes, FRONT, &(struct head){ 0 });
	put(HEAD_FILE);
	assert_int_equal(look(SILL_DISK_RAW, &h, &e), 0);
	assert_int_equal(h.looks_like, SILL_DISK_QCOW2);
	memcpy(bytes, "vhdxfile", 8);
	put(HEAD_FILE);
	assert_int_equal(look(SILL_DISK_RAW, &h, &e), 0);
	assert_int_equal(h.looks_like, SILL_DISK_VHDX);
	refused(SILL_DISK_VHDX, "has no header");
	/* Four letters alone prove nothing. */
	memset(bytes, 0, FRONT);
	head_put32(bytes, 0x514649fb);
	put(HEAD_FILE);
	assert_int_equal(look(SILL_DISK_RAW, &h, &e), 0);
	assert_int_equal(h.looks_like, SILL_DISK_RAW);
	assert_int_equal(h.size, HEAD_FILE);
}

static void make_footer(uint8_t f[512], uint64_t size, uint32_t type)
{
	uint32_t sum = 0;

	memset(f, 0, 512);
	memcpy(f, "conectix", 8);
	head_put64(f + 48, size);
	head_put32(f + 60, type);
	for (unsigned i = 0; i < 512; i++)
		sum += f[i];
	head_put32(f + 64, ~sum);
}

static void head__reads_the_footer_of_a_vhd(void **state)
{
	struct sill_image_info h;
	struct sill_err e;
	uint8_t f[512];

	(void)state;
	memset(bytes, 0, FRONT);
	put(65536 + 512);
	make_footer(f, 65536, 2);
	assert_int_equal(pwrite(fd, f, 512, 65536), 512);
	assert_int_equal(look(SILL_DISK_VHD, &h, &e), 0);
	assert_int_equal(h.size, 65536);
	assert_int_equal(look(SILL_DISK_RAW, &h, &e), 0);
	assert_int_equal(h.looks_like, SILL_DISK_VHD);
	make_footer(f, 65536 + 512, 2);
	assert_int_equal(pwrite(fd, f, 512, 65536), 512);
	refused(SILL_DISK_VHD, "cut off");
	make_footer(f, 65536, 4);
	assert_int_equal(pwrite(fd, f, 512, 65536), 512);
	refused(SILL_DISK_VHD, "differencing");
	f[100] ^= 1;
	assert_int_equal(pwrite(fd, f, 512, 65536), 512);
	refused(SILL_DISK_VHD, "no footer");
}

/* What cannot be used can be looked at, by the same reading of the same bytes. */
static void head__refuses_what_info_tells(void **state)
{
	static const struct {
		unsigned at, size;
		uint64_t value;
	} cases[] = {
		{ 32, 4, 2 }, { 60, 4, 1 }, { 24, 8, 511 }, { 72, 8, 1ull << 63 }, { 36, 4, 0 }
	};
	struct sill_image_info h;
	struct sill_err e;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		(void)head_make(bytes, FRONT, &(struct head){ .backing = "b" });
		if (cases[i].size == 4)
			head_put32(bytes + cases[i].at, (uint32_t)cases[i].value);
		else
			head_put64(bytes + cases[i].at, cases[i].value);
		put(HEAD_FILE);
		assert_int_equal(look(SILL_DISK_QCOW2, &h, &e), -1);
		e = (struct sill_err){ 0 };
		assert_int_equal(sill_image_info(fd, "x.img", SILL_DISK_QCOW2, &h, &e), 0);
		assert_string_equal(h.backing, "b");
	}
}

static void head__goes_by_the_beginning_before_the_end(void **state)
{
	enum sill_disk_format told;
	struct sill_err e = { 0 };
	uint8_t f[512];

	(void)state;
	memset(bytes, 0, FRONT);
	memcpy(bytes, "vhdxfile", 8);
	put(65536 + 512);
	make_footer(f, 65536, 2);
	assert_int_equal(pwrite(fd, f, 512, 65536), 512);
	assert_int_equal(sill_image_tell(fd, &told, &e), 0);
	assert_int_equal(told, SILL_DISK_VHDX);
}

static void head__says_what_it_is_instead(void **state)
{
	struct sill_image_info h;
	struct sill_err e;

	(void)state;
	(void)head_make(bytes, FRONT, &(struct head){ 0 });
	put(HEAD_FILE);
	assert_int_equal(look(SILL_DISK_VHD, &h, &e), -1);
	assert_string_equal(e.hint, "it is a qcow2 image: write 'format: qcow2'");
	memset(bytes, 0, FRONT);
	memcpy(bytes, "KDMV", 4);
	put(HEAD_FILE);
	assert_int_equal(look(SILL_DISK_QCOW2, &h, &e), -1);
	assert_non_null(strstr(e.hint, "it is a vmdk image: qemu-img convert"));
	/* The first qcow has the magic of the second. */
	memset(bytes, 0, FRONT);
	head_put32(bytes, 0x514649fb);
	head_put32(bytes + 4, 1);
	put(HEAD_FILE);
	e = (struct sill_err){ 0 };
	assert_int_equal(sill_image_info(fd, "x.img", SILL_DISK_QCOW2, &h, &e), -1);
	assert_non_null(strstr(e.msg, "version 1"));
	assert_non_null(strstr(e.hint, "it is a qcow1 image: "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(head__tells_names_and_size),
		cmocka_unit_test(head__refuses_each_field_out_of_bounds),
		cmocka_unit_test(head__names_the_feature_it_does_not_know),
		cmocka_unit_test(head__refuses_extensions_that_do_not_end),
		cmocka_unit_test(head__takes_no_name_with_a_nul),
		cmocka_unit_test(head__survives_any_bytes_and_any_end),
		cmocka_unit_test(head__tells_what_a_raw_image_looks_like),
		cmocka_unit_test(head__reads_the_footer_of_a_vhd),
		cmocka_unit_test(head__refuses_what_info_tells),
		cmocka_unit_test(head__goes_by_the_beginning_before_the_end),
		cmocka_unit_test(head__says_what_it_is_instead),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
