/* SPDX-License-Identifier: Apache-2.0 */
/*
 * world.c - the world beyond an uplink: world INTERFACE. It answers every question for an address (DNS over UDP, port 53)
 * with 203.0.113.9, and prints the source of each frame that comes by INTERFACE from a private network: 192.168/16, fd00::/8.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { HEADER = 12, TYPE_A = 1 };

/* A question in, the answer out: RFC 1035, 4.1. */
static void answer(int s)
{
	static const uint8_t record[] = { 0xc0, HEADER, 0, TYPE_A, 0,   1, 0,   0,
					  0,    60,     0, 4,      203, 0, 113, 9 };
	uint8_t m[512 + sizeof(record)];
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	const ssize_t n = recvfrom(s, m, 512, 0, (struct sockaddr *)&from, &size);
	ssize_t at = HEADER;

	while (at < n && m[at] != 0)
		at += m[at] + 1;
	at += 5; /* the name's end, type, class */
	if (n < HEADER || at > n)
		return;
	m[2] = 0x81;
	m[3] = 0x80;
	memset(m + 6, 0, 6);
	if (m[at - 3] == TYPE_A) {
		m[7] = 1;
		memcpy(m + at, record, sizeof(record));
		at += sizeof(record);
	}
	(void)sendto(s, m, (size_t)at, 0, (struct sockaddr *)&from, size);
}

static void look(int s)
{
	uint8_t m[64];
	struct sockaddr_ll from;
	socklen_t size = sizeof(from);
	const ssize_t n = recvfrom(s, m, sizeof(m), 0, (struct sockaddr *)&from, &size);

	if (n < 40 || from.sll_pkttype == PACKET_OUTGOING)
		return;
	if (from.sll_protocol == htons(ETH_P_IP) && m[12] == 192 && m[13] == 168)
		printf("private %u.%u.%u.%u\n", m[12], m[13], m[14], m[15]);
	if (from.sll_protocol == htons(ETH_P_IPV6) && m[8] == 0xfd)
		printf("private %02x%02x::\n", m[8], m[9]);
}

int main(int argc, char **argv)
{
	const struct sockaddr_in dns = { .sin_family = AF_INET, .sin_port = htons(53) };
	const struct sockaddr_ll all = { .sll_family = AF_PACKET,
					 .sll_protocol = htons(ETH_P_ALL),
					 .sll_ifindex =
						 (int)if_nametoindex(argc > 1 ? argv[1] : "") };
	struct pollfd p[] = { { .fd = socket(AF_INET, SOCK_DGRAM, 0), .events = POLLIN },
			      { .fd = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ALL)),
				.events = POLLIN } };

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (bind(p[0].fd, (const struct sockaddr *)&dns, sizeof(dns)) < 0 ||
	    bind(p[1].fd, (const struct sockaddr *)&all, sizeof(all)) < 0) {
		perror("world");
		return 1;
	}
	printf("ready\n");
	while (poll(p, 2, -1) > 0) {
		if (p[0].revents != 0)
			answer(p[0].fd);
		if (p[1].revents != 0)
			look(p[1].fd);
	}
	return 1;
}
