/* SPDX-License-Identifier: Apache-2.0 */
/* control.c - see control.h. */
#include "runner/api/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* "fd=3": a descriptor of ours from 3 on, as @ret. 0, 1 when it is no such text; -1 and @e. */
static int read_fd(const char *text, const char *what, int *ret, struct sill_err *e)
{
	char *end;
	long v;

	if (strncmp(text, "fd=", 3) != 0)
		return 1;
	v = strtol(text + 3, &end, 10);
	if (end == text + 3 || *end != '\0' || v < 3 || v > INT32_MAX)
		return sill_err_set(e, SILL_ERR_HOST, "%s: '%s' is no descriptor from 3 on", what,
				    text);
	*ret = fcntl((int)v, F_DUPFD_CLOEXEC, 3);
	if (*ret < 0)
		return sill_err_sys(e, errno, "%s: %s", what, text);
	(void)close((int)v);
	return 0;
}

static const char *path_of(const char *text)
{
	return strncmp(text, "path=", 5) == 0 ? text + 5 : text;
}

/* It was bound, and listens, already: by systemd, or by who started us. */
static int check_listener(int fd, struct sill_err *e)
{
	int listens = 0, domain = 0;
	socklen_t size = sizeof(int), size2 = sizeof(int);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 &&
	    getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size2) == 0 && domain == AF_UNIX)
		return 0;
	return sill_err_set(e, SILL_ERR_HOST, "--api-socket: the descriptor is no Unix socket");
}

static int listen_at(struct control *c, const char *path, struct sill_err *e)
{
	char *copy = c->paths[c->socket_count];
	int fd;

	if (strlen(path) >= sizeof(c->paths[0]))
		return sill_err_sys(e, ENAMETOOLONG, "'%s'", path);
	memcpy(copy, path, strlen(path) + 1);
	fd = socket_listen(copy, &c->sockets[c->socket_count], e);
	c->socket_count += fd >= 0;
	return fd;
}

/* The one that was asked for. */
static int open_wanted(struct control *c, const char *text, struct sill_err *e)
{
	int fd = -1;
	const int is_fd = read_fd(text, "--api-socket", &fd, e);

	if (is_fd > 0)
		return listen_at(c, path_of(text), e);
	if (is_fd < 0 || check_listener(fd, e) == 0)
		return is_fd < 0 ? -1 : fd;
	(void)close(fd);
	return -1;
}

/* In @dir; what it is for works without. */
static int open_own(struct control *c, const struct rundir *dir)
{
	struct sill_err why = { 0 };
	char path[RUNDIR_PATH + 16];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/api.sock", dir->path);
	fd = listen_at(c, path, &why);
	if (fd < 0)
		(void)fprintf(stderr, "sill: warning: no control socket: %s\n", why.msg);
	return fd;
}

/* A FIFO is held for reading too: its reader may come later, go and come again, and misses nothing. */
static int open_monitor_path(const char *path)
{
	struct stat st;
	const int how = stat(path, &st) == 0 && S_ISFIFO(st.st_mode) ? O_RDWR : O_WRONLY;

	return open(path, how | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
}

static int open_monitor(struct events *ev, const char *text, struct sill_err *e)
{
	int fd = -1, is_fd = read_fd(text, "--event-monitor", &fd, e);

	if (is_fd > 0) {
		fd = open_monitor_path(path_of(text));
		if (fd < 0)
			return sill_err_sys(e, errno, "--event-monitor: '%s'", path_of(text));
	}
	if (is_fd < 0)
		return -1;
	events_set_monitor(ev, fd);
	return 0;
}

static void open_events(struct events *ev, const struct rundir *dir)
{
	const int fd =
		openat(dir->fd, "events.jsonl",
		       O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd >= 0)
		events_set_file(ev, fd);
}

int control_open(struct control *c, const struct control_wish *w, const struct rundir *dir,
		 struct sill_err *e)
{
	int fds[SERVER_LISTENERS];
	unsigned n = 0;

	*c = (struct control){ 0 };
	c->api.events = events_create();
	c->api.life = c->api.events != NULL ? life_create(c->api.events, w->name, w->again) : NULL;
	if (c->api.life == NULL) {
		control_close(c);
		return sill_err_sys(e, ENOMEM, "control API");
	}
	if (w->socket != NULL) {
		fds[n] = open_wanted(c, w->socket, e);
		if (fds[n++] < 0)
			goto fail;
	}
	if (w->monitor != NULL && open_monitor(c->api.events, w->monitor, e) < 0) {
		while (n > 0)
			(void)close(fds[--n]);
		goto fail;
	}
	if (dir->there) {
		open_events(c->api.events, dir);
		fds[n] = open_own(c, dir);
		n += fds[n] >= 0;
	}
	events_add(c->api.events, "vmm", "starting", NULL);
	if (n == 0)
		return 0;
	c->server = server_start(fds, n, &c->api, e);
	if (c->server != NULL)
		return 0;
fail:
	control_close(c);
	return -1;
}

void control_close(struct control *c)
{
	server_stop(c->server);
	for (unsigned i = 0; i < c->socket_count; i++)
		socket_remove(&c->sockets[i]);
	life_destroy(c->api.life);
	events_destroy(c->api.events);
	*c = (struct control){ 0 };
}
