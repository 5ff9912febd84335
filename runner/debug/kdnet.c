/* SPDX-License-Identifier: Apache-2.0 */
/* kdnet.c - see kdnet.h. */
#include "runner/debug/kdnet.h"

#include <arpa/inet.h>
#include <string.h>

#include "runner/net/endpoint.h"
#include "runner/report/text.h"

static int fail(struct sill_err *e, const char *text, const char *what, const char *hint)
{
	char clean[TEXT_SHORT];

	(void)sill_err_set(e, SILL_ERR_MANIFEST, "'%s' %s",
			   text_clean(clean, sizeof(clean), text, strlen(text)), what);
	return sill_err_hint(e, "%s", hint);
}

int kdnet_read_end(const char *text, struct kdnet_end *ret, struct sill_err *e)
{
	static const char hint[] = "the machine that WinDbg runs on: '192.0.2.1:50000'";
	const struct sockaddr_in *v4;
	struct endpoint at;
	uint32_t first;

	if (endpoint_check_connect(text, e) < 0)
		return -1;
	if (endpoint_read_listen(text, &at, &(struct sill_err){ 0 }) < 0 ||
	    at.at.ss_family != AF_INET)
		return fail(e, text, "does not begin with an IPv4 address: Windows asks no name",
			    hint);
	v4 = (const void *)&at.at;
	*ret = (struct kdnet_end){ ntohl(v4->sin_addr.s_addr), ntohs(v4->sin_port) };
	first = ret->address >> 24;
	if (first == 127)
		return fail(e, text, "is the guest itself, for the guest", hint);
	if (first == 0 || first >= 224)
		return fail(e, text, "is not the address of a machine", hint);
	if (ret->port < KDNET_PORT_MIN)
		return fail(e, text, "has a port that Windows' debugger does not take",
			    "49152 to 65535; 50000 to 50039 is what Microsoft recommends");
	return 0;
}

/* One number; where it ends. NULL: it has no digit, another letter, or 64 bits are too few. */
static const char *end_of_number(const char *s)
{
	const char *p = s;
	uint64_t v = 0;

	for (; *p != '\0' && *p != '.'; p++) {
		const unsigned digit = *p >= '0' && *p <= '9'   ? (unsigned)(*p - '0')
				       : *p >= 'a' && *p <= 'z' ? (unsigned)(*p - 'a') + 10
								: 36;

		if (digit == 36 || __builtin_mul_overflow(v, 36, &v) ||
		    __builtin_add_overflow(v, digit, &v))
			return NULL;
	}
	return p != s ? p : NULL;
}

int kdnet_check_key(const char *text, struct sill_err *e)
{
	static const char hint[] = "four numbers of lower-case letters and digits, at most "
				   "3w5e11264sgsf each: '2n9ck3.1qw8x.7d0f4.p3z5'";
	const char *p = text;

	for (unsigned i = 0; i < 4; i++) {
		p = end_of_number(p);
		if (p == NULL || *p != (i < 3 ? '.' : '\0'))
			return fail(e, text, "is not a debugger's key", hint);
		p++;
	}
	return 0;
}

const struct sill_net_config *kdnet_card(const struct sill_config *c)
{
	if (c->debug.card == NULL)
		return c->net_count == 1 ? &c->net[0] : NULL;
	for (unsigned i = 0; i < c->net_count; i++)
		if (c->net[i].id != NULL && strcmp(c->net[i].id, c->debug.card) == 0)
			return &c->net[i];
	return NULL;
}

uint32_t kdnet_peer(const struct sill_config *c, const struct sill_net_config *n)
{
	struct kdnet_end at;

	if (c->debug.kd != SILL_KD_NET || c->debug.connect == NULL || kdnet_card(c) != n ||
	    kdnet_read_end(c->debug.connect, &at, &(struct sill_err){ 0 }) < 0)
		return 0;
	return at.address;
}
