/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan.h - the manifests in a directory and below.
 *
 * Links are followed, and each directory is walked once, whatever leads to it:
 * so loops end. Nothing is left out in silence, and nothing is opened but
 * directories. Bases are left out: what is wrong with one is said of the manifests that stand on it.
 */
#ifndef RUNNER_CMD_SCAN_H
#define RUNNER_CMD_SCAN_H

#include <stdbool.h>

/* What is told, in the order of the names. Public struct. */
struct scan_sink {
	void *arg;
	/* A name *.yaml or *.yml, in any case, that is no directory. It may be anything else. */
	void (*file)(void *arg, const char *path);
	/* A manifest, or a directory that may have some, that is left out on purpose. */
	void (*skipped)(void *arg, const char *path, const char *why);
	bool bases; /* they are files like others */
	/* A directory that cannot be read: what is in it is not known. */
	void (*failed)(void *arg, const char *path, const char *why);
};

/* Walk @path, which may be a link to a directory. */
void scan_manifests(const char *path, const struct scan_sink *sink);

#endif
