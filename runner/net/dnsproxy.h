/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dnsproxy.h - a forwarder of a guest's DNS queries to whom the host asks, for hosts whose only resolver is out
 * of the guest's reach, on a loopback address.
 *
 *   dnsproxy_create -> dnsproxy_add ... -> dnsproxy_start -> dnsproxy_destroy
 *
 * UDP, on port 53 of the host's side of a tap. It keeps nothing but what is asked at the moment, DNSPROXY_MAX
 * queries: more are dropped, and asked again by who asked. Whom to ask is read again when resolv.conf changes.
 * Each query has a socket and an id of its own, chosen by the kernel; an answer must come from who was
 * asked, with that id and that question. TCP is a forward like any other (forward.h).
 */
#ifndef RUNNER_NET_DNSPROXY_H
#define RUNNER_NET_DNSPROXY_H

#include <stdint.h>

#include "sill/error.h"

enum { DNSPROXY_MAX = 64, DNSPROXY_PORT = 53 };

struct dnsproxy;

/* @conf: a resolv.conf(5); borrowed. */
struct dnsproxy *dnsproxy_create(const char *conf, struct sill_err *e);
/* Answer at @host, in the host's byte order, what comes by @interface. 0, or -1 and @e. */
int dnsproxy_add(struct dnsproxy *p, const char *interface, uint32_t host, struct sill_err *e);
/* From here on it answers, by a thread. 0, or -1 and @e. */
int dnsproxy_start(struct dnsproxy *p, struct sill_err *e);
/* Accepts NULL and one that has not been started. */
void dnsproxy_destroy(struct dnsproxy *p);

#endif
