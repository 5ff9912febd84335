/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h - the control API's server: HTTP on a Unix socket, a thread of its own.
 *
 * Who may connect is this process's user, and root. A client is served one request at a time. Who
 * does not send the rest of a request, or does not take the answer, is let go after SERVER_SLOW_MS; who is
 * idle stays, until its place is wanted. Nobody waits for a client: neither the VM nor another client does.
 *
 * Calls that may wait are made by workers (API_WORKS), SERVER_WORKERS at most.
 */
#ifndef RUNNER_API_SERVER_H
#define RUNNER_API_SERVER_H

#include "runner/api/api.h"
#include "sill/error.h"

enum {
	SERVER_LISTENERS = 2,
	SERVER_CLIENTS = 256,
	SERVER_WORKERS = 8,
	SERVER_SLOW_MS = 30000,
	SERVER_STREAM = 256 * 1024, /* bytes of events that wait for one client */
};

struct server;

/* Takes the @n descriptors at @fds, which listen; also on failure. @api is borrowed. NULL and @e. */
struct server *server_start(const int *fds, unsigned n, struct api *api, struct sill_err *e);
/* Answers that are due are still sent, for a second at most. Calls under way must be about to end. */
void server_stop(struct server *s);

#endif
