/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dnsmsg.h - of a DNS message (RFC 1035 4.1) as much as a forwarder has to know: is it a query with one
 * question, and does this answer that? Pure; both come from strangers.
 */
#ifndef RUNNER_NET_DNSMSG_H
#define RUNNER_NET_DNSMSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	DNS_HEADER = 12,
	DNS_NAME_MAX = 255,                               /* RFC 1035 2.3.4 */
	DNS_QUESTION_MAX = DNS_HEADER + DNS_NAME_MAX + 4, /* of a header and one question */
};

/* Where the question of a query ends. 0: it is no query with one question. */
size_t dns_query_end(const uint8_t *msg, size_t n);
uint16_t dns_id(const uint8_t *msg);
void dns_set_id(uint8_t *msg, uint16_t id);
/* Is @reply, of @n bytes, an answer to @query, whose question ends at @end? Letter case does not matter. */
bool dns_is_answer(const uint8_t *query, size_t end, const uint8_t *reply, size_t n);
/* SERVFAIL as the answer to @query: its length, @end. @ret has room for DNS_QUESTION_MAX. */
size_t dns_failure(const uint8_t *query, size_t end, uint8_t ret[DNS_QUESTION_MAX]);

#endif
