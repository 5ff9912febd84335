/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chr_fd.c - far ends that are always there: nothing, a file, the terminal or what stands in for it.
 *
 * The terminal's descriptors are the process's own, so their file descriptions
 * are shared with the shell that started us and with our standard error.
 * O_NONBLOCK is a property of the description: setting it would make the
 * shell's and our log's writes fail. So the descriptors are opened once more
 * through /proc, which gives descriptions of our own; only where that fails
 * (another user's terminal) the flag is set and taken back at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/serial/chr_priv.h"
#include "base/fd.h"
#include "core/clock.h"

static void in_ended(struct chr *c, int error)
{
	if (error != 0 && c->in_open)
		log_line(LOG_WARN, "%s: no more input: %s", c->id, strerrordesc_np(error));
	c->in_open = false;
	loop_fd_remove(c->loop, &c->in);
}

static const uint64_t LOOK_NS = 500ull * 1000 * 1000;

/* Nobody tells a job that it has come into the foreground: look from time to time. */
static void look_again(void *ctx)
{
	struct chr *c = ctx;

	loop_post(c->loop, &c->in_task);
}

static void tty_in_ended(struct chr *c, int error)
{
	if (!c->in_away) {
		in_ended(c, error);
		return;
	}
	loop_fd_remove(c->loop, &c->in);
	loop_timer_set(c->loop, &c->retry, host_now() + LOOK_NS);
}

static void out_failed(struct chr *c, int error)
{
	log_line(LOG_WARN, "%s: no more output: %s", c->id, strerrordesc_np(error));
	c->out_open = false;
}

static int null_open(struct chr *c, struct sill_err *e)
{
	(void)e;
	c->connected = true;
	return 0;
}

/* At its limit: go on in another file, or from the beginning of this one. */
bool chr_file_room(struct chr *c, size_t n)
{
	int fd = -1;

	if (c->file_max == 0 || c->file_size + n <= c->file_max)
		return true;
	if (c->next_file != NULL)
		fd = c->next_file(c->next_ctx);
	if (fd >= 0) {
		fd_close(&c->out_fd);
		c->out_fd = c->out.fd = fd;
	} else if (ftruncate(c->out_fd, 0) < 0 || lseek(c->out_fd, 0, SEEK_SET) != 0) {
		return false;
	}
	c->file_size = 0;
	return true;
}

static int file_open(struct chr *c, struct sill_err *e)
{
	struct stat st;
	int old;

	if (c->out_fd < 0)
		return sill_err_set(e, SILL_ERR_INTERNAL, "a file without a descriptor");
	if (chr_set_nonblock(c->out_fd, &old) < 0)
		return sill_err_sys(e, errno, "make the output non-blocking");
	if (fstat(c->out_fd, &st) < 0)
		return sill_err_sys(e, errno, "output");
	if (S_ISREG(st.st_mode))
		c->file_size = (uint64_t)st.st_size;
	else
		c->file_max = 0;
	c->connected = true;
	c->out_open = true;
	return chr_begin(c, e);
}

/* Make *@fd non-blocking without a trace on the description we were given. */
static int own_description(int *fd, int mode, int *ret_flags, struct sill_err *e)
{
	char path[32];
	struct stat st;
	int own;

	if (fstat(*fd, &st) < 0)
		return sill_err_sys(e, errno, "terminal");
	if (!S_ISCHR(st.st_mode) && !S_ISFIFO(st.st_mode))
		return 0; /* files do not block, sockets are asked not to each time */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", *fd);
	own = open(path, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (own >= 0) {
		fd_close(fd);
		*fd = own;
		return 0;
	}
	if (chr_set_nonblock(*fd, ret_flags) < 0)
		return sill_err_sys(e, errno, "make the terminal non-blocking");
	return 0;
}

static int tty_open(struct chr *c, struct sill_err *e)
{
	if (c->out_fd < 0)
		return sill_err_set(e, SILL_ERR_INTERNAL, "a terminal without a descriptor");
	if (c->in_fd >= 0 && own_description(&c->in_fd, O_RDONLY, &c->in_flags, e) < 0)
		return -1;
	if (own_description(&c->out_fd, O_WRONLY, &c->out_flags, e) < 0)
		return -1;
	c->in_terminal = c->in_fd >= 0 && isatty(c->in_fd) == 1;
	c->in_open = c->in_fd >= 0;
	c->out_open = true;
	c->connected = true;
	c->retry = (struct loop_timer){ .fn = look_again, .ctx = c };
	return chr_begin(c, e);
}

static void tty_close(struct chr *c)
{
	if (c->in_flags >= 0)
		(void)fcntl(c->in_fd, F_SETFL, c->in_flags);
	if (c->out_flags >= 0)
		(void)fcntl(c->out_fd, F_SETFL, c->out_flags);
}

const struct chr_mode chr_null_mode = {
	.open = null_open,
	.in_ended = in_ended,
	.out_failed = out_failed,
};

const struct chr_mode chr_file_mode = {
	.open = file_open,
	.make_room = chr_file_room,
	.in_ended = in_ended,
	.out_failed = out_failed,
};

const struct chr_mode chr_tty_mode = {
	.open = tty_open,
	.close = tty_close,
	.in_ended = tty_in_ended,
	.out_failed = out_failed,
};
