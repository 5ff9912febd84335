/* SPDX-License-Identifier: Apache-2.0 */
/* test_genid.c - the generation id a VM gets by itself: what changes it, and what does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/host/genid.h"
#include "sill/config.h"

static char dir[] = "/tmp/sill-genid-XXXXXX", file_a[64], file_b[64], name_a[] = "a",
	    name_b[] = "b", null[] = "/dev/null", zero[] = "/dev/zero",
	    uuid[] = "6f1c0c3e-7b0a-4a53-9d5e-0f3d0b9a2c11";

static int open_new(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	return fd;
}

static int set_up(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(file_a, sizeof(file_a), "%s/a", dir);
	(void)snprintf(file_b, sizeof(file_b), "%s/b", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	(void)unlink(file_a);
	(void)unlink(file_b);
	(void)rmdir(dir);
	return 0;
}

/* The id of a VM whose disks are @first and @second, NULL: none. */
static void id_of(char *name, char *id, char *first, bool readonly, char *second, uint8_t ret[16])
{
	struct sill_disk_config disks[2] = { 0 };
	struct sill_config m = { .name = name, .platform = { .uuid = id }, .disk = disks };
	int fds[2] = { -1, -1 };
	char text[GENID_TEXT];

	disks[0].path = first;
	disks[0].readonly = readonly;
	disks[1].path = second;
	for (unsigned i = 0; i < 2 && disks[i].path != NULL; i++) {
		m.disk_count++;
		fds[i] = open(disks[i].path, O_RDWR | O_CLOEXEC);
		assert_true(fds[i] >= 0);
	}
	genid_make(&m, fds, text);
	assert_int_equal(sill_uuid_read(text, ret), 0);
	for (unsigned i = 0; i < m.disk_count; i++)
		(void)close(fds[i]);
}

static void genid_make__is_the_same_when_started_again(void **state)
{
	uint8_t first[16], again[16];
	int fd = open_new(file_a);

	(void)state;
	id_of(name_a, uuid, file_a, false, NULL, first);
	assert_int_equal(write(fd, "new data", 8), 8);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	(void)close(fd);
	id_of(name_a, uuid, file_a, false, NULL, again);
	assert_memory_equal(first, again, 16);
	/* It may move. */
	assert_int_equal(rename(file_a, file_b), 0);
	id_of(name_a, uuid, file_b, false, NULL, again);
	assert_memory_equal(first, again, 16);
	assert_int_equal(rename(file_b, file_a), 0);
}

static void genid_make__is_another_for_a_copy(void **state)
{
	uint8_t first[16], other[16];

	(void)state;
	(void)close(open_new(file_a));
	id_of(name_a, uuid, file_a, false, NULL, first);
	(void)close(open_new(file_b));
	id_of(name_a, uuid, file_b, false, NULL, other);
	assert_memory_not_equal(first, other, 16);
	/* A backup that takes the file's place. */
	assert_int_equal(rename(file_b, file_a), 0);
	id_of(name_a, uuid, file_a, false, NULL, other);
	assert_memory_not_equal(first, other, 16);
}

static void genid_make__knows_name_and_uuid(void **state)
{
	uint8_t first[16], other[16];

	(void)state;
	id_of(name_a, uuid, NULL, false, NULL, first);
	id_of(name_b, uuid, NULL, false, NULL, other);
	assert_memory_not_equal(first, other, 16);
	id_of(name_a, NULL, NULL, false, NULL, other);
	assert_memory_not_equal(first, other, 16);
}

static void genid_make__looks_at_the_first_disk_that_is_written(void **state)
{
	uint8_t first[16], other[16];

	(void)state;
	(void)close(open_new(file_a));
	(void)close(open_new(file_b));
	id_of(name_a, uuid, file_a, false, NULL, first);
	id_of(name_a, uuid, file_a, false, file_b, other); /* a disk more */
	assert_memory_equal(first, other, 16);
	id_of(name_a, uuid, file_b, true, file_a, other); /* a CD more */
	assert_memory_equal(first, other, 16);
	id_of(name_a, uuid, file_b, false, file_a, other);
	assert_memory_not_equal(first, other, 16);
}

/* What is no file has no birth that a copy would not share: devices, here those that everybody may open. */
static void genid_make__takes_a_device_by_its_path(void **state)
{
	uint8_t first[16], other[16];

	(void)state;
	id_of(name_a, uuid, null, false, NULL, first);
	id_of(name_a, uuid, null, false, NULL, other);
	assert_memory_equal(first, other, 16);
	id_of(name_a, uuid, zero, false, NULL, other);
	assert_memory_not_equal(first, other, 16);
}

/* Derived ids must not change from release to release. */
static void genid_make__gives_this_very_id(void **state)
{
	static const uint8_t golden[16] = { 0x9e, 0x3d, 0x3c, 0x2d, 0x9b, 0x75, 0x89, 0x88,
					    0xa9, 0xa9, 0x85, 0x6e, 0x57, 0xd8, 0xc2, 0xaf };
	uint8_t id[16];

	(void)state;
	id_of(name_a, uuid, null, false, NULL, id);
	assert_int_equal(id[6] >> 4, 8);
	assert_int_equal(id[8] >> 6, 2);
	assert_memory_equal(id, golden, 16);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(genid_make__is_the_same_when_started_again),
		cmocka_unit_test(genid_make__is_another_for_a_copy),
		cmocka_unit_test(genid_make__knows_name_and_uuid),
		cmocka_unit_test(genid_make__looks_at_the_first_disk_that_is_written),
		cmocka_unit_test(genid_make__takes_a_device_by_its_path),
		cmocka_unit_test(genid_make__gives_this_very_id),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
