/* SPDX-License-Identifier: Apache-2.0 */
/* conlink.c - see conlink.h. */
#include "runner/console/conlink.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "runner/api/ask.h"
#include "runner/host/rundir.h"

enum { HEAD = SILL_CONSOLE_HEAD, FIXED = SILL_CONSOLE_HELLO_FIX, HELLO = SILL_CONSOLE_HELLO_SIZE };

void conlink_init(struct conlink *l, const struct conlink_user *user)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t random[HELLO - FIXED - 1];

	*l = (struct conlink){ .user = user };
	if (getrandom(random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random)) {
		struct timespec now;

		(void)clock_gettime(CLOCK_MONOTONIC, &now); /* early in the host's boot */
		for (size_t i = 0; i < sizeof(random); i++)
			random[i] = (uint8_t)((uint64_t)now.tv_nsec >> (i + 2));
	}
	memcpy(l->hello, SILL_CONSOLE_HELLO, FIXED);
	for (size_t i = 0; i < sizeof(random); i++)
		l->hello[FIXED + i] = (uint8_t)digits[random[i] & 15];
	l->hello[HELLO - 1] = '\n';
}

static uint64_t little(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | p[n];
	return v;
}

/* A whole frame. -1: there is no such frame. */
static int take_frame(const struct conlink_user *u, uint8_t type, const uint8_t *p, size_t n)
{
	if (type == SILL_CONSOLE_OUTPUT) {
		if (u->output != NULL)
			u->output(u->ctx, p, n);
	} else if (type == SILL_CONSOLE_LOST && n == 8) {
		if (u->lost != NULL)
			u->lost(u->ctx, little(p, 8));
	} else if (type == SILL_CONSOLE_LIVE && n == 0) {
		if (u->live != NULL)
			u->live(u->ctx);
	} else if (type == SILL_CONSOLE_AGO && n == 16) {
		if (u->ago != NULL)
			u->ago(u->ctx, little(p, 8), little(p + 8, 8));
	} else if (type == SILL_CONSOLE_PEN && n == 5 && p[0] <= SILL_CONSOLE_PEN_TAKEN) {
		if (u->pen != NULL)
			u->pen(u->ctx, (enum sill_console_pen)p[0], (uint32_t)little(p + 1, 4));
	} else {
		return -1;
	}
	return 0;
}

/* What in[] says, as far as it goes. 0, or -1. */
static int consume(struct conlink *l)
{
	size_t at = 0;

	if (!l->answered) {
		const uint8_t *found = memmem(l->in, l->in_n, l->hello, HELLO);
		const size_t keep = l->in_n < HELLO - 1 ? l->in_n : HELLO - 1;

		/* The guest's output, from before they heard us: it comes again. */
		at = found != NULL ? (size_t)(found - l->in) + HELLO : l->in_n - keep;
		l->answered = found != NULL;
	}
	while (l->answered && l->in_n - at >= HEAD) {
		const size_t n = (size_t)little(l->in + at + 2, 2);

		if (l->in[at + 1] != 0 || n > SILL_CONSOLE_FRAME)
			return -1;
		if (l->in_n - at < HEAD + n)
			break;
		if (take_frame(l->user, l->in[at], l->in + at + HEAD, n) < 0)
			return -1;
		at += HEAD + n;
	}
	l->in_n -= at;
	memmove(l->in, l->in + at, l->in_n);
	return 0;
}

int conlink_take(struct conlink *l, const uint8_t *p, size_t n)
{
	while (n > 0) {
		const size_t room = sizeof(l->in) - l->in_n, take = n < room ? n : room;

		memcpy(l->in + l->in_n, p, take);
		l->in_n += take;
		p += take;
		n -= take;
		if (consume(l) < 0)
			return -1;
	}
	return 0;
}

