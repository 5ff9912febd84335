/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost.h - whether the host's kernel passes a card's frames by itself, and what that takes: /dev/vhost-net for each
 * pair of queues, and an ear for what the guest asks of the card, by DHCP and IPv6.
 */
#ifndef RUNNER_HOST_VHOST_H
#define RUNNER_HOST_VHOST_H

#include <stdbool.h>

#include "runner/host/tap.h"
#include "sill/config.h"
#include "sill/error.h"

/*
 * What of the card is Sill's own business, so that its frames have to come by: "it has limits". NULL: nothing.
 * @dhcp: the card answers its guest.
 */
const char *vhost_obstacle(const struct sill_net_config *n, bool dhcp);

/*
 * For a tap that is open: its descriptors, if the manifest wants them and they can be had; else none. 0, or
 * with `vhost: on` -1 and @e.
 */
int vhost_open(struct tap *t, const struct sill_net_config *n, bool dhcp, struct sill_err *e);
void vhost_close(struct tap *t);

/* Does it open? Else @e says why not, and what to do. */
bool vhost_opens(struct sill_err *e);

#endif
