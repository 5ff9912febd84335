/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sign.h - one sign that a guest is up (ready in the manifest): what it is called, and has it come?
 *
 * A port is asked once, in the protocol of its service (knock.h). Text on the serial line is looked for in what the
 * guest has written, in pieces as they come.
 */
#ifndef RUNNER_READY_SIGN_H
#define RUNNER_READY_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sill/config.h"

enum {
	SIGN_NAME = 96,
	SIGN_WHAT = 160,
	SIGN_TEXT = 256,  /* bytes of a text at most: serial in schema/ready.c */
	SIGN_PIECE = 4096 /* of what the guest writes */
};

/* "ssh 22", "serial 'login:'"; printable. Returns @dst. */
char *sign_name(const struct sill_ready_config *r, char dst[SIGN_NAME]);
/* How long the guest has, in ms. */
uint64_t sign_within(const struct sill_ready_config *r);

/* Public struct: where a port is. */
struct sign_port {
	char host[256];
	uint16_t port;
};
/* Of a port sign of the VM @c, in which nothing is `auto`. False: nobody knows. */
bool sign_find_port(const struct sill_config *c, const struct sill_ready_config *r,
		    struct sign_port *ret);

/*
 * Ask once; not of a serial sign. It takes some seconds at most, and ends when *@stop can be read. @ret_what is what
 * answers, or why it is not there: printable, maybe "".
 */
bool sign_try(const struct sill_config *c, const struct sill_ready_config *r, const int *stop,
	      char ret_what[SIGN_WHAT]);

/* Public struct, zeroed: the end of what the guest has written. */
struct sign_text {
	char data[SIGN_TEXT + SIGN_PIECE];
	size_t n;
};
/* The next @n bytes, SIGN_PIECE at most, are there to be looked at with sign_has(); before that, those that can be no beginning go. */
void sign_take(struct sign_text *t, const uint8_t *p, size_t n);
bool sign_has(const struct sign_text *t, const char *text);

#endif
