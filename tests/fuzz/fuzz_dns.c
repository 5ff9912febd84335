/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_dns.c - a DNS query of any bytes, and an answer of any bytes. What is taken for a query is within its
 * bounds, its failure is an answer to it, and what is taken for its answer has its id and its question.
 *
 * Input: the first byte is how long the query is; the second says whether the answer begins as the query does.
 */
#include <assert.h>
#include <string.h>

#include "runner/net/dnsmsg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t query[256], reply[1024], failure[DNS_QUESTION_MAX];
	size_t n, m, end;

	if (size < 2 || size - 2 < data[0] || size - 2 - data[0] > sizeof(reply))
		return 0;
	n = data[0];
	m = size - 2 - n;
	memcpy(query, data + 2, n);
	memcpy(reply, data + 2 + n, m);
	end = dns_query_end(query, n);
	if (end == 0)
		return 0;
	assert(end >= DNS_HEADER + 5 && end <= n && end <= DNS_QUESTION_MAX);
	assert(dns_failure(query, end, failure) == end);
	assert(dns_is_answer(query, end, failure, end));
	if ((data[1] & 1) != 0 && m >= end) {
		const uint8_t flags = reply[2];

		memcpy(reply, query, end);
		reply[2] = flags;
	}
	if (!dns_is_answer(query, end, reply, m))
		return 0;
	assert(m >= DNS_HEADER && memcmp(reply, query, 2) == 0 && (reply[2] & 0x80) != 0);
	if (reply[5] != 0)
		assert(m >= end && memcmp(reply + end - 4, query + end - 4, 4) == 0);
	return 0;
}
