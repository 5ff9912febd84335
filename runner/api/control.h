/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h - the control API of a process: its sockets, server, events, and the VM's life.
 *
 *   control_open -> ( life_begin | life_wait ) ... -> control_close
 */
#ifndef RUNNER_API_CONTROL_H
#define RUNNER_API_CONTROL_H

#include <stdbool.h>

#include "runner/api/api.h"
#include "runner/api/event.h"
#include "runner/api/life.h"
#include "runner/api/server.h"
#include "runner/host/rundir.h"
#include "runner/host/socket.h"
#include "sill/error.h"

/* Public struct. All borrowed. */
struct control_wish {
	const char
		*socket; /* PATH, path=PATH or fd=N; NULL: none but that in the runtime directory */
	const char *monitor; /* path=PATH or fd=N: --event-monitor; NULL: none */
	const char *name;
	bool again; /* see life_create() */
};

/* Public struct. Zeroed: there is none. */
struct control {
	struct api api;
	struct server *server; /* owned */
	struct socket_name sockets[SERVER_LISTENERS];
	unsigned socket_count;
	char paths[SERVER_LISTENERS][RUNDIR_PATH + 16];
};

/*
 * Listen at the sockets asked for, and at api.sock in @dir, if that is there; events.jsonl beside it. -1 and @e,
 * with nothing left. What is asked for must be had; what is only convenient need not.
 */
int control_open(struct control *c, const struct control_wish *w, const struct rundir *dir,
		 struct sill_err *e);
/* Requests under way are answered first. Harmless when there is none. */
void control_close(struct control *c);

#endif
