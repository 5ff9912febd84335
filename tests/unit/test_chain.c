/* SPDX-License-Identifier: Apache-2.0 */
/* test_chain.c - which files an image leads to, how they are opened, and who may share them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "imagehead.h"
#include "runner/host/chain.h"

static char dir[] = "/tmp/sill-test-XXXXXX";

static void make_raw(const char *path)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	(void)close(fd);
}

static int set_up(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL || chdir(dir) < 0 || mkdir("sub", 0700) < 0)
		return -1;
	make_raw("base.img");
	make_raw("data.raw");
	if (head_file("sub/mid.qcow2",
		      &(struct head){ .backing = "../base.img", .format = "raw" }) < 0 ||
	    head_file("top.qcow2",
		      &(struct head){ .backing = "sub/mid.qcow2", .format = "qcow2" }) < 0 ||
	    head_file("other.qcow2", &(struct head){ .backing = "base.img", .format = "raw" }) < 0)
		return -1;
	return head_file("data.qcow2", &(struct head){ .data = "data.raw" });
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	return chdir("/") == 0 && nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : -1;
}

static struct chain_want want(const char *path, enum sill_disk_format format)
{
	return (struct chain_want){ .top = { .path = path, .format = format, .has_format = true },
				    .writes = true };
}

static int mode(int fd)
{
	return fcntl(fd, F_GETFL) & O_ACCMODE;
}

static void chain_open__opens_all_layers_and_writes_only_the_first(void **state)
{
	struct chain_want w = want("top.qcow2", SILL_DISK_QCOW2);
	enum chain_blame blame;
	struct sill_err e = { 0 };
	struct chain c;

	(void)state;
	w.backing_auto = true;
	chain_init(&c);
	assert_int_equal(chain_open(&c, &w, &blame, &e), 0);
	assert_int_equal(c.count, 3);
	assert_string_equal(c.layer[1].path, "sub/mid.qcow2");
	assert_string_equal(c.layer[2].path, "sub/../base.img");
	assert_int_equal(c.layer[1].format, SILL_DISK_QCOW2);
	assert_int_equal(c.layer[2].format, SILL_DISK_RAW);
	assert_int_equal(mode(c.layer[0].fd), O_RDWR);
	assert_int_equal(mode(c.layer[1].fd), O_RDONLY);
	assert_int_equal(mode(c.layer[2].fd), O_RDONLY);
	chain_fini(&c);
}

static void chain_open__lets_two_share_a_base_and_none_write_it(void **state)
{
	struct chain_want w = want("top.qcow2", SILL_DISK_QCOW2),
			  v = want("other.qcow2", SILL_DISK_QCOW2),
			  base = want("base.img", SILL_DISK_RAW);
	enum chain_blame blame;
	struct sill_err e = { 0 };
	struct chain a, b, c;

	(void)state;
	w.backing_auto = v.backing_auto = true;
	chain_init(&a);
	chain_init(&b);
	chain_init(&c);
	assert_int_equal(chain_open(&a, &w, &blame, &e), 0);
	assert_int_equal(chain_open(&b, &v, &blame, &e), 0);
	assert_int_equal(chain_open(&c, &base, &blame, &e), -1);
	assert_non_null(strstr(e.msg, "in use by this command itself"));
	chain_fini(&c);
	chain_fini(&b);
	chain_fini(&a);
	e = (struct sill_err){ 0 };
	assert_int_equal(chain_open(&c, &base, &blame, &e), 0);
	/* And who writes the base keeps those away that stand on it. */
	assert_int_equal(chain_open(&b, &v, &blame, &e), -1);
	assert_int_equal(blame, CHAIN_BACKING);
	chain_fini(&b);
	chain_fini(&c);
}

