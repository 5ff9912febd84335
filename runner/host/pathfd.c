/* SPDX-License-Identifier: Apache-2.0 */
/* pathfd.c - find, then open; names by their directory. */
#include "runner/host/pathfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

int pathfd_find(const char *path, struct stat *ret)
{
	const int fd = open(path, O_PATH | O_CLOEXEC);
	int err;

	if (fd < 0 || fstat(fd, ret) == 0)
		return fd;
	err = errno;
	(void)close(fd);
	errno = err;
	return -1;
}

/* Without /proc: by its path again; if that leads elsewhere now, it is closed again. */
static int open_again(int found, const char *path, int flags)
{
	const int fd = open(path, flags);

	if (fd < 0 || pathfd_leads_to(path, found))
		return fd;
	(void)close(fd);
	errno = ESTALE;
	return -1;
}

int pathfd_open(int found, const char *path, int flags)
{
	char proc[48];
	int fd;

	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", found);
	fd = open(proc, flags);
	if (fd < 0 && errno == ENOENT && access("/proc/self/fd", F_OK) < 0)
		return open_again(found, path, flags);
	return fd;
}

bool pathfd_same(const struct stat *a, const struct stat *b)
{
	if (S_ISBLK(a->st_mode) && S_ISBLK(b->st_mode))
		return a->st_rdev == b->st_rdev;
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool pathfd_leads_to(const char *path, int fd)
{
	struct stat a, b;

	return stat(path, &a) == 0 && fstat(fd, &b) == 0 && pathfd_same(&a, &b);
}

int place_init(struct place *p, const char *path)
{
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	char dir[PATH_MAX];
	int n;

	p->dir = -1;
	p->name[0] = '\0';
	if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		errno = EISDIR;
		return -1;
	}
	n = slash == NULL ? snprintf(dir, sizeof(dir), ".")
			  : snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path) + 1, path);
	if (strlen(name) >= sizeof(p->name) || n < 0 || n >= (int)sizeof(dir)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	(void)snprintf(p->name, sizeof(p->name), "%s", name);
	p->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (p->dir < 0 && errno == EACCES) /* names can be made where none can be read */
		p->dir = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return p->dir < 0 ? -1 : 0;
}

void place_fini(struct place *p)
{
	if (p->dir > 0)
		(void)close(p->dir);
	p->dir = -1;
}

int place_beside(const struct place *p, char ret[NAME_MAX + 1])
{
	uint32_t salt;

	if (getrandom(&salt, sizeof(salt), 0) != (ssize_t)sizeof(salt))
		return -1;
	(void)snprintf(ret, NAME_MAX + 1, ".%.180s.%08x", p->name, salt);
	return 0;
}

int place_nameless(const struct place *p)
{
	const int fd = openat(p->dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 && (errno == EISDIR || errno == EINVAL)) /* older kernels and file systems */
		errno = EOPNOTSUPP;
	return fd;
}

int place_link(const struct place *p, int fd, const char *name)
{
	char proc[48];

	(void)snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, proc, p->dir, name, AT_SYMLINK_FOLLOW);
}

int place_take(const struct place *p, const char *beside)
{
	if (renameat2(p->dir, beside, p->dir, p->name, RENAME_NOREPLACE) == 0)
		return 0;
	/* NFS and 9p know no such flag. A link replaces nothing either. */
	if (errno != EINVAL || linkat(p->dir, beside, p->dir, p->name, 0) < 0)
		return -1;
	(void)unlinkat(p->dir, beside, 0);
	return 0;
}

int place_sync(const struct place *p)
{
	/* EBADF: found only. EINVAL: some file systems have nothing to sync there. */
	return fsync(p->dir) == 0 || errno == EINVAL || errno == EBADF ? 0 : -1;
}
