/* SPDX-License-Identifier: Apache-2.0 */
/* api.c - api: where else the control API listens. */
#include "schema/key.h"
#include "sill/config.h"

static const struct key api_keys[] = {
	{ KEY_STRING(struct sill_api_config, socket, KIND_PATH), .min = 1, .max = 1024,
	  .required = true,
	  .doc = "A UNIX socket, made with mode 0600 and removed when the VM ends. One that is "
		 "left "
		 "over, where nobody answers, is replaced. `--api-socket` comes in its place, and "
		 "takes fd=N as well.",
	  .example = "/run/web.sock" },
};

const struct section api_section = {
	.name = "api",
	.doc = "Where the control API listens (docs/API.md), besides api.sock in the runtime "
	       "directory.",
	.keys = api_keys,
	.count = CYAML_ARRAY_LEN(api_keys),
};
