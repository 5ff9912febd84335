/* SPDX-License-Identifier: Apache-2.0 */
/* topics.h - what `sill explain` knows beside the manifest's keys. */
#ifndef RUNNER_CMD_TOPICS_H
#define RUNNER_CMD_TOPICS_H

#include <stdbool.h>

/* Public struct. */
struct topic_wish {
	const char *file; /* NULL: none */
	const char *name; /* only this VM of the file; NULL: all */
	bool json;
};

/* The Hyper-V enlightenments on this host. Returns an exit status. */
int topic_hyperv(const struct topic_wish *w);

/* The rules of the preflight check. Returns an exit status. */
int topic_lint(const struct topic_wish *w);

#endif
