/* SPDX-License-Identifier: Apache-2.0 */
/*
 * script.c - a script at a port of a VM: send a text, wait for another.
 *
 * What is expected is looked for in the newest EXPECT_ROOM bytes of the output, without NULs and \r: with a
 * text to send, in what comes behind it; else in the line that was begun, too, and with the history in all of it.
 */
#include "runner/console/session.h"

#include <errno.h>
#include <poll.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runner/cmd/cmd.h"
#include "runner/host/clock.h"

enum { EXPECT_ROOM = 64 * 1024, TEXT_ROOM = 4096 };

struct script {
	const struct session *s;
	struct conlink link;
	int fd;
	bool live, known, found, failed;
	enum sill_console_pen pen;
	uint32_t whose;
	regex_t regex;
	size_t n;
	char text[EXPECT_ROOM + 1];
};

int session_unescape(const char *text, uint8_t *ret, size_t size)
{
	static const char names[] = "rnte\\", bytes[] = "\r\n\t\033\\";
	size_t n = 0;

	for (const char *p = text; *p != '\0'; p++) {
		const char *name;
		unsigned v;
		int used = 0;

		if (n == size)
			return -1;
		if (*p != '\\') {
			ret[n++] = (uint8_t)*p;
			continue;
		}
		p++;
		name = *p != '\0' ? strchr(names, *p) : NULL;
		if (name != NULL) {
			ret[n++] = (uint8_t)bytes[name - names];
		} else if (*p == 'x' && sscanf(p + 1, "%2x%n", &v, &used) == 1 && used == 2 &&
			   v < 256) {
			ret[n++] = (uint8_t)v;
			p += 2;
		} else {
			return -1;
		}
	}
	return (int)n;
}

static void on_output(void *ctx, const uint8_t *out, size_t n)
{
	struct script *c = ctx;

	if (fwrite(out, 1, n, stdout) != n)
		c->failed = true;
	if (c->s->expect == NULL || (c->s->send != NULL && !c->live))
		return;
	for (size_t i = 0; i < n; i++) {
		if (c->n == EXPECT_ROOM) {
			c->n = EXPECT_ROOM / 2;
			memmove(c->text, c->text + EXPECT_ROOM / 2, c->n);
		}
		if (out[i] != '\0' && out[i] != '\r')
			c->text[c->n++] = (char)out[i];
	}
	c->text[c->n] = '\0';
	c->found = c->found || regexec(&c->regex, c->text, 0, NULL, 0) == 0;
}

static void on_lost(void *ctx, uint64_t n)
{
	(void)ctx;
	(void)fprintf(stderr, "sill: %llu bytes of output are lost\n", (unsigned long long)n);
}

static void on_live(void *ctx)
{
	struct script *c = ctx;

	c->live = true;
}

static void on_pen(void *ctx, enum sill_console_pen pen, uint32_t pid)
{
	struct script *c = ctx;

	c->known = true;
	c->pen = pen;
	c->whose = pid;
}

/* Take what comes until @done, for so long. 1: done; 0: the time is over; -1: the VM has ended, or @e. */
static int wait_for(struct script *c, const bool *done, uint64_t deadline_ms, struct sill_err *e)
{
	while (!*done) {
		struct pollfd p = { .fd = c->fd, .events = POLLIN };
		const uint64_t now = clock_ms();
		uint8_t piece[16 * 1024];
		ssize_t n;

		if (now >= deadline_ms)
			return 0;
		(void)fflush(stdout);
		(void)poll(&p, 1, (int)(deadline_ms - now < 60000 ? deadline_ms - now : 60000));
		n = recv(c->fd, piece, sizeof(piece), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return conlink_over(&c->link, c->s->name, e);
		if (conlink_take(&c->link, piece, (size_t)n) < 0 || c->failed)
			return sill_err_set(e, SILL_ERR_HOST, "%s",
					    c->failed ? "standard output is gone"
						      : "the VM's end does not speak as it should");
	}
	return 1;
}

/* Send, once it is known who may. 0, or -1 and @e. */
static int send_text(struct script *c, struct sill_err *e)
{
	uint8_t text[TEXT_ROOM];
	const int n = session_unescape(c->s->send, text, sizeof(text));

	if (n < 0)
		return sill_err_set(e, SILL_ERR_STATE, "--send: '%s' ends in half a character",
				    c->s->send);
	if (c->pen == SILL_CONSOLE_PEN_TAKEN && !c->s->take) {
		(void)sill_err_set(e, SILL_ERR_STATE, "process %u writes there", c->whose);
		return sill_err_hint(e, "--take takes over");
	}
	if (c->s->take && conlink_send(c->fd, SILL_CONSOLE_TAKE, NULL, 0, e) < 0)
		return -1;
	c->known = false;
	return n > 0 ? conlink_send(c->fd, SILL_CONSOLE_INPUT, text, (size_t)n, e) : 0;
}

/* Another one may have begun to write meanwhile: the port says whose the input was. */
static int wait_taken(struct script *c, uint64_t deadline_ms, struct sill_err *e)
{
	int ret;

	do {
		ret = wait_for(c, &c->known, deadline_ms, e);
		c->known = false;
	} while (ret > 0 && c->pen == SILL_CONSOLE_PEN_FREE);
	if (ret <= 0 || c->pen == SILL_CONSOLE_PEN_YOURS)
		return ret;
	return sill_err_set(e, SILL_ERR_STATE, "process %u writes there: nothing was sent",
			    c->whose);
}

static int run(struct script *c, struct sill_err *e)
{
	const uint64_t deadline = clock_ms() + c->s->within_ms;
	int ret = wait_for(c, c->s->send != NULL ? &c->live : &c->known, deadline, e);

	if (ret > 0 && c->s->send != NULL)
		ret = send_text(c, e) < 0 ? -1 : 1;
	if (ret > 0 && c->s->send != NULL && c->s->send[0] != '\0' && !c->s->take)
		ret = wait_taken(c, deadline, e);
	if (ret > 0 && c->s->expect != NULL)
		ret = wait_for(c, &c->found, deadline, e);
	(void)fflush(stdout);
	if (ret == 0)
		return sill_err_set(e, SILL_ERR_STATE, "'%s' has not come within %llu ms",
				    c->s->expect != NULL ? c->s->expect : "an answer",
				    (unsigned long long)c->s->within_ms);
	return ret > 0 ? 0 : -1;
}

int session_script(const struct session *s)
{
	static struct script c;
	const struct conlink_user user = {
		.output = on_output, .lost = on_lost, .live = on_live, .pen = on_pen, .ctx = &c
	};
	struct sill_err e = { 0 };
	char why[256];
	int bad, ret = -1;

	c = (struct script){ .s = s };
	if (s->expect != NULL) {
		bad = regcomp(&c.regex, s->expect, REG_EXTENDED | REG_NOSUB | REG_NEWLINE);
		if (bad != 0) {
			(void)regerror(bad, &c.regex, why, sizeof(why));
			(void)sill_err_set(&e, SILL_ERR_STATE, "--expect '%s': %s", s->expect, why);
			return cmd_error(&e);
		}
	}
	conlink_init(&c.link, &user);
	c.fd = conlink_connect(&c.link, s->name, s->port,
			       s->history ? SILL_CONSOLE_FROM_ALL : SILL_CONSOLE_FROM_LINE, &e);
	if (c.fd >= 0) {
		ret = run(&c, &e);
		(void)close(c.fd);
	}
	if (s->expect != NULL)
		regfree(&c.regex);
	return ret == 0 ? CMD_DONE : cmd_error(&e);
}
