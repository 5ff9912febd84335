/* SPDX-License-Identifier: Apache-2.0 */
/* std.c - see std.h. */
#include "runner/host/std.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

int std_fill(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		/* The wrong way round: EBADF, as for a closed one. The lowest free number is ours. */
		const int mode = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;

		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", mode | O_NOCTTY) != fd)
			return -1;
	}
	return 0;
}

bool std_error_ready(void)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLOUT | POLLERR | POLLHUP)) != 0;
}
