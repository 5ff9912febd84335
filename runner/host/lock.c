/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.c - take a lock, or find out who has it.
 *
 * Two parts of a file are locked. The first hundred bytes as others lock whole
 * files: shared by readers, a writer's alone; so the kernel decides at once
 * between two of us. And the bytes that QEMU's block/file-posix.c uses: one
 * for each thing that somebody does with the file, from 100 on, and one for
 * each that he suffers from nobody else, from 200 on. All of these are read
 * locks, also a writer's: who has taken his looks whether anybody has the
 * opposite one.
 *
 * The kernel does not tell whose an open file description lock is, but
 * /proc/PID/fdinfo lists the locks of each descriptor.
 */
#include "runner/host/lock.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/host/pathfd.h"
#include "runner/host/proc.h"
#include "runner/report/text.h"

/* Of QEMU's permissions, those that matter between us; the numbers are its own. */
enum { READ = 0, WRITE = 1, RESIZE = 3 };
enum { WHOLE = 100, DOES = 100, SUFFERS_NOT = 200 };

/* What is in the way: a lock on some of these bytes; @last -1: to the end. */
struct bytes {
	const struct stat *file;
	off_t first, last;
};

/*
 * "1: OFDLCK  ADVISORY  READ -1 fe:00:1096 100 101", of a file that somebody
 * locks: are some of @b in it? The device's number is another than that of
 * stat(2) on some file systems and is not looked at.
 */
static bool line_covers(const char *line, const struct bytes *b)
{
	unsigned long long inode, first, last = 0;
	char end[24];

	if (sscanf(line, "%*d: %*s %*s %*s %*d %*x:%*x:%llu %llu %23s", &inode, &first, end) != 3)
		return false;
	if (strcmp(end, "EOF") == 0)
		last = (unsigned long long)INT64_MAX;
	else
		last = strtoull(end, NULL, 10);
	return inode == b->file->st_ino && last >= (unsigned long long)b->first &&
	       (b->last < 0 || first <= (unsigned long long)b->last);
}

/* Does the descriptor /proc/@pid/fd/@fd hold a lock on some of @b? */
static bool holds(const char *pid, const char *fd, const struct bytes *b)
{
	const struct stat *want = b->file;
	char path[64], line[256];
	struct stat st;
	bool found = false;
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%.16s/fd/%.16s", pid, fd);
	if (stat(path, &st) < 0 || st.st_dev != want->st_dev || st.st_ino != want->st_ino)
		return false;
	(void)snprintf(path, sizeof(path), "/proc/%.16s/fdinfo/%.16s", pid, fd);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	while (!found && fgets(line, sizeof(line), f) != NULL)
		found = strncmp(line, "lock:", 5) == 0 && line_covers(line + 5, b);
	(void)fclose(f);
	return found;
}

static bool process_holds(const char *pid, const struct bytes *b)
{
	const char *name;
	bool found = false;
	char path[64];
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	d = opendir(path);
	if (d == NULL)
		return false;
	while (!found && (name = dir_next(d)) != NULL)
		found = isdigit((unsigned char)name[0]) && holds(pid, name, b);
	(void)closedir(d);
	return found;
}

/* "sill run web.yaml": the command line with blanks between its words. */
static void command_of(const char *pid, char *ret, size_t size)
{
	char path[64], raw[160];
	size_t n = 0;
	FILE *f;

	ret[0] = '\0';
	(void)snprintf(path, sizeof(path), "/proc/%.16s/cmdline", pid);
	f = fopen(path, "re");
	if (f == NULL)
		return;
	n = fread(raw, 1, sizeof(raw), f);
	(void)fclose(f);
	while (n > 0 && raw[n - 1] == '\0')
		n--;
	for (size_t i = 0; i < n; i++) {
		if (raw[i] == '\0')
			raw[i] = ' ';
	}
	(void)text_clean(ret, size, raw, n);
}

/* The first process that holds a lock on some of @b; false when none may be seen. */
static bool find_holder(const struct bytes *b, char ret_pid[16], char *ret_command, size_t size)
{
	const char *name;
	bool found = false;
	DIR *d = opendir("/proc");

	if (d == NULL)
		return false;
	while (!found && (name = dir_next(d)) != NULL) {
		if (!isdigit((unsigned char)name[0]) || !process_holds(name, b))
			continue;
		found = true;
		(void)snprintf(ret_pid, 16, "%.15s", name);
		command_of(name, ret_command, size);
	}
	(void)closedir(d);
	return found;
}

bool lock_holder(int fd, long *ret_pid, char *ret_command, size_t size)
{
	struct stat st;
	const struct bytes b = { .file = &st, .first = 0, .last = -1 };
	char pid[16];

	if (fstat(fd, &st) < 0 || !find_holder(&b, pid, ret_command, size))
		return false;
	*ret_pid = strtol(pid, NULL, 10);
	return true;
}

bool lock_is_held_by(int fd, long pid)
{
	struct stat st;
	const struct bytes b = { .file = &st, .first = 0, .last = -1 };
	char text[16];

	(void)snprintf(text, sizeof(text), "%ld", pid);
	return fstat(fd, &st) == 0 && process_holds(text, &b);
}

