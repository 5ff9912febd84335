/* SPDX-License-Identifier: Apache-2.0 */
/* write.c - see write.h. */
#include "runner/cmd/write.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/cmd/cmd.h"
#include "runner/report/text.h"

/* Beside @path, with a name that no other has; the name is put in @temp. -1: errno. */
static int open_beside(const char *path, char temp[PATH_MAX])
{
	if (snprintf(temp, PATH_MAX, "%s.XXXXXX", path) >= PATH_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return mkostemp(temp, O_CLOEXEC);
}

/* The file is there with all of @text, or as it was. 0, or -1: errno. */
static int write_file(const char *path, const char *text, bool force)
{
	char temp[PATH_MAX];
	const size_t size = strlen(text);
	const mode_t mask = umask(0);
	int fd, err, ret;

	(void)umask(mask);
	fd = open_beside(path, temp);
	if (fd < 0)
		return -1;
	ret = write(fd, text, size) == (ssize_t)size && fchmod(fd, 0666 & ~mask) == 0 &&
			      fsync(fd) == 0
		      ? 0
		      : -1;
	if (ret == 0)
		ret = renameat2(AT_FDCWD, temp, AT_FDCWD, path, force ? 0 : RENAME_NOREPLACE);
	err = errno;
	if (ret < 0)
		(void)unlink(temp);
	(void)close(fd);
	errno = err;
	return ret;
}

int cmd_write_file(const char *verb, const char *path, const char *text, bool force)
{
	int err;

	if (write_file(path, text, force) == 0)
		return CMD_DONE;
	err = errno;
	text_say(stderr, "sill %s: '%s': %s", verb, path, strerrordesc_np(err));
	if (err == EEXIST)
		(void)fputs("   hint: --force writes over it\n", stderr);
	return err == EEXIST ? CMD_FAILED : CMD_HOST;
}
