/* SPDX-License-Identifier: Apache-2.0 */
/* dnsmasq.c - see dnsmasq.h. The options are those of dnsmasq(8), 2.90. */
#include "runner/net/dnsmasq.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runner/host/clock.h"
#include "runner/host/worker.h"
#include "runner/report/text.h"

enum {
	LOOK_MS = 10,
	START_MS = 20000, /* it listens within some milliseconds, on a busy host within a second */
	TEXT = 400,
	NOT_FOUND = 127, /* of a shell's command: POSIX, Shell Command Language, 2.8.2 */
};

/*
 * dnsmasq gives up root, and with it the kernel's promise to end it when its parent ends. So a shell beside it
 * reads a socket whose other end is ours, and ends all of the session. What ends by a mistake of its own (1 to 127) is over
 * if it is the first: one that has run comes again, however often it takes, after a second, and after twice as long each
 * time until one has lasted a minute. With the second in a row a line comes to us.
 */
static char script[] = "PATH=$PATH:/usr/sbin:/sbin\n"
		       "{ read -r end; kill -9 0; } <&3 &\n"
		       "again=0 wait=0\n"
		       "while :; do\n"
		       "	began=$(date +%s)\n"
		       "	\"$@\" 3<&-\n"
		       "	s=$?\n"
		       "	case $again$s in\n"
		       "	00 | 0129 | 01[3-9]? | 1*) again=1 ;;\n"
		       "	*) kill -9 $!; exit $s ;;\n"
		       "	esac\n"
		       "	[ $(($(date +%s) - began)) -lt 60 ] || wait=0\n"
		       "	case $wait in\n"
		       "	0) wait=1 ;;\n"
		       "	1) wait=2; printf . >&3 ;;\n"
		       "	32 | 60) wait=60 ;;\n"
		       "	*) wait=$((wait * 2)) ;;\n"
		       "	esac\n"
		       "	sleep $wait\n"
		       "done\n";

static const char *dotted(uint32_t address, char ret[INET_ADDRSTRLEN])
{
	const struct in_addr in = { htonl(address) };

	return inet_ntop(AF_INET, &in, ret, INET_ADDRSTRLEN);
}

/* Without a number behind it an option is not sent, not even dnsmasq's own idea of it. */
static void add_dns(struct program_line *l, const struct dnsmasq_want *w)
{
	char list[PROGRAM_ARG - 32] = "", text[INET_ADDRSTRLEN];
	size_t at = 0;

	for (unsigned i = 0; i < w->dns_count && at < sizeof(list) - INET_ADDRSTRLEN; i++)
		at += (size_t)snprintf(list + at, sizeof(list) - at, ",%s",
				       dotted(w->dns[i], text));
	program_arg(l, "--dhcp-option=option:dns-server%s", list);
}

void dnsmasq_line(struct program_line *ret, const struct dnsmasq_want *w)
{
	char guest[INET_ADDRSTRLEN], text[INET_ADDRSTRLEN];
	const uint8_t *m = w->mac;

	ret->n = 0;
	program_arg(ret, "sh");
	program_arg(ret, "-c");
	ret->argv[ret->n++] = script;
	program_arg(ret, "sh");
	program_arg(ret, "dnsmasq");
	program_arg(ret, "--conf-file=/dev/null"); /* else it reads the system's */
	program_arg(ret, "--keep-in-foreground");
	program_arg(ret, "--log-facility=-");
	program_arg(ret, "--quiet-dhcp");
	program_arg(ret, "--pid-file=");
	program_arg(ret, "--leasefile-ro");
	program_arg(ret, "--no-hosts");
	program_arg(ret, "--no-resolv");
	program_arg(ret, "--port=0"); /* no names: the guest is told whom to ask */
	program_arg(ret, "--bind-interfaces");
	program_arg(ret, "--interface=%s", w->device);
	program_arg(ret, "--except-interface=lo");
	(void)dotted(w->guest, guest);
	program_arg(ret, "--dhcp-range=%s,%s,%s,1h", guest, guest,
		    dotted(UINT32_MAX << (32 - w->prefix), text));
	program_arg(ret, "--dhcp-host=%02x:%02x:%02x:%02x:%02x:%02x,%s", m[0], m[1], m[2], m[3],
		    m[4], m[5], guest);
	program_arg(ret, "--dhcp-ignore=tag:!known");
	program_arg(ret, "--dhcp-authoritative");
	program_arg(ret, "--dhcp-no-override"); /* Windows reads no options in those fields */
	program_arg(ret, "--no-ping");
	program_arg(ret, "--dhcp-ignore-clid"); /* firmware and system are one guest */
	program_arg(ret, "--dhcp-option=option:router%s%s", w->router != 0 ? "," : "",
		    w->router != 0 ? dotted(w->router, text) : "");
	add_dns(ret, w);
	if (w->mtu != 0)
		program_arg(ret, "--dhcp-option=option:mtu,%u", w->mtu);
	program_arg(ret, "--dhcp-option=252,\n"); /* no proxy: Windows looks for one else */
}

