/* SPDX-License-Identifier: Apache-2.0 */
/* ip.h - addresses, as SAC's command `i` shows and sets them. */
#ifndef RUNNER_SAC_IP_H
#define RUNNER_SAC_IP_H

#include <arpa/inet.h>
#include <stdbool.h>

#include "sill/config.h"
#include "sill/error.h"

/* IPv4, as text. */
struct sac_ip {
	char address[INET_ADDRSTRLEN], mask[INET_ADDRSTRLEN], gateway[INET_ADDRSTRLEN];
};

/* Can a machine have all three? 0, or -1 and @e. */
int sac_ip_check(const struct sac_ip *ip, struct sill_err *e);

/* The number of the only interface in the answer to `i`. -1: there is none, or more than one. */
int sac_ip_interface(const char *text);
/* The answer to `i` says that an interface has @address. */
bool sac_ip_has(const char *text, const char *address);
/*
 * What the guest is given by DHCP on its only card with it. @c is the value that runs: nothing in it is `auto`.
 * 0, or -1 and @e.
 */
int sac_ip_auto(const struct sill_config *c, struct sac_ip *ret, struct sill_err *e);

#endif
