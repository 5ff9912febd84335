/* SPDX-License-Identifier: Apache-2.0 */
/* test_format.c - the table of disk formats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend/block/format.h"

static void format_table__has_each_format_under_its_name(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SILL_DISK_FORMATS; i++) {
		const char *name = sill_image_format_name((enum sill_disk_format)i);
		enum sill_disk_format found;

		assert_string_equal(blk_formats[i]->ops->format, name);
		assert_true(sill_image_format_find(name, &found));
		assert_int_equal(found, i);
	}
	assert_string_equal(sill_image_format_name(SILL_DISK_FORMATS), "?");
}

static void format_find__takes_no_other_name(void **state)
{
	enum sill_disk_format found = SILL_DISK_VHD;

	(void)state;
	assert_false(sill_image_format_find("vmdk", &found));
	assert_false(sill_image_format_find("", &found));
	assert_false(sill_image_format_find("QCOW2", &found));
	assert_int_equal(found, SILL_DISK_VHD);
}

static void format_names__are_told_to_people(void **state)
{
	char text[80];
	int at = 0;

	(void)state;
	for (unsigned i = 0; i < SILL_DISK_FORMATS; i++)
		at += snprintf(text + at, sizeof(text) - (size_t)at, "%s%s",
			       i == 0                       ? ""
			       : i + 1 == SILL_DISK_FORMATS ? " or "
							    : ", ",
			       sill_image_format_name((enum sill_disk_format)i));
	assert_string_equal(SILL_IMAGE_FORMATS, text);
}

static int create(const struct sill_image_options *o, struct sill_err *e)
{
	const int fd = memfd_create("new", MFD_CLOEXEC);
	int ret;

	*e = (struct sill_err){ 0 };
	assert_true(fd >= 0);
	ret = sill_image_create(fd, o, e);
	assert_int_equal(close(fd), 0);
	return ret;
}

static void format_create__refuses_what_only_others_have(void **state)
{
	static const struct {
		struct sill_image_options o;
		unsigned needs;
	} asked[] = {
		{ { .backing = "base", .backing_format = SILL_DISK_RAW }, BLK_HAS_LAYERS },
		{ { .data_file = "data" }, BLK_HAS_LAYERS },
		{ { .zstd = true }, BLK_HAS_CLUSTERS },
		{ { .version = 3 }, BLK_HAS_CLUSTERS },
		{ { .fixed = true }, BLK_HAS_FIXED },
		{ { .sector_size = 4096 }, BLK_HAS_SECTORS },
	};

	(void)state;
	for (unsigned i = 0; i < SILL_DISK_FORMATS; i++)
		for (unsigned k = 0; k < ARRAY_LEN(asked); k++) {
			struct sill_image_options o = asked[k].o;
			struct sill_err e;

			o.format = (enum sill_disk_format)i;
			o.size = 1 << 20;
			if ((blk_formats[i]->has & asked[k].needs) != 0) {
				assert_int_equal(create(&o, &e), 0);
				continue;
			}
			assert_int_equal(create(&o, &e), -1);
			assert_non_null(strstr(e.msg, " has no "));
		}
}

static void format_create__takes_only_blocks_within_its_limits(void **state)
{
	(void)state;
	for (unsigned i = 0; i < SILL_DISK_FORMATS; i++) {
		const struct blk_format *f = blk_formats[i];
		struct sill_image_options o = { .format = (enum sill_disk_format)i,
						.size = 1 << 20 };
		struct sill_err e;

		if (f->usual == 0) {
			o.block_size = 4096;
			assert_int_equal(create(&o, &e), -1);
			continue;
		}
		o.block_size = f->least;
		assert_int_equal(create(&o, &e), 0);
		o.block_size = f->least / 2;
		assert_int_equal(create(&o, &e), -1);
		o.block_size = f->most;
		assert_int_equal(create(&o, &e), 0);
		o.block_size = f->most * 2;
		assert_int_equal(create(&o, &e), -1);
		o.block_size = f->least * 3;
		assert_int_equal(create(&o, &e), -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(format_table__has_each_format_under_its_name),
		cmocka_unit_test(format_find__takes_no_other_name),
		cmocka_unit_test(format_names__are_told_to_people),
		cmocka_unit_test(format_create__refuses_what_only_others_have),
		cmocka_unit_test(format_create__takes_only_blocks_within_its_limits),
	};

	return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