/* The guest's doing: a qcow2 header on its raw disk, which is below an overlay too. */
static void chain_open__lets_the_owner_of_a_raw_disk_in(void **state)
{
	struct chain_want w[2] = { want("base.img", SILL_DISK_RAW),
				   want("top.qcow2", SILL_DISK_QCOW2) };
	char head[512];
	int top = open("top.qcow2", O_RDONLY), base = open("base.img", O_WRONLY);

	(void)state;
	assert_int_equal(read(top, head, sizeof(head)), sizeof(head));
	assert_int_equal(pwrite(base, head, sizeof(head), 0), sizeof(head));
	close(top);
	for (int i = 0; i < 2; i++) {
		enum chain_blame blame;
		struct sill_err e = { 0 };
		struct chain c;

		w[i].backing_auto = true;
		chain_init(&c);
		assert_int_equal(chain_open(&c, &w[i], &blame, &e), -1);
		assert_int_equal(blame, i == 0 ? CHAIN_FORMAT : CHAIN_BACKING);
		assert_non_null(strstr(e.msg, "it is a qcow2 image"));
		assert_non_null(strstr(e.hint, "format_check: off"));
		chain_fini(&c);
		e = (struct sill_err){ 0 };
		w[i].any_head = true;
		assert_int_equal(chain_open(&c, &w[i], &blame, &e), 0);
		assert_int_equal(c.layer[c.count - 1].format, SILL_DISK_RAW);
		chain_fini(&c);
	}
	memset(head, 0, sizeof(head));
	assert_int_equal(pwrite(base, head, sizeof(head), 0), sizeof(head));
	close(base);
}

/* A loop device over base.img, gone with its last descriptor; -1 where we may not have one. */
static int loop_device(char name[32])
{
	struct loop_config c = { .block_size = 512, .info = { .lo_flags = LO_FLAGS_AUTOCLEAR } };
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), base, loop = -1;
	const int n = control >= 0 ? ioctl(control, LOOP_CTL_GET_FREE) : -1;

	base = open("base.img", O_RDWR | O_CLOEXEC);
	c.fd = (uint32_t)base;
	(void)snprintf(name, 32, "/dev/loop%d", n);
	if (n >= 0)
		loop = open(name, O_RDWR | O_CLOEXEC);
	if (loop >= 0 && ioctl(loop, LOOP_CONFIGURE, &c) < 0) {
		close(loop);
		loop = -1;
	}
	if (control >= 0)
		close(control);
	close(base);
	return loop;
}

static void chain_open__writes_no_device_that_the_host_uses(void **state)
{
	char name[32];
	const int loop = loop_device(name);
	int mounted;

	(void)state;
	if (loop < 0)
		skip();
	mounted = open(name, O_RDONLY | O_EXCL | O_CLOEXEC); /* as mount(8) does */
	assert_true(mounted >= 0);
	for (unsigned k = 0; k < 6; k++) {
		struct chain_want w = want(name, SILL_DISK_RAW);
		enum chain_blame blame;
		struct sill_err e = { 0 };
		const bool writes = k % 2 == 0, used = k < 4;
		struct chain c;

		w.writes = writes;
		w.look_only = k == 2;
		if (k == 4)
			close(mounted);
		chain_init(&c);
		assert_int_equal(chain_open(&c, &w, &blame, &e), writes && used ? -1 : 0);
		if (writes && used) {
			assert_int_equal(blame, CHAIN_PATH);
			assert_non_null(strstr(e.msg, "in use by the host"));
		}
		chain_fini(&c);
	}
	/* Another VM: its name is told to who runs, and who only looks finds nothing wrong. */
	for (unsigned k = 0; k < 2; k++) {
		struct chain_want w = want(name, SILL_DISK_RAW);
		enum chain_blame blame;
		struct sill_err e = { 0 };
		struct chain c, d;

		chain_init(&c);
		chain_init(&d);
		assert_int_equal(chain_open(&c, &w, &blame, &e), 0);
		w.look_only = k == 1;
		assert_int_equal(chain_open(&d, &w, &blame, &e), k == 1 ? 0 : -1);
		if (k == 0)
			assert_non_null(strstr(e.msg, "in use by this command"));
		chain_fini(&d);
		chain_fini(&c);
	}
	close(loop);
}

