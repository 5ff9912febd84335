/* SPDX-License-Identifier: Apache-2.0 */
/* replace.c - write beside, bring it to the medium, rename. */
#include "runner/host/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int file_write_all(int fd, const void *p, size_t n)
{
	const char *s = p;

	while (n > 0) {
		const ssize_t put = write(fd, s, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return -1;
		s += put;
		n -= (size_t)put;
	}
	return 0;
}

/* What is not given to the old group is not for the one that it is given to instead. The mode. */
static mode_t give_away(int fd, const struct stat *st)
{
	mode_t mode = st->st_mode & 07777;

	if (fchown(fd, st->st_uid, st->st_gid) < 0 && fchown(fd, (uid_t)-1, st->st_gid) < 0)
		mode = (mode & 0707) | (mode & 07) << 3;
	return mode;
}

int file_replace(const char *path, const char *text, size_t n, mode_t mode)
{
	char full[PATH_MAX], beside[PATH_MAX + 8];
	struct stat st;
	bool is_new = false;
	int fd, err;

	if (realpath(path, full) == NULL) {
		if (errno != ENOENT ||
		    (size_t)snprintf(full, sizeof(full), "%s", path) >= sizeof(full))
			return -1;
		is_new = true;
	} else if (stat(full, &st) < 0) {
		return -1;
	} else if (!S_ISREG(st.st_mode)) {
		errno = S_ISDIR(st.st_mode) ? EISDIR : ENODEV;
		return -1;
	}
	(void)snprintf(beside, sizeof(beside), "%s.XXXXXX", full);
	fd = mkostemp(beside, O_CLOEXEC);
	if (fd < 0)
		return -1;
	/* Who may not give a file away keeps his own. */
	if (!is_new)
		mode = give_away(fd, &st);
	if (fchmod(fd, mode) < 0 || file_write_all(fd, text, n) < 0 || fsync(fd) < 0 ||
	    rename(beside, full) < 0)
		err = errno;
	else
		err = 0;
	(void)close(fd);
	if (err != 0)
		(void)unlink(beside);
	errno = err;
	return err != 0 ? -1 : 0;
}
