/* SPDX-License-Identifier: Apache-2.0 */
/* platform.c - platform: what the machine says about itself (SMBIOS), and its clock. */
#include "schema/key.h"
#include "sill/config.h"

static const cyaml_strval_t rtc_bases[] = {
	{ "utc", SILL_RTC_UTC },
	{ "localtime", SILL_RTC_LOCALTIME },
};

static const struct key oem_string = {
	.field = { .key = "oem_strings[]",
		   .value = { CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 0,
						 CYAML_UNLIMITED) } },
	.kind = KIND_TEXT,
	.min = 1,
	.max = 1024,
	.unit = "bytes",
	.doc = "One string of SMBIOS type 11.",
	.example = "hello",
};

/* Instead of an id of platform.vmgenid. */
static const char *vmgenid_word(size_t index)
{
	static const char *const words[] = { "off", "auto", NULL };

	return words[index];
}

/* clang-format off */
static const struct key platform_keys[] = {
	{ KEY_STRING(struct sill_platform_config, uuid, KIND_UUID), .def_note = "none",
	  .doc = "The system's UUID (SMBIOS type 1). Software licences are often bound to it.",
	  .example = "6f1c0c3e-7b0a-4a53-9d5e-0f3d0b9a2c11" },
	{ KEY_STRING(struct sill_platform_config, vmgenid, KIND_UUID), .names = vmgenid_word,
	  .def = "off", .def_windows = "auto", .effect = EFFECT_NEXT_BOOT,
	  .doc = "The VM's generation id, by which the guest learns that it is a clone or was put "
		 "back to an older state: a domain controller must know. It has to differ from that "
		 "of every run the state may have been copied from, and to stay the same over "
		 "reboots and new starts of the VM. auto makes it from the VM's name, platform.uuid "
		 "and the first disk that can be written: a file's inode number and birth time, a "
		 "block device's path. So a copied VM, and one whose disk file was replaced by a "
		 "backup, has a new id. auto cannot see that an older state was written into the "
		 "same file or device: then write a new id, which uuidgen(1) makes. off: the guest "
		 "has no such device.",
	  .example = "auto" },
	{ KEY_STRING(struct sill_platform_config, serial_number, KIND_TEXT), .min = 1, .max = 64,
	  .def_note = "none", .unit = "bytes",
	  .doc = "The system's serial number (SMBIOS type 1 and 3).", .example = "SN-0001" },
	{ KEY_LIST(struct sill_platform_config, oem_strings, oem_string), .min = 0,
	  .max = SILL_MAX_OEM_STRINGS, .doc = "Strings for software in the guest (SMBIOS type 11).",
	  .example = "['io.example.role=web', 'io.example.rack=7']" },
	{ KEY_ENUM(struct sill_platform_config, rtc, rtc_bases), .def = "utc", .def_windows = "localtime",
	  .effect = EFFECT_NEXT_BOOT,
	  .doc = "What the real-time clock keeps. Windows expects local time.", .example = "utc" },
};
/* clang-format on */

const struct section platform_section = {
	.name = "platform",
	.doc = "What the machine says about itself, and its clock.",
	.keys = platform_keys,
	.count = CYAML_ARRAY_LEN(platform_keys),
};
