/* SPDX-License-Identifier: Apache-2.0 */
/* escape.c - see escape.h. */
#include "runner/host/escape.h"

enum { CTRL_A = 1 };

size_t escape_keys(void *ctx, const uint8_t *keys, size_t n, uint8_t *ret)
{
	struct escape *s = ctx;
	size_t left = 0;

	for (size_t i = 0; i < n; i++) {
		if (!s->seen && keys[i] == CTRL_A) {
			s->seen = true;
			continue;
		}
		if (s->seen && keys[i] != CTRL_A) {
			s->seen = false;
			if (s->fn(s->ctx, keys[i]))
				continue;
			ret[left++] = CTRL_A;
		}
		s->seen = false;
		ret[left++] = keys[i];
	}
	return left;
}
