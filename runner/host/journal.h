/* SPDX-License-Identifier: Apache-2.0 */
/*
 * journal.h - messages of a service of systemd, with fields: what is written to stderr becomes an entry for each line.
 *
 *   SYSLOG_IDENTIFIER=sill, SILL_VM=NAME, PRIORITY by the line's own word (error, warn, info, debug), MESSAGE
 *
 * Source: systemd's "Native Journal Protocol", and $JOURNAL_STREAM in systemd.exec(5). $SILL_JOURNAL_SOCKET is where the
 * journal listens, if set.
 */
#ifndef RUNNER_HOST_JOURNAL_H
#define RUNNER_HOST_JOURNAL_H

#include <stdbool.h>
#include <stdio.h>

enum { JOURNAL_ERROR = 3, JOURNAL_INFO = 6 }; /* of syslog(3) */

/* Public struct. Zero-initialised by its owner. */
struct journal {
	FILE *f, *was; /* f: owned, and stderr from begin to end; NULL: nothing has begun */
	int fd;
	int level; /* of lines that do not say; by one thread, when no other writes */
	char vm[64];
};

/* False: stderr is not the journal's, or the journal does not listen; stderr stays what it is. One at a time. */
bool journal_begin(struct journal *j, const char *vm);
/* Stderr is again what it was. No other thread writes any more. Harmless when nothing has begun. */
void journal_end(struct journal *j);

#endif
