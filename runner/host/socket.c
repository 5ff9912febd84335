/* SPDX-License-Identifier: Apache-2.0 */
/* socket.c - see socket.h. */
#include "runner/host/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	LOCK_MS = 5000,     /* what we wait for others: they hold it for a few system calls */
	BACKLOG = 16,       /* who comes to a port's socket, until the main loop looks */
	LOCK_LAST_MS = 500, /* at the end: a name that is left behind is replaced by the next VM */
};

/* The directory of @path, and what it is called there. -1 and @e. */
static int open_directory(const char *path, const char **ret_name, struct sill_err *e)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];
	int fd;

	*ret_name = slash != NULL ? slash + 1 : path;
	(void)snprintf(dir, sizeof(dir), "%.*s",
		       slash == NULL   ? 1
		       : slash == path ? 1
				       : (int)(slash - path),
		       slash == NULL ? "." : path);
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Who may not list it may still make names in it; then without a lock. */
	if (fd < 0 && errno == EACCES)
		fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		(void)sill_err_sys(e, errno, "create the socket '%s'", path);
	return fd;
}

/* 0, also where there are no such locks; -1: somebody else has it all the time. */
static int lock_directory(int fd, int ms)
{
	const struct timespec pause = { .tv_nsec = 1000 * 1000 };

	for (int i = 0; i < ms; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
			return 0;
		(void)nanosleep(&pause, NULL);
	}
	return -1;
}

static void unlock_directory(int fd)
{
	(void)flock(fd, LOCK_UN);
}

/* Does the name still lead to the file @st? */
static bool is_still(int dir_fd, const char *name, const struct stat *st)
{
	struct stat now;

	return fstatat(dir_fd, name, &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_dev == st->st_dev &&
	       now.st_ino == st->st_ino;
}

static bool address(struct sockaddr_un *ret, const char *path)
{
	*ret = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(ret->sun_path))
		return false;
	memcpy(ret->sun_path, path, strlen(path));
	return true;
}

/* Nobody answers at the socket that @fd (O_PATH) is. */
static bool is_deaf(int fd)
{
	struct sockaddr_un at;
	char path[32];
	bool deaf;
	int s;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	deaf = s >= 0 && address(&at, path) &&
	       connect(s, (const struct sockaddr *)&at, sizeof(at)) < 0 && errno == ECONNREFUSED;
	if (s >= 0)
		(void)close(s);
	return deaf;
}

/* A socket that a VM left behind goes; nothing else does. The lock is held. */
static void remove_stale(int dir_fd, const char *name)
{
	const int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) && is_deaf(fd) &&
	    is_still(dir_fd, name, &st))
		(void)unlinkat(dir_fd, name, 0);
	(void)close(fd);
}

/* It listens before the lock is given back, or it would look stale to the next. */
static int bind_and_listen(int fd, const char *path, struct socket_name *s, struct sill_err *e)
{
	const mode_t mask = umask(0177);
	struct sockaddr_un at;
	int ret = 0;

	(void)address(&at, path);
	if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		ret = errno;
	(void)umask(mask);
	if (ret == EADDRINUSE) {
		(void)sill_err_set(e, SILL_ERR_HOST, "the socket '%s' is in use", path);
		return sill_err_hint(e,
				     "another VM listens there: stop it, or choose another path");
	}
	if (ret != 0)
		return sill_err_sys(e, ret, "create the socket '%s'", path);
	s->fd = openat(s->dir_fd, s->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (s->fd < 0)
		return sill_err_sys(e, errno, "create the socket '%s'", path);
	if (listen(fd, BACKLOG) == 0)
		return 0;
	(void)sill_err_sys(e, errno, "listen on '%s'", path);
	(void)unlinkat(s->dir_fd, s->name, 0);
	return -1;
}

static void forget(struct socket_name *s)
{
	if (s->dir_fd >= 0)
		(void)close(s->dir_fd);
	if (s->fd >= 0)
		(void)close(s->fd);
	s->dir_fd = s->fd = -1;
}

int socket_listen(const char *path, struct socket_name *ret_where, struct sill_err *e)
{
	struct sockaddr_un at;
	int fd, ret;

	*ret_where = (struct socket_name){ .dir_fd = -1, .fd = -1 };
	if (!address(&at, path))
		return sill_err_sys(e, ENAMETOOLONG, "'%s'", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return sill_err_sys(e, errno, "create the socket '%s'", path);
	ret = ret_where->dir_fd = open_directory(path, &ret_where->name, e);
	if (ret >= 0 && lock_directory(ret_where->dir_fd, LOCK_MS) < 0) {
		(void)sill_err_set(e, SILL_ERR_HOST, "create the socket '%s'", path);
		ret = sill_err_hint(e, "another process keeps its directory locked (flock)");
	}
	if (ret >= 0) {
		remove_stale(ret_where->dir_fd, ret_where->name);
		ret = bind_and_listen(fd, path, ret_where, e);
		unlock_directory(ret_where->dir_fd);
	}
	if (ret >= 0)
		return fd;
	(void)close(fd);
	forget(ret_where);
	return -1;
}

int socket_connect(const char *path)
{
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un at;

	if (fd >= 0 && address(&at, path) &&
	    connect(fd, (const struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

void socket_settle(const char *path)
{
	const char *name;
	const int fd = open_directory(path, &name, &(struct sill_err){ 0 });

	if (fd < 0)
		return;
	(void)lock_directory(fd, LOCK_MS);
	(void)close(fd); /* and with it the lock */
}

void socket_remove(struct socket_name *s)
{
	struct stat ours;

	if (s->dir_fd < 0)
		return;
	/* The inode is held, so a name that leads to one with its number leads to it. */
	if (lock_directory(s->dir_fd, LOCK_LAST_MS) == 0 && fstat(s->fd, &ours) == 0 &&
	    is_still(s->dir_fd, s->name, &ours))
		(void)unlinkat(s->dir_fd, s->name, 0);
	forget(s); /* and with it the lock */
}
