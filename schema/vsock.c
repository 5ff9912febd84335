/* SPDX-License-Identifier: Apache-2.0 */
/* vsock.c - vsock: the virtio socket device. */
#include "schema/key.h"
#include "sill/config.h"

/* clang-format off */
static const struct key vsock_keys[] = {
	{ KEY_UINT(struct sill_vsock_config, cid), .min = SILL_CID_MIN, .max = SILL_CID_MAX, .required = true,
	  .doc = "The guest's address. Guests of one host may have the same: each has a device of its own.",
	  .example = "3" },
	{ KEY_STRING(struct sill_vsock_config, socket, KIND_PATH), .min = 1, .max = 1024, .required = true,
	  .doc = "A UNIX socket. A program of the host connects to it and writes 'CONNECT PORT' and a "
		 "newline; 'OK' and a number on a line of their own say that the guest has accepted, and "
		 "the stream begins. When the guest connects to port 1234 of the host (CID 2), that goes "
		 "to the socket of this name with _1234 behind it, at which somebody has to listen.",
	  .example = "vsock.sock" },
};
/* clang-format on */

const struct section vsock_section = {
	.name = "vsock",
	.doc = "A virtio socket device: streams between the guest and programs of the host.",
	.keys = vsock_keys,
	.count = CYAML_ARRAY_LEN(vsock_keys),
};
