/* SPDX-License-Identifier: Apache-2.0 */
/* fd.c - see fd.h. */
#include "base/fd.h"

#include <errno.h>
#include <unistd.h>

void fd_close(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
	errno = saved;
}

void fd_cleanup(int *fd)
{
	fd_close(fd);
}

int fd_take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

int fd_pread_full(int fd, void *p, size_t n, off_t off)
{
	uint8_t *at = p;

	while (n > 0) {
		ssize_t got = pread(fd, at, n, off);

		if (got < 0 && errno == EINTR)
			continue;
		if (got == 0)
			errno = EIO;
		if (got <= 0)
			return -1;
		at += got;
		off += got;
		n -= (size_t)got;
	}
	return 0;
}

int fd_pwrite_full(int fd, const void *p, size_t n, off_t off)
{
	const uint8_t *at = p;

	while (n > 0) {
		ssize_t put = pwrite(fd, at, n, off);

		if (put < 0 && errno == EINTR)
			continue;
		if (put == 0)
			errno = EIO;
		if (put <= 0)
			return -1;
		at += put;
		off += put;
		n -= (size_t)put;
	}
	return 0;
}
