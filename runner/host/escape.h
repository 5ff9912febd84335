/* SPDX-License-Identifier: Apache-2.0 */
/*
 * escape.h - the key that calls us and not the guest: Ctrl-A, and one more.
 *
 * Ctrl-A twice is one Ctrl-A for the guest; a key after it that is none of ours
 * goes to the guest with the Ctrl-A before it.
 */
#ifndef RUNNER_HOST_ESCAPE_H
#define RUNNER_HOST_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Caller-allocated, zeroed; one per terminal. */
struct escape {
	bool (*fn)(void *ctx, int key); /* the key after Ctrl-A: is it one of ours? */
	void *ctx;
	bool seen; /* the last key was Ctrl-A */
};

/* A sill_keys_fn (sill/vm.h); @ctx is a struct escape. */
size_t escape_keys(void *ctx, const uint8_t *keys, size_t n, uint8_t *ret);

#endif
