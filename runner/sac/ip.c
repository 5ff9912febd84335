/* SPDX-License-Identifier: Apache-2.0 */
/* ip.c - see ip.h. */
#include "runner/sac/ip.h"

#include <stdlib.h>
#include <string.h>

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
