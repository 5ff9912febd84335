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
#include "runner/host/replace.h"
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

/* The file is there with all of @text; there was none. 0, or -1: errno. */
static int write_new(const char *path, const char *text, size_t size, mode_t mode)
{
	char temp[PATH_MAX];
	const int fd = open_beside(path, temp);
	int err, ret;

	if (fd < 0)
		return -1;
	(void)close(fd);
	ret = file_replace(temp, text, size, mode);
	if (ret == 0)
		ret = chmod(temp, mode);
	if (ret == 0)
		ret = renameat2(AT_FDCWD, temp, AT_FDCWD, path, RENAME_NOREPLACE);
	err = errno;
	if (ret < 0)
		(void)unlink(temp);
	errno = err;
	return ret;
}

mode_t cmd_mode(void)
{
	const mode_t mask = umask(0);

	(void)umask(mask);
	return 0666 & ~mask;
}

int cmd_write_file(const char *verb, const char *path, const char *text, bool force)
{
	const size_t size = strlen(text);
	int ret, err;

	ret = force ? file_replace(path, text, size, cmd_mode())
		    : write_new(path, text, size, cmd_mode());
	err = errno;
	if (ret == 0)
		return CMD_DONE;
	text_say(stderr, "sill %s: '%s': %s", verb, path,
		 err == ENODEV ? "Not a regular file" : strerrordesc_np(err));
	if (err == EEXIST && !force)
		(void)fputs("   hint: --force writes over it\n", stderr);
	return err == EEXIST ? CMD_FAILED : CMD_HOST;
}
