/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gdb.c - see gdb.h.
 *
 * The thread reads no packet before the answer to the one before is on its way; while the guest runs it
 * looks for the byte that stops it alone. The main loop of the VM tells of a stop by an eventfd.
 */
#include "runner/gdb/gdb.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runner/gdb/talk.h"
#include "runner/host/socket.h"
#include "runner/host/worker.h"
#include "runner/net/endpoint.h"
#include "runner/report/text.h"

enum { BACKLOG_READ = 4096 };

enum stage {
	NOBODY,  /* no debugger is there */
	COMING,  /* one is, and the guest has not stopped for it yet */
	STOPPED, /* it asks */
	RUNNING, /* it waits for a stop */
	RESETTING,
};

struct gdb {
	struct socket_name name;
	int listener, conn, stop, note; /* owned; the last two are eventfds: the end; a stop */
	struct sill_vm *vm;             /* borrowed */
	pthread_t thread;
	bool started;
	enum stage stage;
	bool held_back; /* a whole packet waits for its turn */
	size_t in_n, in_at;
	size_t out_n, out_at, again; /* of out[]; where the last packet in it begins */
	struct gdb_packet packet;
	struct gdb_talk talk;
	unsigned char in[BACKLOG_READ];
	char out[GDB_WIRE + 64];
};

/* --- the connection ------------------------------------------------------ */

static void hang_up(struct gdb *g)
{
	struct sill_err unused = { 0 };

	if (g->stage == NOBODY)
		return;
	(void)close(g->conn);
	g->conn = -1;
	g->stage = NOBODY;
	(void)sill_debug_detach(g->vm, &unused); /* or the VM has ended */
}

static void on_stop(void *ctx)
{
	const struct gdb *g = ctx;
	const uint64_t one = 1;

	if (write(g->note, &one, sizeof(one)) < 0)
		return; /* it is full of them already */
}

static void take_one(struct gdb *g)
{
	const int fd = accept4(g->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct sill_err e = { 0 };

	if (fd < 0)
		return;
	if (g->stage != NOBODY || sill_debug_attach(g->vm, on_stop, g, &e) < 0) {
		if (e.code != SILL_ERR_NONE)
			(void)fprintf(stderr, "sill: gdb: %s\n", e.msg);
		(void)close(fd);
		return;
	}
	g->conn = fd;
	g->stage = COMING;
	g->held_back = false;
	g->in_n = g->in_at = g->out_n = g->out_at = g->again = 0;
	memset(&g->packet, 0, sizeof(g->packet));
}

/* What there is room for; a debugger that does not read waits for itself. */
static void flush(struct gdb *g)
{
	while (g->out_at < g->out_n) {
		const ssize_t n =
			send(g->conn, g->out + g->out_at, g->out_n - g->out_at, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0) {
			hang_up(g);
			return;
		}
		g->out_at += (size_t)n;
	}
}

/* Behind what is still to go. */
static void put(struct gdb *g, char c)
{
	if (g->out_at == g->out_n)
		g->out_n = g->out_at = g->again = 0;
	if (g->out_n < sizeof(g->out))
		g->out[g->out_n++] = c;
}

static void put_reply(struct gdb *g)
{
	if (g->out_at == g->out_n)
		g->out_n = g->out_at = 0;
	if (sizeof(g->out) - g->out_n < GDB_WIRE) {
		hang_up(g); /* it sends noise, and does not read what is said to it */
		return;
	}
	g->again = g->out_n;
	g->out_n += gdb_packet_make(g->talk.reply, g->talk.reply_n, g->out + g->out_n);
}

/* --- packets ---------------------------------------------------------------- */

static void answer(struct gdb *g)
{
	const bool ack = !g->talk.no_ack;
	enum gdb_then then = gdb_talk_packet(&g->talk, g->packet.data, g->packet.n);

	g->held_back = false;
	if (ack)
		put(g, '+');
	if (then == GDB_RUNS || then == GDB_RESETS)
		g->stage = then == GDB_RUNS ? RUNNING : RESETTING;
	else
		put_reply(g);
	if (g->stage != NOBODY)
		flush(g);
	if (then == GDB_KILLS)
		sill_vm_stop(g->vm);
	if (then == GDB_KILLS || then == GDB_LEAVES)
		hang_up(g);
}

static void take_byte(struct gdb *g, unsigned char byte)
{
	struct sill_err unused = { 0 };

	switch (gdb_packet_take(&g->packet, byte)) {
	case GDB_PACKET_IN:
		g->held_back = true;
		break;
	case GDB_STOP:
		if (g->stage == RUNNING)
			(void)sill_debug_stop(g->vm, &unused);
		break;
	case GDB_AGAIN:
		if (!g->talk.no_ack && g->out_at == g->out_n)
			g->out_at = g->again;
		break;
	case GDB_BROKEN:
		if (!g->talk.no_ack)
			put(g, '-');
		break;
	case GDB_MORE:
		break;
	}
}

/* What has come, until there is nothing left or an answer has to go first. */
static void work(struct gdb *g)
{
	while (g->stage != NOBODY && g->stage != COMING) {
		flush(g);
		if (g->stage == NOBODY || g->out_at < g->out_n)
			return;
		if (g->held_back && g->stage == STOPPED)
			answer(g);
		else if (!g->held_back && g->in_at < g->in_n)
			take_byte(g, g->in[g->in_at++]);
		else
			return;
	}
}

static void receive(struct gdb *g)
{
	ssize_t n;

	if (g->in_at < g->in_n)
		return;
	n = recv(g->conn, g->in, sizeof(g->in), 0);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		hang_up(g);
		return;
	}
	g->in_at = 0;
	g->in_n = (size_t)n;
}

