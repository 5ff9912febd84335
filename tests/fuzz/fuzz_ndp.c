/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_ndp.c - the router with any frame. What it answers is well-formed, for the guest it has, and
 * never larger than there was room; what it learns is an address of the guest's own.
 *
 * Input: the first byte says whether the frame is put right (addresses, protocol, length, type), so that
 * what follows reaches the options; the second how much room there is.
 */
#include <assert.h>
#include <string.h>

#include "backend/net/ndp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ICMP = 54 };

static void put_right(uint8_t *f, size_t n)
{
	static const uint8_t mac[6] = { 2, 1, 2, 3, 4, 5 };

	if (n < NDP_MESSAGE_MIN)
		return;
	memcpy(f + 6, mac, 6);
	memcpy(f + 12, "\x86\xdd\x60", 3);
	f[18] = (uint8_t)((n - ICMP) >> 8);
	f[19] = (uint8_t)(n - ICMP);
	f[20] = 58;
	f[21] = 255;
	f[ICMP] = (uint8_t)(133 + f[ICMP] % 4);
	f[ICMP + 1] = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct ndp_config c = { .mac = { 2, 1, 2, 3, 4, 5 },
					     .host_mac = { 0xfe, 1, 2, 3, 4, 0xfa },
					     .host = { 0xfd, 1, 2, 3, 4, 5, 6, 7, [15] = 1 },
					     .routes = true,
					     .mtu = 1500,
					     .dns = { { 0xfd, 1 }, { 0x20, 1 }, { 0x20, 2 } },
					     .dns_count = 3 };
	uint8_t frame[NDP_MESSAGE_MAX + 64], reply[NDP_ADVERT_MAX + 64], a[16];
	size_t n, max, length;

	if (size < 2 || size > sizeof(frame))
		return 0;
	n = size - 2;
	memcpy(frame, data + 2, n);
	if ((data[0] & 1) != 0)
		put_right(frame, n);
	max = data[1] % (NDP_ADVERT_MAX + 16);
	memset(reply, 0xa5, sizeof(reply));
	length = ndp_reply(&c, frame, n, reply, max);
	assert(length <= max && (length == 0 || length == NDP_ADVERT_MAX));
	for (size_t i = max; i < sizeof(reply); i++)
		assert(reply[i] == 0xa5);
	if (ndp_learn(&c, frame, n, a)) {
		assert(length == 0 && ndp_is_for_router(frame, n));
		assert(memcmp(a, c.host, 8) == 0 && memcmp(a, c.host, 16) != 0);
	}
	if (length == 0)
		return 0;
	assert(memcmp(frame + 6, c.mac, 6) == 0 && ndp_is_for_router(frame, n));
	assert(memcmp(reply, c.mac, 6) == 0 || memcmp(reply, "\x33\x33\0\0\0\1", 6) == 0);
	assert(reply[ICMP] == 134 && reply[21] == 255);
	return 0;
}
