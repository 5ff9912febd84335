/* SPDX-License-Identifier: Apache-2.0 */
/* rotate.c - see rotate.h. */
#include "runner/host/rotate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/host/lock.h"

/* May PATH.1 be replaced? -1 and @e if not. */
static int check_old(const struct rotated *r, struct sill_err *e)
{
	struct stat st;
	int fd, ret;

	if (fstatat(r->dir_fd, r->old, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (!S_ISREG(st.st_mode)) {
		(void)sill_err_set(e, SILL_ERR_HOST, "'%.120s' is not a file", r->old);
		return sill_err_hint(e, "what is full is moved there: move it away, or set "
					"limit: off");
	}
	fd = openat(r->dir_fd, r->old, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return 0; /* not ours to read; whether it can be replaced is the directory's business */
	ret = lock_refuse_image(fd, r->old, e);
	(void)close(fd);
	return ret;
}

/* The directory of @path with all links followed, or -1. */
static int open_real(struct rotated *r, const char *path)
{
	char *real = realpath(path, NULL);
	char *slash = real != NULL ? strrchr(real, '/') : NULL;
	int fd = -1;

	if (slash != NULL && strlen(slash + 1) < sizeof(r->name)) {
		(void)snprintf(r->name, sizeof(r->name), "%s", slash + 1);
		(void)snprintf(r->old, sizeof(r->old), "%s.1", r->name);
		slash[slash == real ? 1 : 0] = '\0';
		fd = open(real, O_PATH | O_DIRECTORY | O_CLOEXEC);
	}
	free(real);
	return fd;
}

int rotate_init(struct rotated *r, int fd, const char *path, struct sill_err *e)
{
	struct stat st;

	*r = (struct rotated){ .dir_fd = -1 };
	if (fstat(fd, &st) < 0)
		return sill_err_sys(e, errno, "'%s'", path);
	if (!S_ISREG(st.st_mode))
		return 0;
	r->dev = st.st_dev;
	r->ino = st.st_ino;
	r->dir_fd = open_real(r, path);
	if (r->dir_fd < 0 || check_old(r, e) == 0)
		return 0;
	rotate_fini(r);
	return -1;
}

/* Out of the way. False: PATH is another file by now, or cannot be moved. */
static bool move_away(const struct rotated *r, bool there, const struct stat *st)
{
	struct sill_err e = { 0 };

	if (!there)
		return true; /* somebody was quicker */
	return st->st_dev == r->dev && st->st_ino == r->ino && check_old(r, &e) == 0 &&
	       renameat(r->dir_fd, r->name, r->dir_fd, r->old) == 0;
}

int rotate_next(struct rotated *r, int flags)
{
	struct stat st = { .st_mode = 0600, .st_uid = geteuid(), .st_gid = getegid() }, now;
	bool there;
	int fd;

	if (r->dir_fd < 0)
		return -1;
	there = fstatat(r->dir_fd, r->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
	if (!move_away(r, there, &st))
		return -1;
	fd = openat(r->dir_fd, r->name, flags | O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		if (there)
			(void)renameat2(r->dir_fd, r->old, r->dir_fd, r->name, RENAME_NOREPLACE);
		return -1;
	}
	/* Who was let read the one before reads on. */
	if (there && (fchown(fd, st.st_uid, st.st_gid) == 0 || st.st_uid == geteuid()))
		(void)fchmod(fd, st.st_mode & 0777);
	if (fstat(fd, &now) == 0) {
		r->dev = now.st_dev;
		r->ino = now.st_ino;
	}
	return fd;
}

void rotate_fini(struct rotated *r)
{
	if (r->dir_fd >= 0)
		(void)close(r->dir_fd);
	r->dir_fd = -1;
}