void dnsmasq_init(struct dnsmasq *d)
{
	program_init(&d->program);
	d->hold = -1;
	d->heard = false;
}

static int spawn(struct dnsmasq *d, const struct dnsmasq_want *w, struct sill_err *e)
{
	struct program_line *line = calloc(1, sizeof(*line));
	int ends[2], ret;

	if (line == NULL)
		return sill_err_sys(e, ENOMEM, "start dnsmasq");
	dnsmasq_line(line, w);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
		free(line);
		return sill_err_sys(e, errno, "a line to dnsmasq");
	}
	ret = program_start(&d->program, line->argv, ends[0], e);
	free(line);
	(void)close(ends[0]);
	d->hold = ends[1];
	return ret;
}

static bool has_ended(const struct program *p, int ms)
{
	struct pollfd f = { .fd = p->pidfd, .events = POLLIN };

	return poll(&f, 1, ms) > 0;
}

/* With its log begun, the cause is the line before its last, and each line begins with "dnsmasq[123]: ". */
static void read_cause(const struct program *p, char ret[PROGRAM_WHY])
{
	static const char no_cause[] = "FAILED to start up";
	char text[PROGRAM_WORDS + 1], *save = NULL;
	const char *last = "", *words;

	program_read(p, text);
	for (char *line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save))
		if (strstr(line, no_cause) == NULL)
			last = line;
	if ((words = strstr(last, "dnsmasq: ")) != NULL)
		last = words + strlen("dnsmasq: ");
	else if ((words = strstr(last, "]: ")) != NULL)
		last = words + strlen("]: ");
	(void)text_clean(ret, PROGRAM_WHY, last, strnlen(last, PROGRAM_WHY - 32));
}

static int failed(struct dnsmasq *d, struct sill_err *e)
{
	char why[PROGRAM_WHY], words[PROGRAM_WHY];
	int status;

	read_cause(&d->program, words);
	program_collect(&d->program, why);
	dnsmasq_stop(d);
	if (sscanf(why, "exit status %d", &status) == 1 && status == NOT_FOUND) {
		(void)sill_err_sys(e, ENOENT, "start dnsmasq");
		return sill_err_hint(e, "the package dnsmasq-base has it: `apt install "
					"dnsmasq-base`; or 'dhcp: on', which needs none");
	}
	(void)sill_err_set(e, SILL_ERR_HOST, "dnsmasq does not start: %s",
			   words[0] != '\0' ? words : why);
	return sill_err_hint(e,
			     "another DHCP server on this host (`ss -lunp sport = 67`), or a right "
			     "that it needs? 'dhcp: on' needs neither");
}

int dnsmasq_start(struct dnsmasq *d, const struct dnsmasq_want *w, struct sill_err *e)
{
	const uint64_t end = clock_ms() + START_MS;

	dnsmasq_init(d);
	if (spawn(d, w, e) < 0) {
		dnsmasq_stop(d);
		return -1;
	}
	/* The line that it writes when all sockets are bound. */
	while (!program_says(&d->program, ": started, version")) {
		if (has_ended(&d->program, LOOK_MS))
			return failed(d, e);
		if (clock_ms() < end)
			continue;
		dnsmasq_stop(d);
		return sill_err_set(e, SILL_ERR_HOST, "dnsmasq does not start: it says nothing");
	}
	return 0;
}

/* Until nobody is left at the other end. */
static void *hear(void *arg)
{
	struct dnsmasq *d = arg;
	char byte, words[PROGRAM_WHY], text[TEXT];

	while (recv(d->hold, &byte, 1, 0) > 0) {
		read_cause(&d->program, words);
		(void)snprintf(text, sizeof(text),
			       "dnsmasq ends again and again (its last words: %s): it is started "
			       "each time, in the end once a minute",
			       words[0] != '\0' ? words : "none");
		d->say(d->id, text);
	}
	return NULL;
}

int dnsmasq_watch(struct dnsmasq *d, const char *id, usernet_say say, struct sill_err *e)
{
	if (d->hold < 0)
		return 0;
	d->id = id;
	d->say = say;
	d->heard = worker_start(&d->thread, hear, d, "the thread for dnsmasq", e) == 0;
	return d->heard ? 0 : -1;
}

void dnsmasq_stop(struct dnsmasq *d)
{
	if (d->hold >= 0)
		(void)shutdown(d->hold, SHUT_RDWR);
	if (d->heard)
		(void)pthread_join(d->thread, NULL);
	d->heard = false;
	if (d->hold >= 0)
		(void)close(d->hold);
	d->hold = -1;
	if (d->program.pid != 0)
		(void)has_ended(&d->program, START_MS); /* all of its session by then */
	program_stop(&d->program);
}
