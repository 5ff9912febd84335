/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.h - tell the service manager how the service is: sd_notify(3), in datagrams to $NOTIFY_SOCKET.
 *
 * Source: systemd's sd_notify(3) and sd_watchdog_enabled(3), whose protocol is promised to stay.
 */
#ifndef RUNNER_HOST_NOTIFY_H
#define RUNNER_HOST_NOTIFY_H

#include "sill/error.h"

/* Public struct. */
struct notify {
	int fd;               /* owned; -1: there is nobody to tell */
	unsigned watchdog_ms; /* how often WATCHDOG=1 is due; 0: nobody waits for it */
};

/* A descriptor that does not wait, to a socket of datagrams: a path, or a name behind '@'. -1: it cannot be had. */
int notify_dial(const char *where);
/* From the environment, which is cleared of it: what is started from here is another's business. */
void notify_begin(struct notify *n);
/* A line: "READY=1", "STATUS=runs". Nobody is waited for. Any thread. */
void notify_say(const struct notify *n, const char *fmt, ...) SILL_PRINTF(2, 3);
void notify_end(struct notify *n);

#endif
