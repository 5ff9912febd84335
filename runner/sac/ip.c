/* SPDX-License-Identifier: Apache-2.0 */
/* ip.c - see ip.h. */
#include "runner/sac/ip.h"

#include <stdlib.h>
#include <string.h>

static int read_address(const char *text, uint32_t *ret, struct sill_err *e)
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) != 1)
		return sill_err_set(e, SILL_ERR_STATE, "'%s' is no IPv4 address", text);
	*ret = ntohl(a.s_addr);
	return 0;
}

int sac_ip_check(const struct sac_ip *ip, struct sill_err *e)
{
	uint32_t address, mask, gateway, host;

	if (read_address(ip->address, &address, e) < 0 || read_address(ip->mask, &mask, e) < 0 ||
	    read_address(ip->gateway, &gateway, e) < 0)
		return -1;
	host = ~mask;
	if (mask == 0 || (host & (host + 1)) != 0) {
		(void)sill_err_set(e, SILL_ERR_STATE, "'%s' is no mask", ip->mask);
		return sill_err_hint(e, "address, mask and gateway, like 192.168.1.2 255.255.255.0 "
					"192.168.1.1");
	}
	if (address == 0 || address >> 24 == 127 || address >> 28 >= 0xe ||
	    (host > 1 && ((address & host) == 0 || (address & host) == host)))
		return sill_err_set(e, SILL_ERR_STATE, "'%s' is not the address of a machine there",
				    ip->address);
	if (gateway != 0 && ((gateway ^ address) & mask) != 0)
		return sill_err_set(e, SILL_ERR_STATE,
				    "the gateway '%s' is not in the network of '%s'", ip->gateway,
				    ip->address);
	return gateway == address ? sill_err_set(e, SILL_ERR_STATE,
						 "'%s' cannot be its own gateway", ip->address)
				  : 0;
}

int sac_ip_interface(const char *text)
{
	const char *at = strstr(text, "Net: ");
	int number;

	if (at == NULL)
		return -1;
	number = (int)strtoul(at + 5, NULL, 10);
	for (at = strstr(at + 5, "Net: "); at != NULL; at = strstr(at + 5, "Net: "))
		if ((int)strtoul(at + 5, NULL, 10) != number)
			return -1;
	return number > 0 ? number : -1;
}

bool sac_ip_has(const char *text, const char *address)
{
	const size_t n = strlen(address);

	for (const char *at = strstr(text, "Ip="); at != NULL; at = strstr(at + 3, "Ip="))
		if (strncmp(at + 3, address, n) == 0 && strspn(at + 3 + n, "0123456789.") == 0)
			return true;
	return false;
}

static void write_address(uint32_t address, char ret[INET_ADDRSTRLEN])
{
	const struct in_addr in = { htonl(address) };

	(void)inet_ntop(AF_INET, &in, ret, INET_ADDRSTRLEN);
}

int sac_ip_auto(const struct sill_config *c, struct sac_ip *ret, struct sill_err *e)
{
	unsigned found = 0;

	for (unsigned i = 0; i < c->net_count; i++) {
		const struct sill_net_config *n = &c->net[i];
		uint32_t host;
		uint8_t prefix;

		if (!sill_dhcp_gives(n->dhcp) || n->address == NULL ||
		    sill_address_read(n->address, &host, &prefix) < 0)
			continue;
		found++;
		write_address(sill_guest_address(host, prefix), ret->address);
		write_address(prefix == 0 ? 0 : UINT32_MAX << (32 - prefix), ret->mask);
		write_address(host, ret->gateway);
	}
	if (found == 1)
		return 0;
	(void)sill_err_set(e, SILL_ERR_STATE, "%s of the VM's cards %s an address to its guest",
			   found == 0 ? "none" : "more than one", found == 0 ? "gives" : "give");
	return sill_err_hint(e, "ip set ADDRESS MASK GATEWAY");
}
