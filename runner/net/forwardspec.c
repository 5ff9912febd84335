/* SPDX-License-Identifier: Apache-2.0 */
/* forwardspec.c - see forwardspec.h. */
#include "runner/net/forwardspec.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "runner/manifest/scalar.h"
#include "runner/report/text.h"
#include "sill/config.h"

enum { TEXT_MAX = 80 }; /* an IPv6 address, two ports and a protocol */

static int fail(struct sill_err *e, const char *text, const char *what)
{
	char clean[TEXT_SHORT];

	return sill_err_set(e, SILL_ERR_MANIFEST, "'%s' %s",
			    text_clean(clean, sizeof(clean), text, strlen(text)), what);
}

static int bad_form(struct sill_err *e, const char *text)
{
	(void)fail(e, text, "is not a port forward");
	return sill_err_hint(e, "HOSTPORT:GUESTPORT, or with an address of the host "
				"'127.0.0.1:2222:22', '[::1]:2222:22'");
}

/* Takes the protocol off. */
static int take_protocol(char *own, const char *text, struct sill_err *e)
{
	char *slash = strchr(own, '/');

	if (slash == NULL)
		return 0;
	*slash = '\0';
	if (strcmp(slash + 1, "tcp") == 0)
		return 0;
	(void)fail(e, text, "is not TCP");
	return sill_err_hint(e,
			     "only TCP is forwarded; remote desktops do without UDP, for the rest "
			     "use the guest's own address");
}

static int read_port(const char *s, const char *text, uint16_t *ret, struct sill_err *e)
{
	uint64_t n;

	const enum scalar_result r = scalar_uint(s, &n);

	if (strspn(s, "0123456789") > 0 && s[strspn(s, "0123456789")] == '-') {
		(void)fail(e, text, "has a range of ports");
		return sill_err_hint(e, "write an entry for each of them");
	}
	if (r != SCALAR_OK && r != SCALAR_BIG)
		return bad_form(e, text);
	if (r != SCALAR_OK || n == 0 || n > 65535) {
		(void)fail(e, text,
			   r == SCALAR_OK && n == 0 ? "has the port 0" : "has a port above 65535");
		return sill_err_hint(e, "ports are 1 to 65535");
	}
	*ret = (uint16_t)n;
	return 0;
}

static int read_address(char *s, const char *text, struct forward_spec *ret, struct sill_err *e)
{
	const size_t len = strlen(s);

	ret->v4 = inet_pton(AF_INET, s, &ret->address4) == 1;
	if (ret->v4)
		return 0;
	if (len > 2 && s[0] == '[' && s[len - 1] == ']') {
		s[len - 1] = '\0';
		ret->v6 = inet_pton(AF_INET6, s + 1, &ret->address6) == 1;
		/* It would take IPv4's place, or none at all. */
		if (ret->v6 && !IN6_IS_ADDR_V4MAPPED(&ret->address6))
			return 0;
	}
	(void)fail(e, text, "does not begin with an address");
	return sill_err_hint(e, strcmp(s, "*") == 0
					? "all of the host's: '0.0.0.0' and '[::]', in two entries"
					: "one of the host's: 127.0.0.1, or [::1] in brackets; no "
					  "names");
}

int forward_read(const char *text, struct forward_spec *ret, struct sill_err *e)
{
	struct forward_spec s = { 0 };
	char own[TEXT_MAX], *guest, *host;

	if (strlen(text) >= sizeof(own))
		return bad_form(e, text);
	(void)snprintf(own, sizeof(own), "%s", text);
	if (take_protocol(own, text, e) < 0)
		return -1;
	guest = strrchr(own, ':');
	if (guest == NULL)
		return bad_form(e, text);
	*guest++ = '\0';
	host = strrchr(own, ':');
	if (host != NULL) {
		*host++ = '\0';
		if (read_address(own, text, &s, e) < 0)
			return -1;
	} else {
		host = own;
		s.v4 = s.v6 = true;
		s.address4.s_addr = htonl(INADDR_LOOPBACK);
		s.address6 = in6addr_loopback;
	}
	if (read_port(host, text, &s.host_port, e) < 0 ||
	    read_port(guest, text, &s.guest_port, e) < 0)
		return -1;
	*ret = s;
	return 0;
}

bool forward_clash(const struct forward_spec *a, const struct forward_spec *b)
{
	if (a->host_port != b->host_port)
		return false;
	if (a->v4 && b->v4 &&
	    (a->address4.s_addr == b->address4.s_addr || a->address4.s_addr == INADDR_ANY ||
	     b->address4.s_addr == INADDR_ANY))
		return true;
	return a->v6 && b->v6 &&
	       (IN6_ARE_ADDR_EQUAL(&a->address6, &b->address6) ||
		IN6_IS_ADDR_UNSPECIFIED(&a->address6) || IN6_IS_ADDR_UNSPECIFIED(&b->address6));
}

int forward_guest(const char *host, uint32_t *ret_guest)
{
	uint32_t address;
	uint8_t prefix;

	if (sill_address_read(host, &address, &prefix) < 0)
		return -1;
	*ret_guest = sill_guest_address(address, prefix);
	return 0;
}