/* A frame into @ret, which has room for SILL_CONSOLE_HEAD + @n. Its size. */
static size_t make_frame(uint8_t *ret, enum sill_console_frame type, const void *p, size_t n)
{
	ret[0] = (uint8_t)type;
	ret[1] = 0;
	ret[2] = (uint8_t)n;
	ret[3] = (uint8_t)(n >> 8);
	if (n > 0)
		memcpy(ret + HEAD, p, n);
	return HEAD + n;
}

/* Where the port's socket is. 0, or -1 and @e. */
static int find_socket(const char *name, enum sill_port port, char ret[PATH_MAX],
		       struct sill_err *e)
{
	const struct sill_char_config *end;
	struct sill_config m = { 0 };
	struct rundir_vm vm;
	int n = 0;

	if (strchr(name, '/') != NULL) {
		n = snprintf(ret, PATH_MAX, "%s", name);
		return n < PATH_MAX ? 0 : sill_err_sys(e, ENAMETOOLONG, "'%s'", name);
	}
	if (rundir_find(name, &vm, e) < 0 || rundir_read_manifest(&vm, &m, e) < 0)
		return -1;
	end = sill_port_config(&m, port);
	if (port == sill_kd_port(&m.debug)) {
		(void)sill_err_set(e, SILL_ERR_STATE, "the %s of '%s' is its kernel debugger's",
				   sill_port_name(port), name);
		(void)sill_err_hint(e, "`sill status %s` tells where", name);
	} else if (end->mode != SILL_CHAR_SOCKET) {
		(void)sill_err_set(e, SILL_ERR_STATE, "the %s of '%s' is no socket",
				   sill_port_name(port), name);
		(void)sill_err_hint(e,
				    "%s: {mode: socket, path: %s.%s.sock}, from its next start on",
				    sill_port_name(port), name, sill_port_name(port));
	} else {
		/* Relative to where its process runs. */
		n = end->path[0] == '/'
			    ? snprintf(ret, PATH_MAX, "%s", end->path)
			    : snprintf(ret, PATH_MAX, "/proc/%ld/cwd/%s", vm.pid, end->path);
	}
	sill_config_free(&m);
	return n > 0 && n < PATH_MAX ? 0 : -1;
}

static int send_all(int fd, const void *p, size_t n, struct sill_err *e)
{
	const uint8_t *at = p;

	while (n > 0) {
		const ssize_t done = send(fd, at, n, MSG_NOSIGNAL);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return sill_err_sys(e, errno, "send to the VM");
		at += done;
		n -= (size_t)done;
	}
	return 0;
}

int conlink_send(int fd, enum sill_console_frame type, const void *p, size_t n, struct sill_err *e)
{
	uint8_t frame[HEAD + SILL_CONSOLE_FRAME];

	return send_all(fd, frame, make_frame(frame, type, p, n), e);
}

int conlink_over(const struct conlink *l, const char *name, struct sill_err *e)
{
	if (l->answered)
		return sill_err_set(e, SILL_ERR_STATE, "'%s' has ended", name);
	(void)sill_err_set(e, SILL_ERR_STATE, "'%s' has ended, or takes nobody more here", name);
	return sill_err_hint(e, "%d may be at a port at once: then one of them has to leave first",
			     SILL_CONSOLE_READERS);
}

int conlink_connect(struct conlink *l, const char *name, enum sill_port port,
		    enum sill_console_from from, struct sill_err *e)
{
	const uint8_t start = (uint8_t)from;
	char path[PATH_MAX];
	int fd;

	if (find_socket(name, port, path, e) < 0)
		return -1;
	fd = ask_connect(path, 0, e);
	if (fd < 0)
		return -1;
	if (send_all(fd, l->hello, HELLO, e) == 0 &&
	    conlink_send(fd, SILL_CONSOLE_START, &start, 1, e) == 0)
		return fd;
	if (e->sys == EPIPE || e->sys == ECONNRESET) {
		*e = (struct sill_err){ 0 };
		(void)conlink_over(l, name, e);
	}
	(void)close(fd);
	return -1;
}
