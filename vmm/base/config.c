/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.c - the value that a VM is: copy it, free it, read its texts.
 *
 * The tables say which members own memory; the test holds them against the
 * rows of schema/.
 */
#include "sill/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum owned_kind { OWNED_END, OWNED_TEXT, OWNED_LIST };

/* A pointer of a struct. */
struct owned {
	enum owned_kind kind;
	size_t at;
	size_t count_at;           /* OWNED_LIST: where its length is, */
	size_t size;               /* how large an entry is, */
	const struct owned *below; /* and what that owns; NULL: nothing */
};

#define TEXT(type, member)                                       \
	{                                                        \
		.kind = OWNED_TEXT, .at = offsetof(type, member) \
	}
#define LIST(type, member, b)                                                          \
	{                                                                              \
		.kind = OWNED_LIST, .at = offsetof(type, member),                      \
		.count_at = offsetof(type, member##_count),                            \
		.size = sizeof(*((type *)0)->member) /* not evaluated */, .below = (b) \
	}

static const struct owned text[] = { { .kind = OWNED_TEXT }, { 0 } };
static const struct owned affinity[] = { LIST(struct sill_affinity, host_cpus, NULL), { 0 } };
static const struct owned backing[] = { TEXT(struct sill_backing, path),
					TEXT(struct sill_backing, data_file),
					{ 0 } };
static const struct owned zone[] = { TEXT(struct sill_memory_zone, id),
				     TEXT(struct sill_memory_zone, file),
				     LIST(struct sill_memory_zone, host_numa_node, NULL),
				     { 0 } };
static const struct owned disk[] = {
	TEXT(struct sill_disk_config, path),
	LIST(struct sill_disk_config, backing, backing),
	TEXT(struct sill_disk_config, data_file),
	TEXT(struct sill_disk_config, ephemeral),
	LIST(struct sill_disk_config, affinity, NULL),
	TEXT(struct sill_disk_config, rate_limit.group),
	TEXT(struct sill_disk_config, serial),
	TEXT(struct sill_disk_config, id),
	{ 0 },
};
static const struct owned net[] = {
	TEXT(struct sill_net_config, tap),
	TEXT(struct sill_net_config, bridge),
	TEXT(struct sill_net_config, macvtap),
	LIST(struct sill_net_config, fd, NULL),
	TEXT(struct sill_net_config, address),
	TEXT(struct sill_net_config, ipv6),
	LIST(struct sill_net_config, dns, text),
	TEXT(struct sill_net_config, mac),
	TEXT(struct sill_net_config, rx_limit.group),
	TEXT(struct sill_net_config, tx_limit.group),
	LIST(struct sill_net_config, affinity, NULL),
	LIST(struct sill_net_config, forward, text),
	TEXT(struct sill_net_config, id),
	{ 0 },
};
static const struct owned ready[] = {
	TEXT(struct sill_ready_config, serial),
	TEXT(struct sill_ready_config, host),
	TEXT(struct sill_ready_config, within),
	TEXT(struct sill_ready_config, hint),
	{ 0 },
};
#define PORT(p)                                                               \
	TEXT(struct sill_config, p.path), TEXT(struct sill_config, p.listen), \
		TEXT(struct sill_config, p.connect), TEXT(struct sill_config, p.log)
static const struct owned config[] = {
	TEXT(struct sill_config, name),
	TEXT(struct sill_config, firmware.code),
	TEXT(struct sill_config, firmware.vars),
	TEXT(struct sill_config, kernel),
	TEXT(struct sill_config, initramfs),
	TEXT(struct sill_config, cmdline),
	LIST(struct sill_config, cpus.affinity, affinity),
	LIST(struct sill_config, cpus.features.add, text),
	LIST(struct sill_config, cpus.features.remove, text),
	LIST(struct sill_config, memory.zones, zone),
	LIST(struct sill_config, disk, disk),
	LIST(struct sill_config, net, net),
	PORT(serial),
	PORT(serial2),
	PORT(debug_console),
	PORT(console),
	TEXT(struct sill_config, debug.listen),
	TEXT(struct sill_config, debug.connect),
	TEXT(struct sill_config, debug.gdb),
	TEXT(struct sill_config, debug.key),
	TEXT(struct sill_config, debug.card),
	TEXT(struct sill_config, rng.src),
	TEXT(struct sill_config, vsock.socket),
	TEXT(struct sill_config, api.socket),
	TEXT(struct sill_config, platform.uuid),
	TEXT(struct sill_config, platform.vmgenid),
	TEXT(struct sill_config, platform.serial_number),
	LIST(struct sill_config, platform.oem_strings, text),
	LIST(struct sill_config, ready, ready),
	{ 0 },
};

/* What the struct at @p has borrowed becomes its own; without memory (*@ok) it has nothing. */
static void own(void *p, const struct owned *o, bool *ok)
{
	for (; o != NULL && o->kind != OWNED_END; o++) {
		void **at = (void **)((char *)p + o->at);
		unsigned *count = (unsigned *)((char *)p + o->count_at);
		const void *from = *at;
		const size_t n = from == NULL            ? 0
				 : o->kind == OWNED_TEXT ? strlen(from) + 1
							 : *count * o->size;

		*at = n != 0 && *ok ? malloc(n) : NULL;
		*ok = *ok && (n == 0 || *at != NULL);
		if (*at != NULL)
			memcpy(*at, from, n);
		if (o->kind == OWNED_TEXT)
			continue;
		if (*at == NULL)
			*count = 0;
		for (unsigned i = 0; i < *count; i++)
			own((char *)*at + i * o->size, o->below, ok);
	}
}

static void drop(void *p, const struct owned *o)
{
	for (; o != NULL && o->kind != OWNED_END; o++) {
		void **at = (void **)((char *)p + o->at);
		const unsigned *count = (const unsigned *)((char *)p + o->count_at);

		for (unsigned i = 0; o->kind == OWNED_LIST && i < *count; i++)
			drop((char *)*at + i * o->size, o->below);
		free(*at);
	}
}

int sill_config_copy(struct sill_config *ret, const struct sill_config *c, struct sill_err *e)
{
	bool ok = true;

	*ret = *c;
	own(ret, config, &ok);
	if (ok)
		return 0;
	sill_config_free(ret);
	return sill_err_sys(e, ENOMEM, "a VM's configuration");
}

void sill_config_free(struct sill_config *c)
{
	drop(c, config);
	*c = (struct sill_config){ 0 };
}

bool sill_disk_ephemeral(const struct sill_disk_config *d)
{
	return d->ephemeral != NULL && strcmp(d->ephemeral, "off") != 0 &&
	       strcmp(d->ephemeral, "false") != 0;
}

/* In the order of enum sill_port. */
static const struct {
	const char *name;
	size_t at;
} ports[SILL_PORTS] = {
	[SILL_PORT_SERIAL] = { "serial", offsetof(struct sill_config, serial) },
	[SILL_PORT_SERIAL2] = { "serial2", offsetof(struct sill_config, serial2) },
	[SILL_PORT_DEBUG_CONSOLE] = { "debug_console",
				      offsetof(struct sill_config, debug_console) },
	[SILL_PORT_CONSOLE] = { "console", offsetof(struct sill_config, console) },
};

const char *sill_port_name(enum sill_port p)
{
	return ports[p].name;
}

const struct sill_char_config *sill_port_config(const struct sill_config *c, enum sill_port p)
{
	return (const void *)((const char *)c + ports[p].at);
}

enum sill_port sill_kd_port(const struct sill_debug_config *d)
{
	switch (d->kd) {
	case SILL_KD_SERIAL:
		return SILL_PORT_SERIAL;
	case SILL_KD_SERIAL2:
		return SILL_PORT_SERIAL2;
	case SILL_KD_NET:
	case SILL_KD_OFF:
		break;
	}
	return SILL_PORTS;
}

enum sill_port sill_port_on_tty(const struct sill_config *c)
{
	unsigned p = 0;

	while (p < SILL_PORTS && sill_port_config(c, p)->mode != SILL_CHAR_TTY)
		p++;
	return p;
}

bool sill_rate_limit_states(const struct sill_rate_limit *r)
{
	return r->bandwidth != 0 || r->ops != 0;
}

bool sill_rate_limit_shared(const struct sill_rate_limit *a, const struct sill_rate_limit *b)
{
	return a == b || (a->group != NULL && b->group != NULL && strcmp(a->group, b->group) == 0);
}

bool sill_rng_wanted(const struct sill_rng_config *r)
{
	return r->src != NULL && strcmp(r->src, "off") != 0;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int sill_uuid_read(const char *s, uint8_t ret[16])
{
	uint8_t out[16] = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < 36; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (s[i] != '-')
				return -1;
			continue;
		}
		if (digit(s[i]) < 0)
			return -1;
		out[n / 2] = (uint8_t)(out[n / 2] << 4 | digit(s[i]));
		n++;
	}
	if (s[36] != '\0')
		return -1;
	memcpy(ret, out, sizeof(out));
	return 0;
}