static void chain_open__follows_no_name_the_manifest_does_not_have(void **state)
{
	const struct chain_name mid = { .path = "sub/mid.qcow2" }, base = { .path = "base.img" };
	struct chain_name both[2] = { mid, base };
	struct chain_want w = want("top.qcow2", SILL_DISK_QCOW2);
	enum chain_blame blame;
	struct sill_err e = { 0 };
	struct chain c;

	(void)state;
	chain_init(&c);
	assert_int_equal(chain_open(&c, &w, &blame, &e), -1);
	assert_int_equal(blame, CHAIN_BACKING);
	assert_int_equal(c.layer[1].fd, -1);
	chain_fini(&c);

	w.backing = &base;
	w.backing_count = 1;
	e = (struct sill_err){ 0 };
	assert_int_equal(chain_open(&c, &w, &blame, &e), -1);
	assert_non_null(strstr(e.msg, "'sub/mid.qcow2', not on 'base.img'"));
	chain_fini(&c);

	w.backing = both;
	w.backing_count = 2;
	e = (struct sill_err){ 0 };
	assert_int_equal(chain_open(&c, &w, &blame, &e), 0);
	chain_fini(&c);

	both[1].has_format = true;
	both[1].format = SILL_DISK_QCOW2;
	assert_int_equal(chain_open(&c, &w, &blame, &e), -1);
	assert_non_null(strstr(e.msg, "is raw, not qcow2"));
	chain_fini(&c);
}

static void chain_open__opens_the_data_file_when_named(void **state)
{
	struct chain_want w = want("data.qcow2", SILL_DISK_QCOW2);
	enum chain_blame blame;
	struct sill_err e = { 0 };
	struct chain c;

	(void)state;
	chain_init(&c);
	assert_int_equal(chain_open(&c, &w, &blame, &e), -1);
	assert_int_equal(blame, CHAIN_DATA_FILE);
	assert_int_equal(c.layer[0].data_fd, -1);
	chain_fini(&c);
	e = (struct sill_err){ 0 };
	w.top.data_file = "./data.raw";
	assert_int_equal(chain_open(&c, &w, &blame, &e), 0);
	assert_int_equal(mode(c.layer[0].data_fd), O_RDWR);
	chain_fini(&c);
	w.top.data_file = "auto";
	assert_int_equal(chain_open(&c, &w, &blame, &e), 0);
	assert_true(c.layer[0].data_fd >= 0);
	chain_fini(&c);
}

static void chain_open__looks_without_locking(void **state)
{
	struct chain_want w = want("top.qcow2", SILL_DISK_QCOW2);
	enum chain_blame blame;
	struct sill_err e = { 0 };
	struct chain a, b;

	(void)state;
	w.backing_auto = true;
	chain_init(&a);
	chain_init(&b);
	assert_int_equal(chain_open(&a, &w, &blame, &e), 0);
	w.look_only = true;
	assert_int_equal(chain_open(&b, &w, &blame, &e), 0);
	assert_int_equal(mode(b.layer[0].fd), O_RDONLY);
	chain_fini(&a);
	chain_fini(&b);
}

static void chain_open__does_not_touch_what_acts_by_being_opened(void **state)
{
	char event[sizeof(struct inotify_event) + NAME_MAX + 1];
	struct chain_want w = want("pipe.qcow2", SILL_DISK_QCOW2);
	const int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	enum chain_blame blame;
	struct sill_err e = { 0 };
	struct chain c;

	(void)state;
	assert_true(watch >= 0);
	assert_int_equal(mkfifo("pipe", 0600), 0);
	assert_int_equal(
		head_file("pipe.qcow2", &(struct head){ .backing = "pipe", .format = "raw" }), 0);
	assert_true(inotify_add_watch(watch, "pipe", IN_OPEN) >= 0);
	w.backing_auto = true;
	for (int i = 0; i < 2; i++) {
		w.look_only = i == 1;
		chain_init(&c);
		assert_int_equal(chain_open(&c, &w, &blame, &e), -1);
		chain_fini(&c);
		assert_non_null(strstr(e.msg, "pipe' is neither a file nor a block device"));
	}
	assert_int_equal(read(watch, event, sizeof(event)), -1);
	assert_int_equal(errno, EAGAIN);
	(void)close(watch);
}

