/* SPDX-License-Identifier: Apache-2.0 */
/* net.c - see net.h. */
#include "machine/net.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backend/net/net.h"
#include "backend/net/vhost.h"
#include "base/fd.h"

static int set_dns(const struct sill_net_config *n, struct dhcp_config *d, struct sill_err *e)
{
	struct in6_addr six;
	struct in_addr in;

	for (unsigned i = 0; i < n->dns_count; i++) {
		if (strcmp(n->dns[i], "off") == 0 || inet_pton(AF_INET6, n->dns[i], &six) == 1)
			continue;
		if (d->dns_count == DHCP_MAX_DNS || inet_pton(AF_INET, n->dns[i], &in) != 1)
			return sill_err_set(e, SILL_ERR_STATE, "'%s' is no name server", n->dns[i]);
		d->dns[d->dns_count++] = ntohl(in.s_addr);
	}
	return 0;
}

static void host_mac(const struct sill_net_config *n, const struct card *c, uint8_t ret[6])
{
	if (n->user)
		sill_host_mac(c->config.mac, ret);
	else
		memcpy(ret, c->config.net->mac, 6);
}

/* Without an address of the host's side there is no network to tell of. */
static void set_ndp(const struct sill_net_config *n, struct card *c)
{
	struct ndp_config *d = &c->ndp;

	if (n->ipv6 == NULL || sill_address6_read(n->ipv6, d->host) < 0)
		return;
	d->mtu = n->mtu;
	d->routes = n->nat && n->nat6 == SILL_DHCP_ON;
	memcpy(d->mac, c->config.mac, sizeof(d->mac));
	host_mac(n, c, d->host_mac);
	for (unsigned i = 0; i < n->dns_count && d->dns_count < NDP_MAX_DNS; i++)
		d->dns_count += inet_pton(AF_INET6, n->dns[i], d->dns[d->dns_count]) == 1;
	c->config.ndp = d;
}

static int set_dhcp(const char *vm, const struct sill_net_config *n, struct card *c,
		    struct sill_err *e)
{
	struct dhcp_config *d = &c->dhcp;

	if (n->address == NULL || sill_address_read(n->address, &d->host, &d->prefix) < 0)
		return sill_err_set(e, SILL_ERR_STATE, "DHCP needs the address of the host's side");
	d->address = sill_guest_address(d->host, d->prefix);
	d->router = n->isolate && !n->nat ? 0 : d->host; /* none: it leads nowhere */
	d->mtu = n->mtu;
	memcpy(d->mac, c->config.mac, sizeof(d->mac));
	host_mac(n, c, d->host_mac);
	(void)snprintf(d->host_name, sizeof(d->host_name), "%s", vm);
	c->config.dhcp = d;
	return set_dns(n, d, e);
}

static struct net *open_tap(const struct sill_net_config *n, struct sill_files *files,
			    struct sill_err *e)
{
	const unsigned count = n->queues != 0 ? n->queues : 1;
	int fd[SILL_MAX_NET_QUEUES];

	for (unsigned i = 0; i < count; i++) {
		fd[i] = sill_files_take(files, SILL_FILE_TAP, n->id, i);
		if (fd[i] >= 0)
			continue;
		while (i > 0)
			(void)close(fd[--i]);
		(void)sill_err_set(e, SILL_ERR_INTERNAL, "a queue without a tap");
		return NULL;
	}
	return net_tap_open(fd, count, e);
}

static struct net *open_watched(const struct sill_net_config *n, struct sill_files *files,
				struct sill_err *e)
{
	const int news = sill_files_take(files, SILL_FILE_TAP_NEWS, n->id, 0);
	struct net *net = open_tap(n, files, e);

	if (net != NULL)
		net_tap_watch(net, news);
	else if (news >= 0)
		(void)close(news);
	return net;
}

static struct net *open_net(const struct sill_net_config *n, struct sill_files *files,
			    struct sill_err *e)
{
	if (n->user)
		return net_socket_open(sill_files_take(files, SILL_FILE_NET, n->id, 0), e);
	return n->none ? net_none_open(n->queues != 0 ? n->queues : 1, e)
		       : open_watched(n, files, e);
}

static void drop_vhost(struct virtio_net_config *c)
{
	for (unsigned i = 0; i < VIRTIO_NET_PAIRS; i++)
		vhost_destroy(c->vhost[i]);
	fd_close(&c->ear_fd);
	fd_close(&c->kept_fd);
}

/* Where there is one for the first pair, there is one for each. */
static int open_vhost(const struct sill_net_config *n, struct sill_files *files,
		      struct virtio_net_config *c, struct sill_err *e)
{
	const unsigned count = n->queues != 0 ? n->queues : 1;
	int fd = sill_files_take(files, SILL_FILE_VHOST_NET, n->id, 0);

	if (fd < 0)
		return 0;
	c->ear_fd = sill_files_take(files, SILL_FILE_EAR, n->id, 0);
	c->kept_fd = sill_files_take(files, SILL_FILE_EAR, n->id, 1);
	for (unsigned i = 0;; i++) {
		c->vhost[i] = vhost_create(fd, e);
		if (c->vhost[i] == NULL)
			return -1;
		if (i + 1 == count)
			return 0;
		fd = sill_files_take(files, SILL_FILE_VHOST_NET, n->id, i + 1);
		if (fd < 0)
			return sill_err_set(e, SILL_ERR_INTERNAL, "a queue without vhost");
	}
}

int card_open(const char *vm, const struct sill_net_config *n, struct sill_files *files,
	      struct card *ret, struct sill_err *e)
{
	struct virtio_net_config *c = &ret->config;

	*ret = (struct card){ .config = { .mtu = n->mtu,
					  .slot = n->slot != 0 ? n->slot : -1,
					  .queue_size = n->queue_size,
					  .host_cpus = n->affinity,
					  .host_cpu_count = n->affinity_count,
					  .link_down = n->link == SILL_LINK_DOWN,
					  .ear_fd = -1,
					  .kept_fd = -1,
					  .no_csum = !n->offload_csum,
					  .no_tso = !n->offload_tso } };
	if (n->queues > SILL_MAX_NET_QUEUES || n->mac == NULL || sill_mac_read(n->mac, c->mac) < 0)
		return sill_err_set(e, SILL_ERR_STATE, "%s: no address of a network card", n->id);
	c->net = open_net(n, files, e);
	if (c->net != NULL && (n->dhcp != SILL_DHCP_ON || set_dhcp(vm, n, ret, e) == 0) &&
	    open_vhost(n, files, c, e) == 0) {
		set_ndp(n, ret);
		return 0;
	}
	drop_vhost(c);
	net_close(c->net);
	sill_err_wrap(e, "%s", n->id);
	return -1;
}