int sill_mac_read(const char *s, uint8_t ret[6])
{
	uint8_t out[6], any = 0;

	for (size_t i = 0; i < 6; i++) {
		if (digit(s[0]) < 0 || digit(s[1]) < 0 || s[2] != (i < 5 ? ':' : '\0'))
			return -1;
		out[i] = (uint8_t)(digit(s[0]) << 4 | digit(s[1]));
		any |= out[i];
		s += 3;
	}
	if (any == 0 || (out[0] & 1) != 0)
		return -1;
	memcpy(ret, out, sizeof(out));
	return 0;
}

/* Decimal digits up to @end: a number without zeroes in front, up to @max. -1: it is not that. */
static int number(const char **s, char end, int max)
{
	int v = 0;

	if (**s < '0' || **s > '9' || (**s == '0' && (*s)[1] != end))
		return -1;
	for (; **s >= '0' && **s <= '9' && v <= max; (*s)++)
		v = 10 * v + (**s - '0');
	return **s == end && v <= max ? v : -1;
}

void sill_host_mac(const uint8_t guest[6], uint8_t ret[6])
{
	memmove(ret, guest, 6);
	ret[0] = 0xfe;
	ret[5] ^= 0xff;
}

int sill_address_read(const char *s, uint32_t *ret_address, uint8_t *ret_prefix)
{
	uint32_t address = 0, host;
	int n;

	for (unsigned i = 0; i < 4; i++) {
		n = number(&s, i < 3 ? '.' : '/', 255);
		if (n < 0)
			return -1;
		address = address << 8 | (uint32_t)n;
		s++;
	}
	n = number(&s, '\0', 30);
	if (n < 8)
		return -1;
	host = address & (~0u >> n);
	if (host == 0 || host == ~0u >> n || address >> 28 >= 14 || address >> 24 == 0 ||
	    address >> 24 == 127)
		return -1;
	*ret_address = address;
	*ret_prefix = (uint8_t)n;
	return 0;
}

