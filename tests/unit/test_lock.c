/* SPDX-License-Identifier: Apache-2.0 */
/* test_lock.c - the file that is locked is the one that the path leads to; what is not opened at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/host/chain.h"
#include "runner/host/lock.h"
#include "runner/image/verbs.h"

static char dir[64];
static unsigned replacements, made;

static void make(const char *name)
{
	int fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(++made * 512)), 0);
	(void)close(fd);
}

/* In the place of libc's: before it locks, somebody else puts another file there. */
int host_fcntl(int fd, int cmd, void *arg) __asm__("fcntl");

int host_fcntl(int fd, int cmd, void *arg)
{
	if (cmd == F_OFD_SETLK && ((const struct flock *)arg)->l_start == 0 && replacements > 0) {
		replacements--;
		make("new");
		assert_int_equal(rename("new", "image"), 0);
	}
	return (int)syscall(SYS_fcntl, fd, cmd, arg);
}

static int set_up(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/var/tmp/sill-lock-XXXXXX");
	if (mkdtemp(dir) == NULL || chdir(dir) < 0)
		return -1;
	made = 0;
	make("image");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return unlink("image") == 0 && chdir("/") == 0 && rmdir(dir) == 0 ? 0 : -1;
}

static void is_the_last(int fd)
{
	struct stat st;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_nlink, 1);
	assert_int_equal(st.st_size, made * 512);
}

static void image_open_file__takes_what_has_replaced_the_file(void **state)
{
	struct sill_err e = { 0 };
	int fd;

	(void)state;
	replacements = 2;
	fd = image_open_file("image", true, &e);
	is_the_last(fd);
	assert_int_equal(made, 3);
	(void)close(fd);
	replacements = LOCK_TRIES;
	assert_int_equal(image_open_file("image", true, &e), -1);
}

static void chain_open__takes_what_has_replaced_the_file(void **state)
{
	struct chain_want w = { .writes = true };
	enum chain_blame blame;
	struct sill_err e = { 0 };
	struct chain c;

	(void)state;
	w.top = (struct chain_name){ .path = "image", .format = SILL_DISK_RAW, .has_format = true };
	replacements = 2;
	chain_init(&c);
	assert_int_equal(chain_open(&c, &w, &blame, &e), 0);
	is_the_last(c.layer[0].fd);
	assert_int_equal(made, 3);
	chain_fini(&c);
	replacements = LOCK_TRIES;
	assert_int_equal(chain_open(&c, &w, &blame, &e), -1);
	assert_int_equal(c.layer[0].fd, -1);
	chain_fini(&c);
}

/* An image may name a watchdog, which is armed by open(2). */
static void image_look__does_not_touch_what_acts_by_being_opened(void **state)
{
	char event[sizeof(struct inotify_event) + NAME_MAX + 1];
	const int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	struct sill_image_info info = { 0 };
	struct sill_err e = { 0 };

	(void)state;
	assert_true(watch >= 0);
	assert_int_equal(mkfifo("pipe", 0600), 0);
	assert_true(inotify_add_watch(watch, "pipe", IN_OPEN) >= 0);
	assert_int_equal(image_look("pipe", NULL, &info, &e), -1);
	assert_non_null(strstr(e.msg, "'pipe' is neither a file nor a block device"));
	e = (struct sill_err){ 0 };
	assert_int_equal(image_open_file("pipe", false, &e), -1);
	assert_non_null(strstr(e.msg, "'pipe' is neither a file nor a block device"));
	assert_int_equal(read(watch, event, sizeof(event)), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(unlink("pipe"), 0);
	(void)close(watch);
}

static int shell(const char *command)
{
	const int status = system(command);

	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* What a VM holds, QEMU's tools refuse; with -U they do not ask. */
static void chain_open__is_seen_by_qemu(void **state)
{
	static struct chain_name base = { .path = "base.qcow2" };
	struct chain_want w = { .backing = &base, .backing_count = 1, .writes = true };
	enum chain_blame blame;
	struct sill_err e = { 0 };
	struct chain c;

	(void)state;
	if (shell("qemu-io -V >/dev/null 2>&1") != 0)
		skip();
	assert_int_equal(shell("qemu-img create -q -f qcow2 base.qcow2 1M && "
			       "qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 top.qcow2"),
			 0);
	w.top = (struct chain_name){ "top.qcow2", true, SILL_DISK_QCOW2, NULL };
	chain_init(&c);
	assert_int_equal(chain_open(&c, &w, &blame, &e), 0);
	assert_int_equal(shell("qemu-io -c quit top.qcow2 2>/dev/null"), 1);
	assert_int_equal(shell("qemu-io -r -c quit top.qcow2 2>/dev/null"), 1);
	assert_int_equal(shell("qemu-img info top.qcow2 >/dev/null 2>&1"), 1);
	assert_int_equal(shell("qemu-img info -U top.qcow2 >/dev/null"), 0);
	assert_int_equal(shell("qemu-io -c quit base.qcow2 2>/dev/null"), 1);
	assert_int_equal(shell("qemu-io -r -c quit base.qcow2"), 0);
	chain_fini(&c);
	w.writes = false;
	assert_int_equal(chain_open(&c, &w, &blame, &e), 0);
	assert_int_equal(shell("qemu-io -c quit top.qcow2 2>/dev/null"), 1);
	assert_int_equal(shell("qemu-io -r -c quit top.qcow2"), 0);
	chain_fini(&c);
	assert_int_equal(shell("qemu-io -c quit top.qcow2"), 0);
	assert_int_equal(unlink("top.qcow2") + unlink("base.qcow2"), 0);
}

/* A program that locks the whole file to read it is no writer; QEMU's writer behind it is. */
static void lock_image__tells_readers_of_whole_files_from_writers(void **state)
{
	struct flock whole = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	struct flock qemu = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 101, .l_len = 1 };
	const int a = open("image", O_RDWR | O_CLOEXEC), b = open("image", O_RDWR | O_CLOEXEC),
		  ours = open("image", O_RDWR | O_CLOEXEC);
	struct sill_err e = { 0 };

	(void)state;
	assert_true(a >= 0 && b >= 0 && ours >= 0);
	assert_int_equal(fcntl(a, F_OFD_SETLK, &whole), 0);
	assert_int_equal(lock_image(ours, true, "image", &e), -1);
	assert_int_equal(lock_image(ours, false, "image", &e), 0);
	assert_int_equal(fcntl(b, F_OFD_SETLK, &qemu), 0);
	assert_int_equal(lock_image(ours, false, "image", &e), -1);
	assert_int_equal(close(a), 0);
	assert_int_equal(lock_image(ours, false, "image", &e), -1);
	assert_int_equal(lock_image(ours, true, "image", &e), -1);
	/* Nothing is left of the attempts. */
	whole.l_type = F_WRLCK;
	assert_int_equal(fcntl(b, F_OFD_SETLK, &whole), 0);
	assert_int_equal(close(b) + close(ours), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(image_open_file__takes_what_has_replaced_the_file,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(chain_open__takes_what_has_replaced_the_file,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			image_look__does_not_touch_what_acts_by_being_opened, set_up, tear_down),
		cmocka_unit_test_setup_teardown(chain_open__is_seen_by_qemu, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			lock_image__tells_readers_of_whole_files_from_writers, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}
