/* SPDX-License-Identifier: Apache-2.0 */
/* session.h - what `sill console` does once it is connected: with a person, or for a script. */
#ifndef RUNNER_CONSOLE_SESSION_H
#define RUNNER_CONSOLE_SESSION_H

#include "runner/console/conlink.h"

/* Public struct. */
struct session {
	const char *name; /* of the VM, for messages */
	enum sill_port port;
	bool read_only, history, take;
	const char *send, *expect; /* NULL: a person is there */
	uint64_t within_ms;        /* for expect */
	/* Of a person: when standard input is no terminal, has ended, and the guest says nothing for so long, that is
	   all; 0: the guest is listened to for ever. */
	int quiet_ms;
};

/* Until the person leaves, or the VM ends. An exit status (runner/cmd/cmd.h). */
int session_person(const struct session *s);
/* Send, then wait for what is expected; the output goes to standard output. Likewise; 1: it has not come. */
int session_script(const struct session *s);

/* \r \n \t \e \\ \xNN in @text are what they are in C. The number of bytes in @ret, or -1: it ends in half of one. */
int session_unescape(const char *text, uint8_t *ret, size_t size);

#endif
