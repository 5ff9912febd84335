/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.h - every file, lock, socket and terminal of a VM, opened.
 *
 *   vmfiles_init -> vmfiles_open -> vmfiles_create -> vmfiles_settle -> vmfiles_give -> ... -> vmfiles_fini
 *
 * vmfiles_open() takes what exists and creates nothing, so that all that can go
 * wrong has gone wrong before vmfiles_create() makes the first new name.
 */
#ifndef RUNNER_HOST_FILES_H
#define RUNNER_HOST_FILES_H

#include <stdbool.h>

#include "runner/host/cables.h"
#include "runner/host/chain.h"
#include "runner/host/rotate.h"
#include "runner/host/socket.h"
#include "runner/net/endpoint.h"
#include "sill/config.h"
#include "sill/error.h"
#include "sill/files.h"

enum { PTY_NAME = 64 };

/* One far end of a serial port or console. Descriptors are owned; -1: none. */
struct far_end {
	int in_fd, out_fd, listen_fd;
	char pty[PTY_NAME];        /* its path, with mode pty */
	struct socket_name socket; /* with mode socket */
	struct rotated log; /* with mode file, and of a socket's log; in use as long as the VM is */
	struct endpoint_peer
		peer; /* with mode tcp, and us who connect; in use as long as the VM is */
};

/* Public struct. Descriptors are owned until vmfiles_give(); -1: none. */
struct vmfiles {
	const struct sill_config *m; /* borrowed */
	const struct lent_tap *lent; /* borrowed; set after vmfiles_init(); NULL: none */
	unsigned lent_count;
	int code, vars, kernel, initramfs, rng;
	int zones[SILL_MAX_ZONES]; /* the files of memory zones */
	struct chain disks[SILL_MAX_DISKS];
	int overlays[SILL_MAX_DISKS]; /* the layers of ephemeral disks */
	struct cables cables;         /* in the order of the cards */
	struct far_end port[SILL_PORTS];
	int vsock; /* it listens */
	struct socket_name vsock_name;
};

/*
 * Let this process open as many files as it may. A disk's queue takes several, and the
 * usual 1024 are there for the sake of select(2), which nothing here calls.
 */
void vmfiles_raise_limit(void);

void vmfiles_init(struct vmfiles *f, const struct sill_config *m);

/* What the manifest says of a disk; @names has room for what is below it. */
void vmfiles_want(struct chain_want *w, const struct sill_disk_config *d,
		  struct chain_name names[SILL_MAX_LAYERS]);

/* Open and lock what is there. 0, or -1 and @e. */
int vmfiles_open(struct vmfiles *f, struct sill_err *e);

/* Find or make taps; listen for forwards; create the variable store, log files, sockets and ptys. 0, or -1 and @e. */
int vmfiles_create(struct vmfiles *f, struct sill_err *e);

/*
 * What is left open in @m, which is @f's manifest or a copy of it, as it was found: the images below
 * others, the generation id, the limit of layers, the names and addresses of taps, name servers. 0, or -1 and @e: no memory.
 */
int vmfiles_settle(const struct vmfiles *f, struct sill_config *m, struct sill_err *e);

/* Move the descriptors to @ret. 0, or -1 and @e: then some of them. */
int vmfiles_give(struct vmfiles *f, struct sill_files *ret, struct sill_err *e);

/* Close what is left, remove the sockets. */
void vmfiles_fini(struct vmfiles *f);

/* Is there memory for the VM? 0, or -1, @e, and what to do. */
int host_memory_check(const struct sill_config *m, struct sill_err *e);

#endif
