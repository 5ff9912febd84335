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

static int write_all(int fd, const char *s, size_t n)
{
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

int file_replace(const char *path, const char *text, size_t n, mode_t mode)
{
	char full[PATH_MAX], beside[PATH_MAX + 8];
	struct stat st = { .st_mode = mode };
	bool is_new = false;
	int fd, err;

	if (realpath(path, full) == NULL) {
		if (errno != ENOENT ||
		    (size_t)snprintf(full, sizeof(full), "%s", path) >= sizeof(full))
			return -1;
		is_new = true;
	} else if (stat(full, &st) < 0) {
		return -1;
	}
	(void)snprintf(beside, sizeof(beside), "%s.XXXXXX", full);
	fd = mkostemp(beside, O_CLOEXEC);
	if (fd < 0)
		return -1;
	/* Who may not give a file away keeps his own. */
	if (!is_new && fchown(fd, st.st_uid, st.st_gid) < 0 && errno != EPERM)
		err = errno;
	else if (fchmod(fd, st.st_mode & 07777) < 0 || write_all(fd, text, n) < 0 ||
		 fsync(fd) < 0 || rename(beside, full) < 0)
		err = errno;
	else
		err = 0;
	(void)close(fd);
	if (err != 0)
		(void)unlink(beside);
	errno = err;
	return err != 0 ? -1 : 0;
}
