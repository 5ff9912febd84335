/* SPDX-License-Identifier: Apache-2.0 */
/* firmware.c - firmware: what the VM starts from. */
#include "schema/key.h"
#include "sill/config.h"

static const struct key firmware_keys[] = {
	{ KEY_STRING(struct sill_firmware_config, code, KIND_FILE_READ), .min = 1, .max = 1024,
	  .effect = EFFECT_NEXT_BOOT,
	  .doc = "The firmware's code: a flash image such as the distribution's OVMF, or an ELF "
		 "with "
		 "a PVH note such as CLOUDHV.fd. It is never written.",
	  .example = "/usr/share/OVMF/OVMF_CODE_4M.fd" },
	{ KEY_STRING(struct sill_firmware_config, vars, KIND_FILE_WRITE), .min = 1, .max = 1024,
	  .effect = EFFECT_NEXT_BOOT,
	  .doc = "The VM's own UEFI variables. When the file does not exist, the first run creates "
		 "it "
		 "from the template beside the code (OVMF_CODE_4M.fd has OVMF_VARS_4M.fd). Without "
		 "this key the variables are forgotten when the VM ends.",
	  .example = "win2022.vars.fd" },
};

const struct section firmware_section = {
	.name = "firmware",
	.doc = "The firmware the VM starts from.",
	.keys = firmware_keys,
	.schema = "{\"dependentRequired\": {\"vars\": [\"code\"]}}",
	.count = CYAML_ARRAY_LEN(firmware_keys),
};
