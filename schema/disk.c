/* SPDX-License-Identifier: Apache-2.0 */
/* disk.c - disk: virtio block devices. */
#include "schema/key.h"
#include "sill/config.h"

/* clang-format off */
static const cyaml_strval_t formats[] = {
#define FORMAT(NAME, name) { #name, SILL_DISK_##NAME },
#include "sill/formats.def"
#undef FORMAT
};

static const cyaml_strval_t backing_formats[] = {
	{ "raw", SILL_BACKING_RAW },
	{ "qcow2", SILL_BACKING_QCOW2 },
};

static const cyaml_strval_t caches[] = {
	{ "writeback", SILL_CACHE_WRITEBACK },
	{ "writethrough", SILL_CACHE_WRITETHROUGH },
	{ "unsafe", SILL_CACHE_UNSAFE },
};

static const cyaml_strval_t ios[] = {
	{ "uring", SILL_IO_URING },
	{ "threads", SILL_IO_THREADS },
};

static const cyaml_strval_t discards[] = {
	{ "unmap", SILL_DISCARD_UNMAP },
	{ "ignore", SILL_DISCARD_IGNORE },
};

static const cyaml_strval_t on_errors[] = {
	{ "enospc-stop", SILL_ON_ERROR_ENOSPC_STOP },
	{ "report", SILL_ON_ERROR_REPORT },
	{ "stop", SILL_ON_ERROR_STOP },
};

static const struct key rate_limit_keys[] = {
	{ KEY_SIZE(struct sill_rate_limit, bandwidth), .min = 4096, .max = 1ull << 40,
	  .effect = EFFECT_LIVE, .def_note = "no limit",
	  .doc = "How much may be read and written in a second. Zeroes that the host has to write "
		 "count like data; space that is given back, and zeroes that the host's file "
		 "system or device only notes, do not.",
	  .example = "200M" },
	{ KEY_UINT(struct sill_rate_limit, ops), .min = 1, .max = 100000000,
	  .effect = EFFECT_LIVE, .unit = "requests a second", .def_note = "no limit",
	  .doc = "How many reads, writes and discards there may be in a second.",
	  .example = "5000" },
	{ KEY_SIZE(struct sill_rate_limit, bandwidth_burst), .min = 1, .max = 1ull << 44,
	  .effect = EFFECT_LIVE, .def_note = "a tenth of a second's",
	  .doc = "How much may come at once after a pause.",
	  .example = "1G" },
	{ KEY_UINT(struct sill_rate_limit, ops_burst), .min = 1, .max = 1000000000,
	  .effect = EFFECT_LIVE, .unit = "requests", .def_note = "a tenth of a second's",
	  .doc = "How many requests may come at once after a pause.",
	  .example = "20000" },
	{ KEY_STRING(struct sill_rate_limit, group, KIND_NAME), .min = 1, .max = 32,
	  .effect = EFFECT_HOTPLUG, .def_note = "the disk's own",
	  .doc = "Disks of one group share one limit, which one of them states; the others only "
		 "name the group.",
	  .example = "slow" },
};

static const struct key backing_keys[] = {
	{ KEY_STRING(struct sill_backing, path, KIND_PATH), .min = 1, .max = 1024,
	  .required = true, .effect = EFFECT_HOTPLUG, .words = " auto ",
	  .doc = "The image below. It must be the one that the image above names.",
	  .example = "base.qcow2" },
	{ KEY_ENUM(struct sill_backing, format, backing_formats), .effect = EFFECT_HOTPLUG,
	  .def_note = "what the image above says",
	  .doc = "What the bytes of the file mean. Needed when the image above does not say it, "
		 "which old ones do not.",
	  .example = "qcow2" },
	{ KEY_STRING(struct sill_backing, data_file, KIND_PATH), .min = 1, .max = 1024,
	  .effect = EFFECT_HOTPLUG, .words = " auto ",
	  .doc = "The file that holds the data of this qcow2 image, when it says that another "
		 "does.",
	  .example = "base.data" },
};