int sill_address6_read(const char *s, uint8_t ret[16])
{
	static const uint8_t none[8] = { 0 };
	const char *slash = strchr(s, '/');
	char own[INET6_ADDRSTRLEN];
	struct in6_addr a;

	if (slash == NULL || strcmp(slash, "/64") != 0 || (size_t)(slash - s) >= sizeof(own))
		return -1;
	memcpy(own, s, (size_t)(slash - s));
	own[slash - s] = '\0';
	/* Global unicast or unique local (RFC 4291 2.4, RFC 4193), and not all routers' (2.6.1). */
	if (inet_pton(AF_INET6, own, &a) != 1 ||
	    ((a.s6_addr[0] & 0xe0) != 0x20 && (a.s6_addr[0] & 0xfe) != 0xfc) ||
	    memcmp(a.s6_addr + 8, none, 8) == 0)
		return -1;
	memcpy(ret, &a, 16);
	return 0;
}

void sill_link_local(const uint8_t mac[6], uint8_t ret[16])
{
	const uint8_t address[16] = {
		0xfe, 0x80, [8] = mac[0] ^ 2u, mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]
	};

	memcpy(ret, address, sizeof(address));
}

uint32_t sill_guest_address(uint32_t host, uint8_t prefix)
{
	const uint32_t first = (host & ~(~0u >> prefix)) + 1;

	return host == first ? first + 1 : first;
}
