/* SPDX-License-Identifier: Apache-2.0 */
/* leftover.c - see leftover.h. */
#include "runner/host/leftover.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/host/proc.h"
#include "runner/host/subnet.h"

enum { PREFIX = 64 };

static bool prefix(char dst[PREFIX], const char *kind)
{
	struct stat st;

	if (stat("/proc/self/ns/net", &st) < 0)
		return false;
	(void)snprintf(dst, PREFIX, "%s.%llu.", kind, (unsigned long long)st.st_ino);
	return true;
}

int leftover_dir(const char *dir, struct sill_err *e)
{
	if (strlen(dir) >= LEFTOVER_DIR)
		return sill_err_sys(e, ENAMETOOLONG, "'%s'", dir);
	if (mkdir(dir, 0700) < 0 && errno != EEXIST)
		return sill_err_sys(e, errno, "make '%s'", dir);
	return 0;
}

bool leftover_path(char dst[LEFTOVER_PATH], const char *dir, const char *kind,
		   const char *interface)
{
	char before[PREFIX];

	if (!prefix(before, kind))
		return false;
	(void)snprintf(dst, LEFTOVER_PATH, "%s/%s%s", dir, before, interface);
	return true;
}

int leftover_make(const char *dir, const char *path, struct sill_err *e)
{
	const int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	const int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && dir_fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) == 0 && fsync(dir_fd) == 0) {
		(void)close(dir_fd);
		return fd;
	}
	(void)sill_err_sys(e, errno, "'%s'", path);
	if (dir_fd >= 0)
		(void)close(dir_fd);
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

bool leftover_is_ours(int fd)
{
	return flock(fd, LOCK_EX | LOCK_NB) == 0;
}

static void each(DIR *d, const char *dir, const struct leftover_kind *k)
{
	char before[PREFIX], path[LEFTOVER_PATH];
	const char *name;

	if (!prefix(before, k->kind))
		return;
	while ((name = dir_next(d)) != NULL) {
		const char *interface = name + strlen(before);
		int fd;

		if (strncmp(name, before, strlen(before)) != 0 ||
		    strlen(interface) >= IF_NAMESIZE ||
		    !leftover_path(path, dir, k->kind, interface))
			continue;
		fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (leftover_is_ours(fd)) {
			const bool done = k->undo(fd, path, interface);

			if (k->told != NULL)
				k->told(k->ctx, interface, done);
		}
		(void)close(fd);
	}
}

void leftover_each(const char *dir, const struct leftover_kind *k)
{
	DIR *d = opendir(dir);
	int lock;

	if (d == NULL)
		return;
	lock = networks_lock_to_clean();
	if (lock >= 0) {
		each(d, dir, k);
		(void)close(lock);
	}
	(void)closedir(d);
}
