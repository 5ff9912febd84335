/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket.h - a listening UNIX socket at a path, and its end.
 *
 * Two VMs may have the same path by mistake, or one may start while another ends. So whoever makes or
 * removes a name holds the directory's lock (flock), and a name is removed only while it is that of
 * the very socket that was looked at: stale, or our own.
 */
#ifndef RUNNER_HOST_SOCKET_H
#define RUNNER_HOST_SOCKET_H

#include <sys/types.h>

#include "sill/error.h"

/* Public struct: where a socket of ours is. */
struct socket_name {
	int dir_fd;       /* owned; -1: there is none */
	const char *name; /* in that directory; borrowed from the path */
	int fd;           /* owned: the name's inode (O_PATH), which no other file gets meanwhile */
};

/*
 * A socket that listens at @path, with mode 0600. One at which nobody answers is replaced. The
 * descriptor, with *@ret_where to be given to socket_remove(); or -1 and @e.
 */
int socket_listen(const char *path, struct socket_name *ret_where, struct sill_err *e);

/*
 * A non-blocking stream socket that is connected to the one that listens at @path. -1: nobody does, or as
 * many as it wants wait for it already. Does not wait.
 */
int socket_connect(const char *path);

/*
 * Waits for whoever makes or removes a socket in the directory of @path at this moment: between its bind and its
 * listen a name is there that answers nobody. Some system calls long; a few seconds at most. Who was refused then
 * asks once more.
 */
void socket_settle(const char *path);

/* Remove the name, if it is still our socket's. Closes what it holds. Harmless when there is none. */
void socket_remove(struct socket_name *s);

#endif
