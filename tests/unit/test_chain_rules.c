/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_chain_rules.c - by which rules names in images are followed: each once, for a VM's disk, for
 * `sill image`, and for who only looks. test_chain.c has what is opened and locked.
 */
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

#include "imagehead.h"
#include "runner/host/chain.h"

static char dir[] = "/tmp/sill-test-XXXXXX";
static char at[64]; /* dir/ */

/* What the walk came to. */
static struct chain chain;
static struct sill_err e;
static enum chain_blame blame;
static unsigned found, told;

static int make_raw(const char *path, off_t size)
{
	const int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	return fd >= 0 && ftruncate(fd, size) == 0 ? close(fd) : -1;
}

static int set_up(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL || chdir(dir) < 0 || mkfifo("pipe", 0600) < 0)
		return -1;
	(void)snprintf(at, sizeof(at), "%s/", dir);
	return make_raw("base.img", 1 << 20) | make_raw("empty.img", 0) |
	       make_raw("data.raw", 1 << 20);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	return chdir("/") == 0 && nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : -1;
}

static void count(void *ctx, const char *path, bool is_told, const struct sill_image_info *head)
{
	(void)ctx;
	assert_non_null(path);
	assert_true(head->format < SILL_DISK_FORMATS);
	found++;
	told += is_told;
}

/* An image over @backing of @format, @data beside it; "top.qcow2". */
static const char *top(const char *backing, const char *format, const char *data)
{
	static char path[96];

	(void)snprintf(path, sizeof(path), "%stop.qcow2", at);
	(void)unlink(path);
	assert_int_equal(
		head_file(path,
			  &(struct head){ .backing = backing, .format = format, .data = data }),
		0);
	return path;
}

static struct chain_want want(const struct chain_policy *p, const char *path)
{
	return (struct chain_want){
		.policy = p,
		.top = { .path = path, .format = SILL_DISK_QCOW2, .has_format = true },
		.backing_auto = true,
		.data_fd = -1,
		.found = count
	};
}

static int walk(const struct chain_want *w)
{
	e = (struct sill_err){ 0 };
	found = told = 0;
	chain_fini(&chain);
	return chain_open(&chain, w, &blame, &e);
}

static void refused(const struct chain_want *w, const char *why)
{
	assert_int_equal(walk(w), -1);
	if (strstr(e.msg, why) == NULL)
		fail_msg("'%s' is not in: %s", why, e.msg);
}

static void opened(const struct chain_want *w, size_t layers)
{
	if (walk(w) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(chain.count, layers);
}

static const struct chain_policy *const all[] = { &chain_manifest, &chain_image, &chain_heads };

static void chain_name__is_followed_only_when_that_is_asked(void **state)
{
	struct chain_want w;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		w = want(all[i], top("base.img", "raw", NULL));
		opened(&w, 2);
		assert_int_equal(found, 2);
		w.backing_auto = false;
		refused(&w, i == 0 ? "'top.qcow2' is made on 'base.img', which the manifest does "
				     "not name"
				   : "/top.qcow2' is made on top of 'base.img'");
		assert_int_equal(chain.count, 1);
		assert_int_equal(found, 1);
	}
	w = want(&chain_image, top("base.img", "raw", NULL));
	w.backing_auto = false;
	refused(&w, "is made on top of");
	assert_string_equal(e.hint, "add --chain to read that too");
	w.hint = "so be it";
	refused(&w, "is made on top of");
	assert_string_equal(e.hint, "so be it");
}

static void chain_name__leads_to_files_only(void **state)
{
	static const char *const names[] = { "nbd://host/x", "json:{}", "file:" };

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct chain_want w = want(all[i], top("pipe", "raw", NULL));

		refused(&w, "pipe' is neither a file nor a block device");
		assert_non_null(chain.layer[1].path);
		for (unsigned k = 0; k < 3; k++) {
			w = want(all[i], top(names[k], "raw", NULL));
			refused(&w, "which is not a file's name");
			assert_null(chain.layer[1].path);
		}
		w = want(all[i], top("file:base.img", "raw", NULL));
		opened(&w, 2); /* relative to where we are, as in QEMU */
		assert_string_equal(chain.layer[1].path, "base.img");
	}
}