/* Nobody who may be seen: whoever can read the file can lock it. */
static int refuse_unseen(const struct bytes *b, const char *path, struct sill_err *e)
{
	(void)sill_err_set(e, SILL_ERR_HOST, "'%s' is in use by another process", path);
	if ((b->file->st_mode & 044) == 0)
		return sill_err_hint(e, "stop it first; root sees which it is");
	return sill_err_hint(e, "another user's, who may read the file and therefore lock it: root "
				"sees which it is, and chmod 600 keeps others out");
}

static int refuse(const struct bytes *b, bool write, const char *path, struct sill_err *e)
{
	char pid[16], command[112];

	if (!find_holder(b, pid, command, sizeof(command)))
		return refuse_unseen(b, path, e);
	if (strtol(pid, NULL, 10) == getpid()) {
		(void)sill_err_set(e, SILL_ERR_HOST, "'%s' is in use by this command itself", path);
		return sill_err_hint(e, "two names lead to it: an image cannot be below itself, "
					"nor take its own place");
	}
	(void)sill_err_set(e, SILL_ERR_HOST, "'%s' is in use by process %s (%s)", path, pid,
			   command);
	return sill_err_hint(
		e, write ? "stop it first; VMs can share a disk that is readonly in all of "
			   "them"
			 : "stop it first; it may write to the disk");
}

/* 0, or -1 and errno; EAGAIN: somebody else has it. */
static int take(int fd, short type, off_t first, off_t n)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = first, .l_len = n };

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno == EACCES)
		errno = EAGAIN;
	return -1;
}

/* A read lock on the whole file is that of a program that only reads; but QEMU's may be behind it. */
static bool only_reads(const struct flock *lock, const struct bytes *b)
{
	char line[256];
	bool other = false;
	FILE *f;

	if (lock->l_type != F_RDLCK || lock->l_start != 0 || lock->l_len != 0)
		return false;
	f = fopen("/proc/locks", "re");
	if (f == NULL)
		return false;
	while (!other && fgets(line, sizeof(line), f) != NULL)
		other = strstr(line, " 0 EOF") == NULL && line_covers(line, b);
	(void)fclose(f);
	return !other;
}

static int look(int fd, off_t at)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1 };
	struct stat st;
	const struct bytes b = { .file = &st, .first = at, .last = at };

	if (fstat(fd, &st) < 0 || fcntl(fd, F_OFD_GETLK, &lock) < 0)
		return -1;
	if (lock.l_type == F_UNLCK || only_reads(&lock, &b))
		return 0;
	errno = EAGAIN;
	return -1;
}

/* 0, or -1, errno and what it is about. */
static int take_all(int fd, bool write, off_t *ret_first, off_t *ret_last)
{
	static const off_t takes[] = { DOES + READ, SUFFERS_NOT + WRITE, SUFFERS_NOT + RESIZE,
				       DOES + WRITE, DOES + RESIZE },
			   looks[] = { SUFFERS_NOT + READ, DOES + WRITE, DOES + RESIZE,
				       SUFFERS_NOT + WRITE, SUFFERS_NOT + RESIZE };
	const size_t count = write ? 5 : 3; /* who reads has the first ones */

	*ret_first = 0;
	*ret_last = WHOLE - 1;
	if (take(fd, write ? F_WRLCK : F_RDLCK, 0, WHOLE) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		*ret_first = *ret_last = takes[i];
		if (take(fd, F_RDLCK, takes[i], 1) < 0)
			return -1;
	}
	for (size_t i = 0; i < count; i++) {
		*ret_first = *ret_last = looks[i];
		if (look(fd, looks[i]) < 0)
			return -1;
	}
	return 0;
}

int lock_image(int fd, bool write, const char *path, struct sill_err *e)
{
	struct stat st;
	struct bytes b = { .file = &st };
	int err;

	if (fstat(fd, &st) < 0)
		return sill_err_sys(e, errno, "'%s'", path);
	if (take_all(fd, write, &b.first, &b.last) == 0)
		return 0;
	err = errno;
	(void)take(fd, F_UNLCK, 0, 0);
	if (err == ENOLCK || err == EOPNOTSUPP || err == EINVAL) {
		text_say(stderr, "sill: warning: '%s' cannot be locked: %s", path,
			 strerrordesc_np(err));
		return 0;
	}
	if (err != EAGAIN)
		return sill_err_sys(e, err, "lock '%s'", path);
	return refuse(&b, write, path, e);
}

int lock_refuse_image(int fd, const char *path, struct sill_err *e)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_GETLK, &lock) < 0 || lock.l_type == F_UNLCK)
		return 0;
	return sill_err_set(e, SILL_ERR_HOST, "'%.150s' is an image that a VM uses", path);
}

bool lock_is_late(int fd, const char *path)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && (stat(path, &there) < 0 || ours.st_dev != there.st_dev ||
					 ours.st_ino != there.st_ino);
}

bool lock_tell_owner(int found, const char *path, struct sill_err *e)
{
	const int fd = pathfd_open(found, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	const bool locked = fd >= 0 && lock_image(fd, false, path, e) < 0;

	if (fd >= 0)
		(void)close(fd);
	if (locked)
		return true;
	(void)sill_err_set(e, SILL_ERR_HOST,
			   "'%.150s' is in use by the host: mounted, or part of a volume", path);
	(void)sill_err_hint(e, "unmount it first; lsblk shows what it is used for");
	return false;
}
