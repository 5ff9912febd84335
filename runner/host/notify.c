/* SPDX-License-Identifier: Apache-2.0 */
/* notify.c - see notify.h. */
#include "runner/host/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { LINE = 512, PARTS = 2 /* twice in the time that is given */ };

int notify_dial(const char *where)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const size_t n = strlen(where);
	int fd;

	if ((where[0] != '/' && where[0] != '@') || n >= sizeof(at.sun_path))
		return -1;
	memcpy(at.sun_path, where, n);
	if (where[0] == '@')
		at.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&at,
			       (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

static unsigned watchdog(void)
{
	const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	const unsigned long long time = us != NULL ? strtoull(us, NULL, 10) / 1000 / PARTS : 0;

	if (pid != NULL && strtol(pid, NULL, 10) != (long)getpid())
		return 0;
	return time > 3600 * 1000 ? 3600 * 1000 : (unsigned)time;
}

void notify_begin(struct notify *n)
{
	const char *where = getenv("NOTIFY_SOCKET");

	n->fd = where != NULL ? notify_dial(where) : -1;
	n->watchdog_ms = n->fd >= 0 ? watchdog() : 0;
	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("WATCHDOG_USEC");
	(void)unsetenv("WATCHDOG_PID");
}

void notify_say(const struct notify *n, const char *fmt, ...)
{
	char line[LINE];
	va_list ap;
	int size;

	if (n->fd < 0)
		return;
	va_start(ap, fmt);
	size = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (size > 0)
		(void)send(n->fd, line, size < LINE ? (size_t)size : LINE - 1, MSG_NOSIGNAL);
}

void notify_end(struct notify *n)
{
	if (n->fd >= 0)
		(void)close(n->fd);
	n->fd = -1;
}
