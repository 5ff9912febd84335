/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chr_log.c - what the guest has written, with the time in front of each line.
 *
 * A line of the file is the host's time when the line's first byte was seen, 2026-12-01T14:25:25.123Z, a blank,
 * and the guest's own bytes up to and with its newline: without the first STAMP bytes of each line the file
 * is what the guest wrote, byte for byte. At its limit it goes on in another file, as a port's file does.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backend/serial/chr_priv.h"
#include "base/fd.h"

enum { STAMP = 25, PIECE = 2048, TURN_MAX = 16 };

static void stamp(char ret[STAMP + 1])
{
	struct timespec now;
	struct tm at;
	char text[32];

	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)gmtime_r(&now.tv_sec, &at);
	(void)strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &at);
	(void)snprintf(ret, STAMP + 1, "%.19s.%03uZ ", text,
		       (unsigned)now.tv_nsec / 1000000 % 1000);
}

/* The disk is full, or has failed: the guest goes on. */
static void write_all(struct chr *c, const char *p, size_t n)
{
	while (n > 0) {
		const ssize_t put = chr_write_quietly(c->out_fd, p, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0) {
			log_guest(&c->bucket, c->id, "log: output lost: %s",
				  strerrordesc_np(errno));
			return;
		}
		c->file_size += (uint64_t)put;
		p += put;
		n -= (size_t)put;
	}
}

/* One piece of output, of at most PIECE bytes. */
static void log_piece(struct chr *c, const uint8_t *p, size_t n)
{
	/* Each byte may be a line. */
	static const size_t room = PIECE * (STAMP + 1);
	static char text[PIECE * (STAMP + 1)]; /* the main loop's */
	char now[STAMP + 1];
	size_t size = 0;

	stamp(now);
	for (size_t i = 0; i < n && size + STAMP < room; i++) {
		if (!c->log_in_line) {
			memcpy(text + size, now, STAMP);
			size += STAMP;
		}
		text[size++] = (char)p[i];
		c->log_in_line = p[i] != '\n';
	}
	if (chr_file_room(c, size))
		write_all(c, text, size);
}

bool chr_log(struct chr *c)
{
	for (unsigned i = 0; c->out_fd >= 0; i++) {
		uint8_t piece[PIECE];
		uint64_t lost;
		const size_t n = chr_recall(c, &c->log_pos, piece, sizeof(piece), &lost);

		if (lost > 0)
			log_guest(&c->bucket, c->id, "log: %llu bytes lost",
				  (unsigned long long)lost);
		if (n == 0)
			break;
		log_piece(c, piece, n);
		if (i == TURN_MAX)
			return false;
	}
	return true;
}