static void chain_format__is_what_the_image_above_says(void **state)
{
	struct chain_want w;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		w = want(all[i], top("base.img", NULL, NULL));
		refused(&w, i == 0 ? "does not say of what format 'base.img' is, and nobody guesses"
				   : "does not say which format 'base.img' below it has");
		w = want(all[i], top("base.img", "vmdk", NULL));
		refused(&w, "vmdk");
		assert_string_equal(e.hint, "only raw and qcow2 can be below an image");
		w = want(all[i], top("base.img", "vhd", NULL));
		refused(&w, "vhd");
		assert_string_equal(e.hint, "only raw and qcow2 can be below an image");
		w = want(all[i], top("base.img", "qcow2", NULL));
		refused(&w, "there is no qcow2 header");
	}
	/* Who only looks takes the header's word, and knows that. */
	w = want(&chain_heads, top("base.img", NULL, NULL));
	opened(&w, 2);
	assert_int_equal(told, 1);
	w.top.has_format = false;
	opened(&w, 2);
	assert_int_equal(told, 2);
	assert_int_equal(chain.layer[0].format, SILL_DISK_QCOW2);
}

static void chain_loop__is_found_wherever_it_closes(void **state)
{
	struct chain_want w;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		w = want(all[i], top("top.qcow2", "qcow2", NULL));
		refused(&w, "top.qcow2', which is itself: a loop");
		assert_int_equal(head_file("mid.qcow2", &(struct head){ .backing = "top.qcow2",
									.format = "qcow2" }),
				 0);
		w = want(all[i], top("mid.qcow2", "qcow2", NULL));
		refused(&w, "names 'top.qcow2', which is above it: a loop");
		if (i == 2)
			continue;
		w = want(all[i], top(NULL, NULL, "top.qcow2"));
		w.top.data_file = "auto";
		refused(&w, "top.qcow2', which is itself: a loop");
		w = want(all[i], top("data.raw", "raw", "data.raw"));
		w.top.data_file = "auto";
		refused(&w, "data.raw', which is above it: a loop");
		assert_int_equal(unlink("mid.qcow2"), 0);
	}
	/* What is not there yet, or is not part of the walk. */
	w = want(&chain_image, top("base.img", "raw", NULL));
	w.above = "./base.img";
	refused(&w, "top.qcow2' names 'base.img', which is above it: a loop");
	assert_int_equal(chain_check_loop("base.img", "./base.img", "./base.img", &e), -1);
	e = (struct sill_err){ 0 };
	assert_int_equal(chain_check_loop("base.img", "data.raw", "data.raw", &e), 0);
}

static void chain_depth__has_an_end(void **state)
{
	char name[32], below[32];

	(void)state;
	for (unsigned i = 0; i <= SILL_MAX_LAYERS; i++) {
		(void)snprintf(name, sizeof(name), "d%u.qcow2", i);
		(void)snprintf(below, sizeof(below), "d%u.qcow2", i + 1);
		assert_int_equal(head_file(name, i < SILL_MAX_LAYERS
							 ? &(struct head){ .backing = below,
									   .format = "qcow2" }
							 : &(struct head){ 0 }),
				 0);
	}
	for (unsigned i = 0; i < 3; i++) {
		struct chain_want w = want(all[i], "d0.qcow2");

		w.look_only = true;
		refused(&w, "more than 64 images on top of each other");
		w.top.path = "d1.qcow2";
		opened(&w, SILL_MAX_LAYERS);
		w.above = "base.img"; /* or will be: then there is one more */
		refused(&w, "more than 64 images on top of each other");
	}
}

static void chain_data__is_where_the_image_says(void **state)
{
	struct chain_want w = want(&chain_image, top(NULL, NULL, "data.raw"));

	(void)state;
	opened(&w, 1);
	assert_true(chain.layer[0].data_fd >= 0);
	w.backing_auto = false;
	refused(&w, "is made on top of 'data.raw'");
	w = want(&chain_image, top(NULL, NULL, "nowhere"));
	refused(&w, "nowhere");
	w.policy = &chain_heads;
	opened(&w, 1);
	assert_int_equal(chain.layer[0].data_fd, -1);
	w.policy = &chain_manifest;
	refused(&w, "which the manifest does not name");
	assert_int_equal(blame, CHAIN_DATA_FILE);
}

