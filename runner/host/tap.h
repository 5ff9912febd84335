/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tap.h - the host's side of a network card: a tap device, found, made or inherited, or a macvtap.
 *
 * One that is made has its address, or has joined its bridge, and is up before the guest runs; it
 * is ours alone (TUNSETOWNER), and gone with the last descriptor, however the VM ends. One that
 * is there is used as it is: neither its address nor its state changes. A macvtap is no more than an
 * interface that has a descriptor: it is removed, and after kill -9 by the next VM (leftover.h).
 */
#ifndef RUNNER_HOST_TAP_H
#define RUNNER_HOST_TAP_H

#include <stdbool.h>
#include <stdint.h>

#include "runner/host/leftover.h"
#include "sill/config.h"
#include "sill/error.h"
#include "sill/files.h"

enum { TAP_ADDRESS = 20, TAP_ADDRESS6 = 52 };

/* Public struct. Descriptors are owned; -1: none. */
struct tap {
	int fd[SILL_MAX_NET_QUEUES];
	unsigned count;
	char name[SILL_TAP_NAME_LEN + 1];
	char address[TAP_ADDRESS];   /* of the host's side, "192.168.249.1/24"; "": it has none */
	char address6[TAP_ADDRESS6]; /* likewise, "fd12:3456:789a::1/64" */
	uint16_t mtu;
	bool made;
	bool adopted;   /* somebody else has opened it: its name may be of another namespace */
	bool elsewhere; /* adopted, and in another network namespace */
	int news;       /* link.h: that somebody deletes the device */
	/* vhost.h */
	int vhost_fd[SILL_MAX_NET_QUEUES]; /* all queues, or none */
	int ear, silence;
	bool vhost;       /* it has them, or had before they were moved away */
	unsigned macvtap; /* the index of one that goes with the VM; 0: none */
	int leftover;     /* owned: of the file that tells of it; -1 */
	char leftover_path[LEFTOVER_PATH];
};

void tap_init(struct tap *t);
/* What @n is connected to; with `none` no descriptor. @dir: see leftover.h. 0, or -1 and @e; tap_close() either way. */
int tap_open(struct tap *t, const struct sill_net_config *n, const char *dir, struct sill_err *e);
/*
 * The queues of a device that somebody else has made and attached, as copies of @fds, which stay the caller's. Its
 * address is not known, nor its MTU where it is in another network namespace.
 */
int tap_adopt(struct tap *t, const int *fds, unsigned n, struct sill_err *e);
/* Move the descriptors to @ret. 0, or -1 and @e: then some of them. */
int tap_give(struct tap *t, const struct sill_net_config *n, struct sill_files *ret,
	     struct sill_err *e);
void tap_close(struct tap *t); /* of descriptors that were moved away it knows nothing */

/* macvtap.c */
int macvtap_open(struct tap *t, const struct sill_net_config *n, const char *dir,
		 struct sill_err *e);
void macvtap_close(struct tap *t);
/* Remove those of VMs that were killed. @fn, which may be NULL, is told; not @done: no right to. */
void macvtap_clean(const char *dir, leftover_told *fn, void *ctx);

#endif
