/* SPDX-License-Identifier: Apache-2.0 */
/* net.h - from the configuration to a network card: its back end, addresses, DHCP. */
#ifndef MACHINE_NET_H
#define MACHINE_NET_H

#include "backend/net/dhcp.h"
#include "backend/net/ndp.h"
#include "base/attr.h"
#include "base/err.h"
#include "devices/virtio/net.h"
#include "sill/config.h"
#include "sill/files.h"

/* Caller-allocated. */
struct card {
	struct virtio_net_config config; /* for the device, which takes the back end */
	struct dhcp_config dhcp;         /* the former borrows it, */
	struct ndp_config ndp;           /* and this */
};

/* Takes what it needs of @files; nothing is held when it fails. @vm: what the guest is called. */
int card_open(const char *vm, const struct sill_net_config *n, struct sill_files *files,
	      struct card *ret, struct sill_err *e) MUST_CHECK;

#endif
