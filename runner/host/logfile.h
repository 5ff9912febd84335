/* SPDX-License-Identifier: Apache-2.0 */
/*
 * logfile.h - the file of --log: up to 16 MiB, and what was written before that as FILE.1.
 *
 * Its lines come from buckets, so it is enough to look at its size now and then.
 */
#ifndef RUNNER_HOST_LOGFILE_H
#define RUNNER_HOST_LOGFILE_H

#include <stdbool.h>
#include <stdio.h>

#include "runner/host/rotate.h"
#include "sill/error.h"

enum { LOGFILE_LIMIT = 16 << 20 };

/* Public struct. Zero-initialised by its owner. */
struct logfile {
	FILE *f; /* owned; NULL: there is none */
	struct rotated rotated;
};

/* What is there is added to. 0, or -1 and errno. */
int logfile_open(struct logfile *l, const char *path);
/* 0; -1 and @e when it is an image, whose end would be written over, or FILE.1 must not be replaced. */
int logfile_begin(struct logfile *l, const char *path, struct sill_err *e);
/* Is it a file, which can grow? After logfile_begin(). */
bool logfile_grows(const struct logfile *l);
/*
 * @ctx is a struct logfile: when it is at its limit a new one begins, also for standard output and error
 * if they are that file. Others may write meanwhile.
 */
void logfile_look(void *ctx);
void logfile_close(struct logfile *l);

#endif
