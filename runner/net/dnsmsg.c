/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dnsmsg.c - see dnsmsg.h.
 *
 *	id u16, flags u16 (QR 0x8000, opcode 0x7800, RD 0x0100, RCODE 0x000f), counts of questions, answers,
 *	authorities and additional records, u16 each; then the question: labels of a length and
 *	that many bytes, ended by 0; type u16, class u16
 */
#include "runner/net/dnsmsg.h"

#include <ctype.h>
#include <string.h>

enum { QR = 0x8000, OPCODE = 0x7800, RA = 0x0080, RCODE = 0x000f, SERVFAIL = 2, LABEL_MAX = 63 };
enum { AT_FLAGS = 2, AT_QUESTIONS = 4 };

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* The first question stands in full: there is nothing before it to point at. 0: it is damaged. */
static size_t question_end(const uint8_t *msg, size_t n)
{
	size_t at = DNS_HEADER;

	while (at < n && msg[at] != 0) {
		if (msg[at] > LABEL_MAX)
			return 0;
		at += 1u + msg[at];
		if (at - DNS_HEADER >= DNS_NAME_MAX)
			return 0;
	}
	return at < n && n - at >= 5 ? at + 5 : 0;
}

size_t dns_query_end(const uint8_t *msg, size_t n)
{
	if (n < DNS_HEADER || (get16(msg + AT_FLAGS) & (QR | OPCODE)) != 0 ||
	    get16(msg + AT_QUESTIONS) != 1)
		return 0;
	return question_end(msg, n);
}

uint16_t dns_id(const uint8_t *msg)
{
	return get16(msg);
}

void dns_set_id(uint8_t *msg, uint16_t id)
{
	put16(msg, id);
}

bool dns_is_answer(const uint8_t *query, size_t end, const uint8_t *reply, size_t n)
{
	if (n < DNS_HEADER || get16(reply) != get16(query) ||
	    (get16(reply + AT_FLAGS) & (QR | OPCODE)) != QR)
		return false;
	/* One that has not understood the question need not repeat it. */
	if (get16(reply + AT_QUESTIONS) == 0)
		return (get16(reply + AT_FLAGS) & RCODE) != 0;
	if (get16(reply + AT_QUESTIONS) != 1 || question_end(reply, n) != end)
		return false;
	/* Lengths of labels are below the letters. */
	for (size_t i = DNS_HEADER; i < end - 4; i++)
		if (tolower(reply[i]) != tolower(query[i]))
			return false;
	return memcmp(reply + end - 4, query + end - 4, 4) == 0;
}

size_t dns_failure(const uint8_t *query, size_t end, uint8_t ret[DNS_QUESTION_MAX])
{
	memcpy(ret, query, end);
	memset(ret + AT_QUESTIONS + 2, 0, DNS_HEADER - AT_QUESTIONS - 2);
	put16(ret + AT_FLAGS, (get16(query + AT_FLAGS) & 0x0100u) | QR | RA | SERVFAIL);
	return end;
}
