/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock.c - take a lock, or find out who has it.
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

#include "runner/host/proc.h"
#include "runner/report/text.h"

/* Does the descriptor /proc/@pid/fd/@fd hold a lock on the file @want? */
static bool holds(const char *pid, const char *fd, const struct stat *want)
{
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
		found = strncmp(line, "lock:", 5) == 0;
	(void)fclose(f);
	return found;
}

static bool process_holds(const char *pid, const struct stat *want)
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
		found = isdigit((unsigned char)name[0]) && holds(pid, name, want);
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

/* The first process that holds a lock on the file; false when none may be seen. */
static bool find_holder(int fd, char ret_pid[16], char *ret_command, size_t size)
{
	const char *name;
	bool found = false;
	struct stat want;
	DIR *d;

	if (fstat(fd, &want) < 0)
		return false;
	d = opendir("/proc");
	if (d == NULL)
		return false;
	while (!found && (name = dir_next(d)) != NULL) {
		if (!isdigit((unsigned char)name[0]) || !process_holds(name, &want))
			continue;
		found = true;
		(void)snprintf(ret_pid, 16, "%.15s", name);
		command_of(name, ret_command, size);
	}
	(void)closedir(d);
	return found;
}

int lock_image(int fd, bool write, const char *path, struct sill_err *e)
{
	struct flock lock = { .l_type = write ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET };
	char pid[16], command[112];

	if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno == ENOLCK || errno == EOPNOTSUPP || errno == EINVAL) {
		(void)fprintf(stderr, "sill: warning: '%s' cannot be locked: %s\n", path,
			      strerrordesc_np(errno));
		return 0;
	}
	if (errno != EAGAIN && errno != EACCES)
		return sill_err_sys(e, errno, "lock '%s'", path);
	if (!find_holder(fd, pid, command, sizeof(command))) {
		(void)sill_err_set(e, SILL_ERR_HOST, "'%s' is in use by another process", path);
	} else if (strtol(pid, NULL, 10) == getpid()) {
		(void)sill_err_set(e, SILL_ERR_HOST, "'%s' is in use by this command itself", path);
		return sill_err_hint(e, "two names lead to it: an image cannot be below itself, "
					"nor take its own place");
	} else {
		(void)sill_err_set(e, SILL_ERR_HOST, "'%s' is in use by process %s (%s)", path, pid,
				   command);
	}
	return sill_err_hint(
		e, write ? "stop it first; VMs can share a disk that is readonly in all of "
			   "them"
			 : "stop it first; it may write to the disk");
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

bool lock_tell_owner(const char *path, struct sill_err *e)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
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
