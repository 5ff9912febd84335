/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pathfd.h - a path that is followed once.
 *
 * In a directory where others may write, what a path leads to can be another
 * file at each look. So a file is found first, which opens nothing (there are
 * devices that act by being opened), looked at, and then that very file is
 * opened. And names are given, taken and removed by a descriptor of the
 * directory that was found once.
 */
#ifndef RUNNER_HOST_PATHFD_H
#define RUNNER_HOST_PATHFD_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

/* What @path leads to: a descriptor that nothing can be done with but this, and what it is. -1: errno. */
int pathfd_find(const char *path, struct stat *ret);
/* That file, opened with @flags; @path is the one it was found by. -1: errno. */
int pathfd_open(int found, const char *path, int flags);
/* The same file, or the same block device by another node. */
bool pathfd_same(const struct stat *a, const struct stat *b);
/* Does @path lead to the file of @fd? */
bool pathfd_leads_to(const char *path, int fd);

/* A name in a directory. Public struct. */
struct place {
	int dir; /* owned; -1 or 0: none */
	char name[NAME_MAX + 1];
};

/* 0, or -1 and errno. place_fini() in any case. */
int place_init(struct place *p, const char *path);
void place_fini(struct place *p);
/* A name beside it that nobody has: ".NAME.1a2b3c4d". 0, or -1 and errno. */
int place_beside(const struct place *p, char ret[NAME_MAX + 1]);
/* A new file there, of mode 0600, that has no name. -1 and errno; EOPNOTSUPP: the file system has no such files. */
int place_nameless(const struct place *p);
/* Give @fd, which has none, the name @name there, if nobody has it. 0, or -1 and errno. */
int place_link(const struct place *p, int fd, const char *name);
/* Give what is called @beside there the place's name, if nobody has it. 0, or -1 and errno. */
int place_take(const struct place *p, const char *beside);
/* Make the names of the directory survive a power cut. 0, or -1 and errno. */
int place_sync(const struct place *p);

#endif
