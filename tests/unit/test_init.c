/* SPDX-License-Identifier: Apache-2.0 */
/* test_init.c - sill init: what it writes is right, and nothing is written over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/cmd/cmd.h"
#include "runner/manifest/manifest.h"

static char dir[] = "/tmp/sill-init.XXXXXX";

static int enter(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL || chdir(dir) < 0;
}

static int drop(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static int leave(void **state)
{
	(void)state;
	return chdir("/") < 0 || nftw(dir, drop, 8, FTW_DEPTH | FTW_PHYS) < 0;
}

static int init(const char *const *args)
{
	char words[8][64], *argv[9];
	int argc = 0;

	for (; args[argc] != NULL; argc++) {
		(void)snprintf(words[argc], sizeof(words[argc]), "%s", args[argc]);
		argv[argc] = words[argc];
	}
	argv[argc] = NULL;
	return verb_init.run(argc, argv);
}

/* The only VM of @file, which is right. The caller destroys *ret_f. */
static const struct sill_config *load(const char *file, struct mfile **ret_f)
{
	struct mfile *f = mfile_load(file, NULL);

	assert_non_null(f);
	assert_int_equal(f->diags.total, 0);
	assert_int_equal(f->count, 1);
	*ret_f = f;
	return f->docs[0].m;
}

static void init__writes_a_manifest_without_a_mistake_for_every_guest(void **state)
{
	static const char *const guests[] = { "linux", "windows", "other" };
	struct mfile *f;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char file[32];
		const char *const args[] = { "init", "--guest", guests[i], file, NULL };

		(void)snprintf(file, sizeof(file), "%s.yaml", guests[i]);
		assert_int_equal(init(args), CMD_DONE);
		assert_string_equal(load(file, &f)->name, guests[i]);
		assert_int_equal(f->warnings.total, 0);
		mfile_destroy(f);
	}
}

static void init__names_are_text_whatever_they_look_like(void **state)
{
	static const char *const names[] = { "on",  "No",   "42", "0x1f",
					     "1e3", "null", "y",  "win-2022_a.b" };
	struct mfile *f;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *const args[] = { "init", "--name", names[i], "n.yaml", NULL };

		assert_int_equal(init(args), CMD_DONE);
		assert_string_equal(load("n.yaml", &f)->name, names[i]);
		mfile_destroy(f);
		assert_int_equal(unlink("n.yaml"), 0);
	}
}

static void init__looks_up_the_format_of_a_disk_that_is_there(void **state)
{
	static const char *const args[] = { "init", "sub/vm.yaml", "--disk", "d.img", NULL };
	int fd;
	struct mfile *f;

	(void)state;
	assert_int_equal(mkdir("sub", 0755), 0);
	fd = open("sub/d.img", O_CREAT | O_WRONLY, 0644);
	assert_true(fd >= 0 && ftruncate(fd, 1 << 20) == 0);
	(void)close(fd);
	assert_int_equal(init(args), CMD_DONE);
	assert_int_equal(load("sub/vm.yaml", &f)->disk[0].format, SILL_DISK_RAW);
	mfile_destroy(f);
}

static void init__writes_over_nothing(void **state)
{
	static const char *const args[] = { "init", "kept.yaml", NULL };
	static const char *const link[] = { "init", "link.yaml", NULL };
	char text[8] = "";
	FILE *f = fopen("kept.yaml", "w");
	int keep = dup(2);

	(void)state;
	assert_true(f != NULL && fputs("mine\n", f) >= 0 && fclose(f) == 0);
	assert_int_equal(symlink("elsewhere", "link.yaml"), 0);
	assert_non_null(freopen("/dev/null", "w", stderr));
	assert_int_equal(init(args), CMD_FAILED);
	assert_int_equal(init(link), CMD_FAILED);
	(void)fflush(stderr);
	assert_true(dup2(keep, 2) == 2);
	(void)close(keep);
	f = fopen("kept.yaml", "r");
	assert_true(f != NULL && fgets(text, sizeof(text), f) != NULL);
	(void)fclose(f);
	assert_string_equal(text, "mine\n");
	assert_int_equal(access("elsewhere", F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(init__writes_a_manifest_without_a_mistake_for_every_guest),
		cmocka_unit_test(init__names_are_text_whatever_they_look_like),
		cmocka_unit_test(init__looks_up_the_format_of_a_disk_that_is_there),
		cmocka_unit_test(init__writes_over_nothing),
	};

	return cmocka_run_group_tests(tests, enter, leave);
}
