/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vhost.c - see vhost.h.
 *
 * The ear is a packet socket that gets what the guest asks of a DHCP server or a router, and nothing else: a filter in
 * the kernel sees to that. Beside it stands a UDP socket on the server's port, which nobody reads: without it the
 * host itself would tell a guest that renews its lease that there is no server.
 */
#include "runner/host/vhost.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char DEV_VHOST[] = "/dev/vhost-net";

enum { DHCP_SERVER = 67 };

static bool is_limit(const struct sill_rate_limit *r)
{
	return sill_rate_limit_states(r) || r->group != NULL;
}

const char *vhost_obstacle(const struct sill_net_config *n, bool dhcp)
{
	if (n->user || n->none)
		return "it has no tap";
	if (is_limit(&n->rx_limit) || is_limit(&n->tx_limit))
		return "it has limits";
	if (n->affinity_count > 0)
		return "its threads have CPUs of their own";
	if (dhcp && n->tap == NULL)
		return "it answers DHCP on a tap that is not its own";
	return NULL;
}

static int open_one(struct sill_err *e)
{
	const int fd = open(DEV_VHOST, O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	(void)sill_err_sys(e, errno, "open '%s'", DEV_VHOST);
	if (errno == EACCES || errno == EPERM)
		return sill_err_hint(e,
				     "it belongs to a group: `sudo usermod -aG $(stat -c %%G %s) "
				     "$USER`, and log in anew",
				     DEV_VHOST);
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return sill_err_hint(e, "load the module: `sudo modprobe vhost_net`; a container "
					"needs the device passed in");
	return -1;
}

bool vhost_opens(struct sill_err *e)
{
	const int fd = open_one(e);

	if (fd >= 0)
		(void)close(fd);
	return fd >= 0;
}

enum { ACCEPT = 18, REFUSE = 19 };

/* From instruction @at to @to: jumps count from behind themselves. */
#define TO(at, to) ((to) - (at)-1)

/*
 * UDP over IPv4 to the server's port, not a fragment; and what a guest asks of routers and neighbours (ICMPv6 133, 135,
 * 136, which nobody can have sent from further away: its hop limit is 255).
 */
static int only_requests(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, TO(1, 9)),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, TO(3, REFUSE)),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 20),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x1fff, TO(5, REFUSE), 0),
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 14),
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, 16),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, DHCP_SERVER, TO(8, ACCEPT), TO(8, REFUSE)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, TO(9, REFUSE)),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 20),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 0, TO(11, REFUSE)),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 21),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 255, 0, TO(13, REFUSE)),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 54),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 133, TO(15, ACCEPT), 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 135, TO(16, ACCEPT), 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 136, TO(17, ACCEPT), TO(17, REFUSE)),
		[ACCEPT] = BPF_STMT(BPF_RET | BPF_K, 0xffff),
		[REFUSE] = BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog p = { .len = sizeof(code) / sizeof(code[0]), .filter = code };
	const int on = 1;

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p)) < 0 ||
			       setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) <
				       0
		       ? -1
		       : 0;
}

/* Nobody hears anything before the filter is there: the socket is bound last. */
static int open_ear(struct tap *t, struct sill_err *e)
{
	struct sockaddr_ll at = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL),
				  .sll_ifindex = (int)if_nametoindex(t->name) };

	t->ear = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (t->ear >= 0 && at.sll_ifindex != 0 && only_requests(t->ear) == 0 &&
	    bind(t->ear, (const struct sockaddr *)&at, sizeof(at)) == 0)
		return 0;
	(void)sill_err_sys(e, errno, "hear the guest's requests on '%s'", t->name);
	return errno == EPERM ? sill_err_hint(e, "that takes CAP_NET_RAW; or write 'dhcp: off' and "
						 "'ipv6: off', or 'vhost: off'")
			      : -1;
}

/* Who has that port already keeps the host silent as well. */
static void open_silence(struct tap *t)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(DHCP_SERVER) };
	uint32_t host;
	uint8_t prefix;

	if (sill_address_read(t->address, &host, &prefix) < 0)
		return;
	at.sin_addr.s_addr = htonl(host);
	t->silence = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (t->silence < 0)
		return;
	if (setsockopt(t->silence, SOL_SOCKET, SO_BINDTODEVICE, t->name,
		       (socklen_t)strlen(t->name) + 1) == 0 &&
	    bind(t->silence, (const struct sockaddr *)&at, sizeof(at)) == 0)
		return;
	(void)close(t->silence);
	t->silence = -1;
}

void vhost_close(struct tap *t)
{
	int *const more[] = { &t->ear, &t->silence };

	for (unsigned i = 0; i < SILL_MAX_NET_QUEUES + 2; i++) {
		int *fd = i < SILL_MAX_NET_QUEUES ? &t->vhost_fd[i] : more[i - SILL_MAX_NET_QUEUES];

		if (*fd >= 0)
			(void)close(*fd);
		*fd = -1;
	}
	t->vhost = false;
}

static int open_all(struct tap *t, bool dhcp, struct sill_err *e)
{
	for (unsigned i = 0; i < t->count; i++) {
		t->vhost_fd[i] = open_one(e);
		if (t->vhost_fd[i] < 0)
			return -1;
	}
	if ((dhcp || t->address6[0] != '\0') && open_ear(t, e) < 0)
		return -1;
	if (dhcp)
		open_silence(t);
	t->vhost = true;
	return 0;
}

int vhost_open(struct tap *t, const struct sill_net_config *n, bool dhcp, struct sill_err *e)
{
	const char *why = vhost_obstacle(n, dhcp);
	struct sill_err own = { 0 };

	if (why == NULL && dhcp && t->adopted)
		why = "it answers DHCP on a tap that is not its own";
	if (n->vhost == SILL_VHOST_OFF || (n->vhost == SILL_VHOST_AUTO && why != NULL))
		return 0;
	if (why != NULL)
		return sill_err_set(e, SILL_ERR_HOST,
				    "vhost is on, but the card cannot have it: %s", why);
	if (open_all(t, dhcp, &own) == 0)
		return 0;
	vhost_close(t);
	if (n->vhost == SILL_VHOST_AUTO)
		return 0;
	*e = own;
	return -1;
}