static void on_note(struct gdb *g)
{
	struct sill_debug_stop stop;
	uint64_t count;

	if (read(g->note, &count, sizeof(count)) < 0 || !sill_debug_stopped(g->vm, &stop))
		return;
	switch (g->stage) {
	case COMING:
		gdb_talk_begin(&g->talk, g->vm, &stop);
		break;
	case RUNNING:
		gdb_talk_stopped(&g->talk, &stop);
		put_reply(g);
		break;
	case RESETTING:
		put_reply(g);
		break;
	case NOBODY:
	case STOPPED:
		return;
	}
	if (g->stage != NOBODY)
		g->stage = STOPPED;
}

/* --- the thread ------------------------------------------------------------- */

static void say_goodbye(struct gdb *g)
{
	if (g->stage == NOBODY || g->stage == COMING)
		return;
	gdb_talk_ended(&g->talk);
	put_reply(g);
	if (g->stage != NOBODY)
		flush(g);
	hang_up(g);
}

static short wanted(const struct gdb *g)
{
	short w = POLLRDHUP;

	if (g->out_at < g->out_n)
		w |= POLLOUT;
	else if (g->in_at == g->in_n && !g->held_back && g->stage != COMING)
		w |= POLLIN;
	return w;
}

static void *serve(void *arg)
{
	struct gdb *g = arg;

	for (;;) {
		struct pollfd p[] = { { .fd = g->stop, .events = POLLIN },
				      { .fd = g->note, .events = POLLIN },
				      { .fd = g->listener, .events = POLLIN },
				      { .fd = g->conn, .events = wanted(g) } };

		if (poll(p, sizeof(p) / sizeof(p[0]), -1) < 0)
			continue;
		if (p[0].revents != 0)
			break;
		if (p[1].revents != 0)
			on_note(g);
		if (p[3].revents != 0 && g->conn >= 0) {
			if ((p[3].revents & POLLIN) != 0)
				receive(g);
			else if ((p[3].revents & ~POLLOUT) != 0)
				hang_up(g); /* without having said goodbye */
		}
		work(g);
		if (p[2].revents != 0)
			take_one(g);
	}
	say_goodbye(g);
	hang_up(g);
	return NULL;
}

/* --- life --------------------------------------------------------------------- */

bool gdb_is_path(const char *where)
{
	const char *colon = strrchr(where, ':');
	const char *digits = colon != NULL ? colon + 1 : where;

	return strchr(where, '/') != NULL || *digits == '\0' ||
	       digits[strspn(digits, "0123456789")] != '\0';
}

void gdb_target(const char *where, char *ret, size_t size)
{
	const char *colon = strrchr(where, ':');
	const char *host = "";

	if (!gdb_is_path(where) && colon == NULL)
		host = "127.0.0.1:"; /* or gdb takes it for a serial line's file */
	else if (!gdb_is_path(where) &&
		 (strncmp(where, "0.0.0.0:", 8) == 0 || strncmp(where, "[::]:", 5) == 0))
		host = "HOST";
	(void)snprintf(ret, size, "%s%s", host, strcmp(host, "HOST") == 0 ? colon : where);
}

static int listen_at(struct gdb *g, const char *where, struct sill_err *e)
{
	struct endpoint at;

	if (gdb_is_path(where))
		return socket_listen(where, &g->name, e);
	if (endpoint_read_listen(where, &at, e) < 0)
		return -1;
	return endpoint_listen(&at, where, e);
}

int gdb_open(struct gdb **ret, const char *where, struct sill_err *e)
{
	char target[PATH_MAX];
	struct gdb *g;

	*ret = NULL;
	if (where == NULL)
		return 0;
	*ret = g = calloc(1, sizeof(*g));
	if (g == NULL)
		return sill_err_sys(e, ENOMEM, "gdb");
	g->name = (struct socket_name){ .dir_fd = -1, .fd = -1 };
	g->listener = g->conn = -1;
	g->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	g->note = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (g->stop < 0 || g->note < 0)
		(void)sill_err_sys(e, errno, "gdb");
	else
		g->listener = listen_at(g, where, e);
	if (g->listener >= 0) {
		gdb_target(where, target, sizeof(target));
		text_say(stdout, "gdb: target remote %s", target);
		return 0;
	}
	gdb_close(ret);
	return -1;
}

int gdb_start(struct gdb *g, struct sill_vm *vm, struct sill_err *e)
{
	if (g == NULL)
		return 0;
	g->vm = vm;
	g->started = worker_start(&g->thread, serve, g, "the thread for gdb", e) == 0;
	return g->started ? 0 : -1;
}

void gdb_stop(struct gdb *g)
{
	const uint64_t one = 1;

	if (g == NULL || !g->started)
		return;
	/* Cannot fail: the counter is zero. */
	if (write(g->stop, &one, sizeof(one)) == (ssize_t)sizeof(one))
		(void)pthread_join(g->thread, NULL);
	g->started = false;
}

void gdb_close(struct gdb **ref)
{
	struct gdb *g = *ref;

	if (g == NULL)
		return;
	gdb_stop(g);
	socket_remove(&g->name);
	if (g->listener >= 0)
		(void)close(g->listener);
	if (g->stop >= 0)
		(void)close(g->stop);
	if (g->note >= 0)
		(void)close(g->note);
	free(g);
	*ref = NULL;
}
