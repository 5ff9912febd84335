/* SPDX-License-Identifier: Apache-2.0 */
/* disk.c - disk: virtio block devices. */
#include "schema/key.h"
#include "schema/manifest.h"
#include "sill/config.h"

static const cyaml_strval_t formats[] = {
	{"raw", MF_FORMAT_RAW},
};

static const struct key disk_keys[] = {
	{KEY_STRING(struct mf_disk, path,         KIND_FILE_WRITE),         .min = 1,             .max = 1024,
         .required = true,															   .effect = EFFECT_HOTPLUG,
         .doc = "The image file or block device. It is locked while the VM runs.",
         .example = "disk.img" },
	{ KEY_ENUM(struct mf_disk,                        format,             formats),        .required = true,        .effect = EFFECT_HOTPLUG,
         .later = " qcow2 vhd vhdx vmdk vdi ",
         .doc = "What the bytes of the file mean. It is never guessed: a guest could write a "
		 "header "
		 "of another format into a raw disk.",																 .example = "raw"																		},
	{ KEY_BOOL(struct mf_disk,                        readonly),             .def = "off",     .effect = EFFECT_HOTPLUG,
         .doc = "The guest cannot write. Several VMs may share a disk that is readonly in all of "
		 "them.", .example = "on"															   },
	{ KEY_BOOL(struct mf_disk,                  direct), .def = "off", .effect = EFFECT_HOTPLUG,
         .doc = "Go past the host's page cache (O_DIRECT).",                                                   .example = "on"                  },
	{ KEY_STRING(struct mf_disk,                 serial,      KIND_TEXT),                                          .min = 1,                                               .max = SILL_DISK_ID_LEN,
         .effect = EFFECT_HOTPLUG,												       .unit = "bytes",
         .def_note = "16 hexadecimal digits made from the VM's name and the disk's id",
         .doc = "The serial number the guest sees; unique in the VM. Windows takes two disks with "
		 "one serial number offline.", .example = "DATA-0001" },
	{ KEY_STRING(struct mf_disk,                       id,   KIND_NAME),                 .min = 1,            .max = 32,     .effect = EFFECT_HOTPLUG,
         .def_note = "disk0, disk1 ... by its place in the list",
         .doc = "What messages and commands call this disk; unique in the VM.",
         .example = "data" },
	{ KEY_UINT(struct mf_disk,  slot),        .min = 1,                 .max = 30,            .effect = EFFECT_HOTPLUG,
         .def_note = "the first free one",
         .doc = "The PCI slot on bus 0 the disk sits in; unique in the VM.",													 .example = "4"															     },
};

const struct section disk_section = {
	.name = "disk",
	.doc = "A virtio block device.",
	.keys = disk_keys,
	.count = CYAML_ARRAY_LEN(disk_keys),
};