/* What run would be denied is told before anything has started. */
static void chain_open__looks_whether_it_may_write(void **state)
{
	const uid_t nobody = 65534;
	const bool root = geteuid() == 0;
	struct chain_want w = want("denied.qcow2", SILL_DISK_QCOW2);
	enum chain_blame blame = CHAIN_PATH;
	struct sill_err e = { 0 };
	struct chain c;
	int ret;

	(void)state;
	make_raw("denied.raw");
	assert_int_equal(head_file("denied.qcow2", &(struct head){ .data = "denied.raw" }), 0);
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(chmod("denied.qcow2", 0666), 0);
	assert_int_equal(chmod("denied.raw", 0444), 0);
	w.top.data_file = "auto";
	w.look_only = true;
	chain_init(&c);
	assert_int_equal(root ? seteuid(nobody) : 0, 0);
	ret = chain_open(&c, &w, &blame, &e);
	assert_int_equal(root ? seteuid(0) : 0, 0);
	chain_fini(&c);
	assert_int_equal(ret, -1);
	assert_int_equal(blame, CHAIN_DATA_FILE);
	assert_string_equal(e.msg, "open 'denied.raw' for writing: Permission denied");
	assert_string_equal(e.hint, "set readonly: on if the guest shall only read");
}

static void chain_open__refuses_a_device_without_a_medium(void **state)
{
	const int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	const int n = control >= 0 ? ioctl(control, LOOP_CTL_GET_FREE) : -1;
	struct chain_want w;
	enum chain_blame blame;
	struct sill_err e = { 0 };
	struct loop_info64 info;
	struct chain c;
	char name[32];

	(void)state;
	if (control >= 0)
		(void)close(control);
	(void)snprintf(name, sizeof(name), "/dev/loop%d", n);
	if (n < 0 || access(name, R_OK | W_OK) < 0)
		skip();
	w = want(name, SILL_DISK_RAW);
	w.look_only = true;
	chain_init(&c);
	if (chain_open(&c, &w, &blame, &e) == 0 &&
	    ioctl(c.layer[0].fd, LOOP_GET_STATUS64, &info) == 0) {
		chain_fini(&c);
		skip(); /* somebody has set it up meanwhile */
	}
	chain_fini(&c);
	assert_int_equal(blame, CHAIN_PATH);
	assert_non_null(strstr(e.msg, "is empty"));
}

/* The first image is no part of the ring, and nothing is written to. */
static void chain_open__says_where_a_chain_bites_its_tail(void **state)
{
	/* clang-format off */
	static const char *const ring[][3] = {
		{ "in", "one.qcow2", NULL },
		{ "one", "two.qcow2", NULL },
		{ "two", "one.qcow2", "'two.qcow2' names 'one.qcow2', which is above it: a loop" },
		{ "itself", "hard", "'itself.qcow2' names 'itself.qcow2', which is itself: a loop" },
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < sizeof(ring) / sizeof(ring[0]); i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "%s.qcow2", ring[i][0]);
		assert_int_equal(
			head_file(name, &(struct head){ .backing = ring[i][1], .format = "qcow2" }),
			0);
	}
	assert_int_equal(link("itself.qcow2", "hard"), 0);
	for (unsigned i = 0; i < 8; i++) {
		struct chain_want w =
			want(i % 2 == 0 ? "in.qcow2" : "itself.qcow2", SILL_DISK_QCOW2);
		enum chain_blame blame;
		struct sill_err e = { 0 };
		struct chain c;

		w.backing_auto = true;
		w.writes = (i & 2) != 0;
		w.look_only = (i & 4) != 0;
		chain_init(&c);
		assert_int_equal(chain_open(&c, &w, &blame, &e), -1);
		assert_string_equal(e.msg, ring[i % 2 == 0 ? 2 : 3][2]);
		assert_int_equal(blame, CHAIN_BACKING);
		chain_fini(&c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chain_open__opens_all_layers_and_writes_only_the_first),
		cmocka_unit_test(chain_open__lets_two_share_a_base_and_none_write_it),
		cmocka_unit_test(chain_open__lets_the_owner_of_a_raw_disk_in),
		cmocka_unit_test(chain_open__writes_no_device_that_the_host_uses),
		cmocka_unit_test(chain_open__follows_no_name_the_manifest_does_not_have),
		cmocka_unit_test(chain_open__opens_the_data_file_when_named),
		cmocka_unit_test(chain_open__looks_without_locking),
		cmocka_unit_test(chain_open__says_where_a_chain_bites_its_tail),
		cmocka_unit_test(chain_open__does_not_touch_what_acts_by_being_opened),
		cmocka_unit_test(chain_open__looks_whether_it_may_write),
		cmocka_unit_test(chain_open__refuses_a_device_without_a_medium),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