/* What a VM cannot use, a person may still look at, mend or copy. */
static void chain_use__is_asked_for_a_vm_only(void **state)
{
	struct chain_want w;

	(void)state;
	assert_int_equal(head_file("odd.qcow2", &(struct head){ .feature = "quantum" }), 0);
	for (unsigned i = 0; i < 3; i++) {
		w = want(all[i], "odd.qcow2");
		if (i == 0)
			refused(&w, "a feature that is not supported");
		else
			opened(&w, 1);
		w = want(all[i], top("empty.img", "raw", NULL));
		if (i == 0)
			refused(&w, "is empty");
		else
			opened(&w, 2);
		w = want(all[i], top("odd.qcow2", "raw", NULL));
		if (i == 0)
			refused(&w, "is not raw: it is a qcow2 image");
		else
			opened(&w, 2);
	}
}

static void chain_open__goes_on_below_what_is_open(void **state)
{
	struct sill_image_info head = { .backing = "gone.img",
					.backing_format_said = "raw",
					.backing_format = SILL_DISK_RAW,
					.has_backing_format = true };
	const int fd = open("data.raw", O_RDONLY | O_CLOEXEC);
	struct chain_want w = { .policy = &chain_image,
				.above = "base.img",
				.above_head = &head,
				.backing_auto = true,
				.writes = true,
				.fd = fd,
				.data_fd = -1 };
	struct stat a, b;

	(void)state;
	assert_true(fd >= 0);
	refused(&w, "gone.img");
	/* The name is not looked up any more: it may lead elsewhere by now. */
	w.is_open = true;
	opened(&w, 1);
	assert_int_not_equal(chain.layer[0].fd, fd);
	assert_true(fstat(fd, &a) == 0 && fstat(chain.layer[0].fd, &b) == 0);
	assert_int_equal(a.st_ino, b.st_ino);
	/* What is below another is only read, whoever asks. */
	w.is_open = false;
	(void)snprintf(head.backing, sizeof(head.backing), "data.raw");
	opened(&w, 1);
	assert_int_equal(fcntl(chain.layer[0].fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	(void)snprintf(head.backing, sizeof(head.backing), "base.img");
	refused(&w, "'base.img' names 'base.img', which is itself: a loop");
	assert_int_equal(close(fd), 0);
}

static void chain_open_file__is_what_the_layers_are_opened_with(void **state)
{
	const struct chain_want image = { .policy = &chain_image }, manifest = { .writes = true },
				look = { .policy = &chain_image, .look_only = true };
	const int fd = chain_open_file(&image, "base.img", true, &e);
	int other;

	(void)state;
	assert_true(fd >= 0);
	e = (struct sill_err){ 0 };
	assert_int_equal(chain_open_file(&image, "base.img", false, &e), -1);
	assert_non_null(strstr(e.msg, "in use by this command itself"));
	e = (struct sill_err){ 0 };
	assert_int_equal(chain_open_file(&manifest, "base.img", false, &e), -1);
	other = chain_open_file(&look, "base.img", false, &e);
	assert_true(other >= 0);
	assert_int_equal(close(other), 0);
	assert_int_equal(close(fd), 0);
	e = (struct sill_err){ 0 };
	assert_int_equal(chain_open_file(&image, "pipe", false, &e), -1);
	assert_non_null(strstr(e.msg, "neither a file nor a block device"));
}

static int clear(void **state)
{
	(void)state;
	chain_fini(&chain);
	return 0;
}

#define RULE(f) cmocka_unit_test_setup_teardown(f, clear, clear)

static int begin(void **state)
{
	chain_init(&chain);
	return set_up(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RULE(chain_name__is_followed_only_when_that_is_asked),
		RULE(chain_name__leads_to_files_only),
		RULE(chain_format__is_what_the_image_above_says),
		RULE(chain_loop__is_found_wherever_it_closes),
		RULE(chain_depth__has_an_end),
		RULE(chain_data__is_where_the_image_says),
		RULE(chain_use__is_asked_for_a_vm_only),
		RULE(chain_open__goes_on_below_what_is_open),
		RULE(chain_open_file__is_what_the_layers_are_opened_with),
	};

	return cmocka_run_group_tests(tests, begin, tear_down);
}