static const struct key disk_keys[] = {
	{ KEY_STRING(struct sill_disk_config, path, KIND_FILE_WRITE), .min = 1, .max = 1024,
	  .required = true, .effect = EFFECT_HOTPLUG,
	  .doc = "The image file, or a block device that the host does not use. It is locked "
		 "while the VM runs. A raw file of any size will do: the guest sees its last "
		 "sector filled up with zeroes.",
	  .example = "disk.img" },
	{ KEY_ENUM(struct sill_disk_config, format, formats), .required = true,
	  .effect = EFFECT_HOTPLUG, .later = " vmdk vdi qed qcow ",
	  .doc = "What the bytes of the file mean. It is never guessed: a guest could write a "
		 "header of another format into a raw disk. A header that contradicts it is a "
		 "mistake, see format_check.",
	  .example = "qcow2" },
	{ KEY_LIST_OF_MAPS(struct sill_disk_config, backing, disk_backing_section), .min = 1,
	  .max = SILL_MAX_LAYERS - 1, .short_key = "path", .effect = EFFECT_HOTPLUG,
	  .doc = "The images that a qcow2 image was made on top of, the nearest first; `auto` "
		 "stands for whatever the images say. They are only read, and locked against "
		 "writers; several disks and VMs may share them. An image that was made on top of "
		 "another is a mistake without this key: who fills an image with names would "
		 "choose which files the VM opens.",
	  .example = "base.qcow2" },
	{ KEY_STRING(struct sill_disk_config, data_file, KIND_PATH), .min = 1, .max = 1024,
	  .effect = EFFECT_HOTPLUG, .words = " auto ",
	  .doc = "The file that holds the data of a qcow2 image, when the image says that another "
		 "does; `auto` stands for the one it names.",
	  .example = "disk.data" },
	{ KEY_BOOL(struct sill_disk_config, readonly), .def = "off", .effect = EFFECT_HOTPLUG,
	  .doc = "The guest cannot write. Several VMs may share a disk that is readonly in all of "
		 "them.",
	  .example = "on" },
	{ KEY_STRING(struct sill_disk_config, ephemeral, KIND_PATH), .min = 1, .max = 1024, .def = "off",
	  .words = " off on false true ram ", .effect = EFFECT_RECREATE,
	  .doc = "What the guest writes goes to a layer that is gone when the VM ends, however it "
		 "ends; the image is only read, and may be shared. The layer is in RAM ('on' or "
		 "'ram'), or in a file of no name in the directory given, or in a file that is "
		 "made under the name given and loses it at once; a path has a '/' in it. Guest "
		 "restarts keep the layer. The image is raw or qcow2.",
	  .example = "on" },
	{ KEY_SIZE(struct sill_disk_config, ephemeral_limit), .min = 1 << 20, .max = 1ull << 44,
	  .effect = EFFECT_RECREATE,
	  .def_note = "a quarter of the host's memory in RAM, none in a file",
	  .doc = "How large the layer may become. A guest that writes more finds its disk "
		 "full, see on_error.",
	  .example = "8G" },
	{ KEY_ENUM(struct sill_disk_config, cache, caches), .effect = EFFECT_NEXT_BOOT,
	  .def_note = "writeback; unsafe with ephemeral",
	  .doc = "'writeback': a write is done when the host has it, a flush brings all to the "
		 "medium. 'writethrough': a write is done when it is on the medium, unless the "
		 "guest switches that. 'unsafe': flushes do nothing; the disk is lost when the "
		 "host loses power or the VM is killed. QEMU's cache=none is writeback with "
		 "direct: on.",
	  .example = "writeback" },
	{ KEY_ENUM(struct sill_disk_config, io, ios), .effect = EFFECT_RECREATE,
	  .def_note = "uring where the host has it, else threads",
	  .doc = "How the host's files are read and written: by io_uring, or by a pool of "
		 "threads.",
	  .example = "threads" },
	{ KEY_ENUM(struct sill_disk_config, discard, discards), .def = "unmap",
	  .effect = EFFECT_NEXT_BOOT,
	  .doc = "'unmap': what the guest discards (fstrim, Windows' optimization) is given back "
		 "to the host. 'ignore': the guest is offered no discards, and an image once "
		 "filled stays so.",
	  .example = "ignore" },
	{ KEY_UINT(struct sill_disk_config, queues), .min = 1, .max = SILL_MAX_QUEUES, .def = "1",
	  .effect = EFFECT_NEXT_BOOT, .unit = "queues",
	  .doc = "How many queues the guest may use at a time. Each has an I/O thread of its own.",
	  .example = "4" },
	{ KEY_UINT(struct sill_disk_config, queue_size), .min = 4, .max = 1024, .def = "256",
	  .effect = EFFECT_NEXT_BOOT, .unit = "requests",
	  .numbers = "4 8 16 32 64 128 256 512 1024",
	  .doc = "How many requests fit in a queue: a power of two.",
	  .example = "128" },
	{ KEY_LIST(struct sill_disk_config, affinity, affinity_entry), .min = 1, .max = 1024,
	  .effect = EFFECT_LIVE, .def_note = "any",
	  .ranges = true,
	  .doc = "The host CPUs that the disk's I/O threads run on; 0-3 stands for 0, 1, 2, 3.",
	  .example = "[2, 3]" },
	{ KEY_UINT(struct sill_disk_config, logical_sector_size), .min = 512, .max = 4096,
	  .effect = EFFECT_NEXT_BOOT, .unit = "bytes", .def_note = "the image's: 512 but for some vhdx",
	  .numbers = "512 4096",
	  .doc = "The smallest piece the guest can read or write: 512 or 4096. A disk that was "
		 "partitioned with the one is not understood with the other.",
	  .example = "4096" },
	{ KEY_UINT(struct sill_disk_config, physical_sector_size), .min = 512, .max = 65536,
	  .effect = EFFECT_NEXT_BOOT, .unit = "bytes", .def_note = "what the host's storage has",
	  .numbers = "512 1024 2048 4096 8192 16384 32768 65536",
	  .doc = "What the guest should align to: a power of two.",
	  .example = "4096" },
	{ KEY_MAP(struct sill_disk_config, rate_limit, disk_rate_limit_section), .effect = EFFECT_LIVE,
	  .doc = "How fast the guest may use the disk.",
	  .example = "{bandwidth: 200M, ops: 5000}" },
	{ KEY_ENUM(struct sill_disk_config, on_error, on_errors), .def = "enospc-stop",
	  .effect = EFFECT_NEXT_BOOT,
	  .doc = "What happens when the host fails a request. 'report': the guest gets an I/O "
		 "error. 'stop': the VM pauses, and the request is tried again when it is resumed "
		 "(Ctrl-A c, or SIGCONT). 'enospc-stop': the host's disk being full pauses the VM, "
		 "other errors are reported.",
	  .example = "report" },
	{ KEY_BOOL(struct sill_disk_config, format_check), .def = "on", .effect = EFFECT_HOTPLUG,
	  .doc = "Whether a raw file that looks like an image of another format is a mistake, "
		 "which it mostly is: the guest would write over that image. 'off' is for a "
		 "guest that has written one onto its raw disk itself; the disk is raw all the "
		 "same.",
	  .example = "off" },
	{ KEY_BOOL(struct sill_disk_config, direct), .def = "off", .effect = EFFECT_HOTPLUG,
	  .doc = "Go past the host's page cache (O_DIRECT).",
	  .example = "on" },
	{ KEY_STRING(struct sill_disk_config, serial, KIND_TEXT), .min = 1, .max = SILL_DISK_ID_LEN,
	  .effect = EFFECT_HOTPLUG, .unit = "bytes",
	  .def_note = "16 hexadecimal digits made from the VM's name and the disk's id",
	  .doc = "The serial number the guest sees; unique in the VM. Windows takes two disks with "
		 "one serial number offline.",
	  .example = "DATA-0001" },
	{ KEY_STRING(struct sill_disk_config, id, KIND_NAME), .min = 1, .max = 32,
	  .effect = EFFECT_HOTPLUG,
	  .def_note = "disk0, disk1 ... by its place in the list",
	  .doc = "What messages and commands call this disk; unique in the VM.",
	  .example = "data" },
	{ KEY_UINT(struct sill_disk_config, slot), .min = 1, .max = 30, .effect = EFFECT_HOTPLUG,
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

const struct section disk_rate_limit_section = {
	.name = "disk.rate_limit",
	.doc = "How fast the guest may use a disk. A flush counts neither as a request nor as "
	       "bytes "
	       "and is never held back: it costs the host what was written since the last one, "
	       "which "
	       "the limits have counted, and one wait for the medium.",
	.keys = rate_limit_keys,
	.schema = "{\"dependentRequired\": {\"bandwidth_burst\": [\"bandwidth\"],"
		  " \"ops_burst\": [\"ops\"]},"
		  " \"anyOf\": [{\"required\": [\"bandwidth\"]}, {\"required\": [\"ops\"]},"
		  " {\"required\": [\"group\"]}]}",
	.count = CYAML_ARRAY_LEN(rate_limit_keys),
};

const struct section disk_section = {
	.name = "disk",
	.doc = "A virtio block device.",
	.keys = disk_keys,
	.schema = "{\"dependentRequired\": {\"ephemeral_limit\": [\"ephemeral\"]},"
		  " \"if\": {\"required\": [\"format\"], \"properties\": {\"format\":"
		  " {\"not\": {\"const\": \"qcow2\"}}}},"
		  " \"then\": {\"not\": {\"anyOf\": [{\"required\": [\"backing\"]},"
		  " {\"required\": [\"data_file\"]}]}}}",
	.count = CYAML_ARRAY_LEN(disk_keys),
};
