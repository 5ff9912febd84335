/* SPDX-License-Identifier: Apache-2.0 */
/* disk.c - disk: virtio block devices. */
#include "schema/key.h"
#include "schema/manifest.h"
#include "sill/config.h"

/* clang-format off */
static const cyaml_strval_t formats[] = {
	{ "raw", MF_FORMAT_RAW },
	{ "qcow2", MF_FORMAT_QCOW2 },
	{ "vhd", MF_FORMAT_VHD },
	{ "vhdx", MF_FORMAT_VHDX },
};

static const cyaml_strval_t backing_formats[] = {
	{ "raw", MF_BACKING_RAW },
	{ "qcow2", MF_BACKING_QCOW2 },
};

static const struct key backing_keys[] = {
	{ KEY_STRING(struct mf_backing, path, KIND_PATH), .min = 1, .max = 1024,
	  .required = true, .effect = EFFECT_HOTPLUG, .words = " auto ",
	  .doc = "The image below. It must be the one that the image above names.",
	  .example = "base.qcow2" },
	{ KEY_ENUM(struct mf_backing, format, backing_formats), .effect = EFFECT_HOTPLUG,
	  .def_note = "what the image above says",
	  .doc = "What the bytes of the file mean. Needed when the image above does not say it, "
		 "which old ones do not.",
	  .example = "qcow2" },
	{ KEY_STRING(struct mf_backing, data_file, KIND_PATH), .min = 1, .max = 1024,
	  .effect = EFFECT_HOTPLUG, .words = " auto ",
	  .doc = "The file that holds the data of this qcow2 image, when it says that another "
		 "does.",
	  .example = "base.data" },
};

static const struct key disk_keys[] = {
	{ KEY_STRING(struct mf_disk, path, KIND_FILE_WRITE), .min = 1, .max = 1024,
	  .required = true, .effect = EFFECT_HOTPLUG,
	  .doc = "The image file or block device. It is locked while the VM runs.",
	  .example = "disk.img" },
	{ KEY_ENUM(struct mf_disk, format, formats), .required = true,
	  .effect = EFFECT_HOTPLUG, .later = " vmdk vdi qed qcow ",
	  .doc = "What the bytes of the file mean. It is never guessed: a guest could write a "
		 "header of another format into a raw disk. A header that contradicts it is a "
		 "mistake.",
	  .example = "qcow2" },
	{ KEY_LIST_OF_MAPS(struct mf_disk, backing, disk_backing_section), .min = 1,
	  .max = SILL_MAX_LAYERS - 1, .short_key = "path", .effect = EFFECT_HOTPLUG,
	  .doc = "The images that a qcow2 image was made on top of, the nearest first; `auto` "
		 "stands for whatever the images say. They are only read, and locked against "
		 "writers; several disks and VMs may share them. An image that was made on top of "
		 "another is a mistake without this key: who fills an image with names would "
		 "choose which files the VM opens.",
	  .example = "base.qcow2" },
	{ KEY_STRING(struct mf_disk, data_file, KIND_PATH), .min = 1, .max = 1024,
	  .effect = EFFECT_HOTPLUG, .words = " auto ",
	  .doc = "The file that holds the data of a qcow2 image, when the image says that another "
		 "does; `auto` stands for the one it names.",
	  .example = "disk.data" },
	{ KEY_BOOL(struct mf_disk, readonly), .def = "off", .effect = EFFECT_HOTPLUG,
	  .doc = "The guest cannot write. Several VMs may share a disk that is readonly in all of "
		 "them.",
	  .example = "on" },
	{ KEY_BOOL(struct mf_disk, direct), .def = "off", .effect = EFFECT_HOTPLUG,
	  .doc = "Go past the host's page cache (O_DIRECT).",
	  .example = "on" },
	{ KEY_STRING(struct mf_disk, serial, KIND_TEXT), .min = 1, .max = SILL_DISK_ID_LEN,
	  .effect = EFFECT_HOTPLUG, .unit = "bytes",
	  .def_note = "16 hexadecimal digits made from the VM's name and the disk's id",
	  .doc = "The serial number the guest sees; unique in the VM. Windows takes two disks with "
		 "one serial number offline.",
	  .example = "DATA-0001" },
	{ KEY_STRING(struct mf_disk, id, KIND_NAME), .min = 1, .max = 32,
	  .effect = EFFECT_HOTPLUG,
	  .def_note = "disk0, disk1 ... by its place in the list",
	  .doc = "What messages and commands call this disk; unique in the VM.",
	  .example = "data" },
	{ KEY_UINT(struct mf_disk, slot), .min = 1, .max = 30, .effect = EFFECT_HOTPLUG,
	  .def_note = "the first free one",
	  .doc = "The PCI slot on bus 0 the disk sits in; unique in the VM.",
	  .example = "4" },
};
/* clang-format on */

const struct section disk_backing_section = {
	.name = "disk.backing",
	.doc = "An image below a disk's own.",
	.keys = backing_keys,
	.count = CYAML_ARRAY_LEN(backing_keys),
};

const struct section disk_section = {
	.name = "disk",
	.doc = "A virtio block device.",
	.keys = disk_keys,
	.count = CYAML_ARRAY_LEN(disk_keys),
};
