/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_dhcp.c - the DHCP server with any frame. What it answers is well-formed, for the
 * guest it has, and never larger than there was room.
 *
 * Input: the first byte says whether the frame is put right (addresses, ports,
 * lengths, cookie), so that what follows reaches the options.
 */
#include <assert.h>
#include <string.h>

#include "backend/net/dhcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BOOTP = 42 };

static void put_right(uint8_t *f, size_t n)
{
	static const uint8_t mac[6] = { 2, 1, 2, 3, 4, 5 }, cookie[4] = { 99, 130, 83, 99 };

	if (n < DHCP_REQUEST_MIN)
		return;
	memcpy(f + 6, mac, 6);
	memcpy(f + 12, "\x08\x00\x45", 3);
	f[16] = (uint8_t)((n - 14) >> 8);
	f[17] = (uint8_t)(n - 14);
	f[20] = f[21] = 0;
	f[23] = 17;
	memset(f + 30, 0xff, 4);
	memcpy(f + 34, "\0\x44\0\x43", 4);
	f[38] = (uint8_t)((n - 34) >> 8);
	f[39] = (uint8_t)(n - 34);
	memcpy(f + BOOTP, "\1\1\6", 3);
	memset(f + BOOTP + 24, 0, 4);
	memcpy(f + BOOTP + 28, mac, 6);
	memcpy(f + BOOTP + 236, cookie, 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct dhcp_config c = { .mac = { 2, 1, 2, 3, 4, 5 },
					      .address = 0xc0a8f902,
					      .host = 0xc0a8f901,
					      .prefix = 24,
					      .router = 0xc0a8f901,
					      .dns = { 1, 2, 3 },
					      .dns_count = 3,
					      .mtu = 1500,
					      .host_name = "guest",
					      .domain = "example.org",
					      .route = { { 0x0a000000, 0xc0a8f901, 8 } },
					      .route_count = 1 };
	uint8_t frame[DHCP_REQUEST_MAX + 64], reply[1514 + 16];
	size_t n, max, length;

	if (size < 2 || size > sizeof(frame))
		return 0;
	n = size - 2;
	memcpy(frame, data + 2, n);
	if ((data[0] & 1) != 0)
		put_right(frame, n);
	max = (data[0] & 2) != 0 ? 342u + data[1] : 1514;
	memset(reply, 0xa5, sizeof(reply));
	length = dhcp_reply(&c, frame, n, reply, max);
	assert(length <= max && (length == 0 || length >= 342));
	for (size_t i = max; i < sizeof(reply); i++)
		assert(reply[i] == 0xa5);
	if (length == 0)
		return 0;
	assert(memcmp(frame + 6, c.mac, 6) == 0 && dhcp_is_request(frame, n));
	assert(memcmp(reply, c.mac, 6) == 0 || memcmp(reply, "\xff\xff\xff\xff\xff\xff", 6) == 0);
	assert(reply[BOOTP] == 2 && memcmp(reply + BOOTP + 4, frame + BOOTP + 4, 4) == 0);
	return 0;
}
