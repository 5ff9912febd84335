/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chr.h - the far end of a serial port or console: a terminal, a pty, a file,
 * a socket, a TCP connection, nothing. It never blocks the guest.
 *
 * Output goes into a bounded ring (CHAR_BUFFER) that the main loop empties;
 * when the reader is too slow or absent, the oldest bytes are dropped and
 * counted: who comes late sees the newest output. A socket has any number of
 * readers, and its ring is a history that each of them gets first (chr_hub.c).
 * Input is read only as fast as the device takes it (flow control), except
 * from a terminal, where a key that is not for the guest must be seen at once.
 *
 * Threads: chr_write and chr_read from any one thread at a time (the device's
 * lock is held); the callbacks come on the main loop with no lock held.
 */
#ifndef BACKEND_SERIAL_CHR_H
#define BACKEND_SERIAL_CHR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/loop.h"
#include "sill/config.h"
#include "sill/kd.h"
#include "sill/vm.h"

struct chr;

/* The descriptors are -1 where the mode has none. */
struct chr_config {
	enum sill_char_mode mode;
	int in_fd;          /* taken */
	int out_fd;         /* taken; may equal in_fd; of a socket: its log (chr_log.c) */
	int listen_fd;      /* taken */
	uint64_t max_bytes; /* of a file; 0: no limit */
	uint64_t
		history; /* of a socket: what is kept, rounded up to a power of two; 0: CHAR_BUFFER */
	int (*next_file)(void *ctx); /* see struct sill_file */
	void *ctx;
	int (*dial)(void *ctx); /* see SILL_FILE_DIAL; NULL: the far end comes to us */
	void *dial_ctx;
};

struct chr_user {
	void (*readable)(void *ctx); /* bytes to read, a break, or connected() has changed */
	/* The terminal at the far end has a size now; NULL: that is of no interest. */
	void (*resized)(void *ctx, uint16_t cols, uint16_t rows);
	void *ctx;
};

/* Takes the fds of @c, even on failure. NULL for mode OFF is the caller's business. */
struct chr *chr_create(const char *id, const struct chr_config *c, struct loop *loop,
		       struct sill_err *e);
void chr_destroy(struct chr *c); /* accepts NULL; writes out what it can without blocking long */
void chr_set_user(struct chr *c, const struct chr_user *u); /* NULL: none; main loop only */

/* Takes all @n bytes; to make room the oldest are dropped and counted. Never blocks; see chr_set_kd(), too. */
void chr_write(struct chr *c, const void *p, size_t n);
/* Up to @n bytes of input; 0: none now. */
size_t chr_read(struct chr *c, void *p, size_t n);
bool chr_has_input(struct chr *c);
/* Somebody is connected, or the mode needs nobody. */
bool chr_connected(struct chr *c);
/* A break came from the far end since the last call; clears it. */
bool chr_take_break(struct chr *c);
void chr_inject_break(struct chr *c); /* any thread; readable() follows */
uint64_t chr_dropped(const struct chr *c);
/* Bytes the guest has written since the start; a far end that is null takes none. Any thread. */
uint64_t chr_written(struct chr *c);
/* The newest bytes that the guest has written, @n at most, as far as they are still there. How many. Any thread. */
size_t chr_tail(struct chr *c, void *ret, size_t n);
/*
 * A kernel debugger is at the far end, of mode TCP: what the guest writes while nobody is connected is thrown
 * away, since a debugger that comes asks anew, and both sides' packets are counted. Until the guest has begun its first
 * packet (kd.h), nothing of it is passed on, and of the far end only packets and break-ins are; then every byte is, both
 * ways, until chr_guest_anew(). Once, before chr_write().
 */
void chr_set_kd(struct chr *c);
/* Any thread: what was seen; NO_PORT without chr_set_kd(). */
void chr_kd(struct chr *c, struct sill_kd_seen *ret);
/*
 * Who hears of a Windows' bug check in what the guest writes (ems.h), from the thread that does, in chr_write().
 * @whole: it has its parameters, or no more will come. Four times at most until chr_guest_anew(). Once, before
 * chr_write().
 */
typedef void (*chr_bug_fn)(void *ctx, const struct sill_crash *said, bool whole);
void chr_set_bug(struct chr *c, chr_bug_fn fn, void *ctx);
/* The guest begins anew: what it and its debugger have said counts for no state any more. As chr_write(). */
void chr_guest_anew(struct chr *c);
/* Try to write everything out, for up to @ms; main loop only (power-off). */
void chr_drain(struct chr *c, int ms);

/* See sill_vm_set_keys(): only for SILL_CHAR_TTY whose input is a terminal. Main loop only. */
void chr_set_keys(struct chr *c, sill_keys_fn fn, void *ctx);

#endif
