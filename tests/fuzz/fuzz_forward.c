/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_forward.c - a port forward of any text. What is read has ports, an address, and clashes with
 * itself; what is not is said with what to write instead. And a resolv.conf of any text: its first
 * servers, in both views of it.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "runner/host/resolver.h"
#include "runner/net/forwardspec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct sill_err e = { 0 };
	struct forward_spec s = { 0 };
	struct resolvers r;
	struct upstreams u;
	uint32_t guest;

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (forward_read(text, &s, &e) == 0) {
		assert(s.v4 || s.v6);
		assert(s.host_port != 0 && s.guest_port != 0);
		assert(forward_clash(&s, &s));
	} else {
		assert(e.code != SILL_ERR_NONE && e.hint[0] != '\0');
	}
	(void)forward_guest(text, &guest);
	resolvers_parse(&r, text);
	upstreams_parse(&u, text);
	assert(r.count <= RESOLVERS_MAX && u.count <= RESOLVERS_MAX);
	assert(r.count == 0 || u.count > 0);
	free(text);
	return 0;
}
