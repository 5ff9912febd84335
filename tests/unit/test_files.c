/* SPDX-License-Identifier: Apache-2.0 */
/* test_files.c - the open files of a VM: who owns what. */
#include "kit.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "sill/files.h"

static int an_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int add(struct sill_files *f, enum sill_file_role role, const char *id, unsigned layer)
{
	struct sill_file file = { .role = role, .id = id, .layer = layer, .fd = an_fd() };
	struct sill_err e = { 0 };

	assert_int_equal(sill_files_add(f, &file, &e), 0);
	return file.fd;
}

static void sill_files_take__gives_each_once(void **state)
{
	struct sill_files f = { 0 };
	int kvm, a, below, out;

	(void)state;
	kvm = add(&f, SILL_FILE_KVM, NULL, 0);
	a = add(&f, SILL_FILE_DISK, "a", 0);
	below = add(&f, SILL_FILE_DISK, "a", 1);
	out = add(&f, SILL_FILE_OUT, "serial", 0);
	assert_int_equal(sill_files_take(&f, SILL_FILE_DISK, "b", 0), -1);
	assert_int_equal(sill_files_take(&f, SILL_FILE_DISK_DATA, "a", 0), -1);
	assert_int_equal(sill_files_take(&f, SILL_FILE_DISK, "a", 1), below);
	assert_int_equal(sill_files_take(&f, SILL_FILE_DISK, "a", 1), -1);
	assert_int_equal(sill_files_take(&f, SILL_FILE_KVM, NULL, 0), kvm);
	assert_int_equal(sill_files_take(&f, SILL_FILE_OUT, "console", 0), -1);
	sill_files_close(&f);
	assert_true(is_open(below) && is_open(kvm));
	assert_false(is_open(a) || is_open(out));
	(void)close(below);
	(void)close(kvm);
}

static void sill_files_add__takes_the_descriptor_also_when_it_refuses(void **state)
{
	struct sill_file file = { .role = SILL_FILE_DISK, .id = "a", .fd = an_fd() };
	struct sill_files f = { 0 };
	struct sill_err e = { 0 };
	char name[SILL_FILE_ID_MAX + 2];

	(void)state;
	(void)add(&f, SILL_FILE_DISK, "a", 0);
	assert_int_equal(sill_files_add(&f, &file, &e), -1);
	assert_false(is_open(file.fd));
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	file = (struct sill_file){ .role = SILL_FILE_DISK, .id = name, .fd = an_fd() };
	e = (struct sill_err){ 0 };
	assert_int_equal(sill_files_add(&f, &file, &e), -1);
	assert_false(is_open(file.fd));
	assert_int_equal(f.count, 1);
	sill_files_close(&f);
}

static void sill_files_find__tells_how_it_was_opened(void **state)
{
	struct sill_file file = { .role = SILL_FILE_DISK, .layer = 2, .direct = true };
	struct sill_files f = { 0 };
	struct sill_err e = { 0 };
	char id[] = "data";

	(void)state;
	file.id = id;
	file.fd = an_fd();
	assert_int_equal(sill_files_add(&f, &file, &e), 0);
	id[0] = 'x'; /* it has its own copy */
	for (unsigned i = 0; i < 40; i++)
		(void)add(&f, SILL_FILE_DISK, "many", i);
	assert_true(sill_files_find(&f, SILL_FILE_DISK, "data", 2)->direct);
	assert_string_equal(sill_files_find(&f, SILL_FILE_DISK, "data", 2)->id, "data");
	assert_false(sill_files_find(&f, SILL_FILE_DISK, "many", 39)->direct);
	assert_null(sill_files_find(&f, SILL_FILE_DISK, "many", 40));
	sill_files_close(&f);
	assert_null(sill_files_find(&f, SILL_FILE_DISK, "data", 2));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(sill_files_take__gives_each_once),
		cmocka_unit_test(sill_files_add__takes_the_descriptor_also_when_it_refuses),
		cmocka_unit_test(sill_files_find__tells_how_it_was_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
