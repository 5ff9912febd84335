/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manifest.h - one document of a manifest as typed structs, filled by libcyaml.
 *
 * A member has the name of its key; the rows of the section files say what it
 * means. Text that was not given is NULL, and so is an empty list.
 */
#ifndef SCHEMA_MANIFEST_H
#define SCHEMA_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

enum mf_guest { MF_GUEST_OTHER, MF_GUEST_LINUX, MF_GUEST_WINDOWS };
/* In the order of enum sill_disk_format. */
enum mf_format { MF_FORMAT_RAW, MF_FORMAT_QCOW2, MF_FORMAT_VHD, MF_FORMAT_VHDX };
enum mf_backing_format { MF_BACKING_AS_SAID, MF_BACKING_RAW, MF_BACKING_QCOW2 };
enum mf_rtc { MF_RTC_UTC, MF_RTC_LOCALTIME };
enum mf_unknown_msrs { MF_MSRS_FAULT, MF_MSRS_IGNORE };
/* In the order of enum sill_char_mode. */
enum mf_char_mode {
	MF_CHAR_OFF,
	MF_CHAR_NULL,
	MF_CHAR_TTY,
	MF_CHAR_PTY,
	MF_CHAR_FILE,
	MF_CHAR_SOCKET
};

struct mf_firmware {
	char *code;
	char *vars;
};

struct mf_topology {
	uint16_t threads_per_core;
	uint16_t cores_per_die;
	uint16_t dies_per_package;
	uint16_t packages;
};

struct mf_affinity {
	uint16_t vcpu;
	uint16_t *host_cpus;
	unsigned host_cpus_count;
};

/* A member for each enlightenment; all zero without kvm_hyperv. */
struct mf_hyperv {
#define SILL_HV(name, on, needs, doc) bool name;
#include "sill/hyperv.def"
#undef SILL_HV
	uint32_t spin_retries; /* 0: spinlocks are off */
	bool enforce;
	bool kvm_leaves;
};

struct mf_features {
	char **add;
	unsigned add_count;
	char **remove;
	unsigned remove_count;
};

struct mf_cpus {
	uint16_t boot;
	uint16_t max;
	struct mf_topology topology;
	struct mf_affinity *affinity;
	unsigned affinity_count;
	bool kvm_hyperv;
	struct mf_hyperv hyperv;
	bool nested;
	enum mf_unknown_msrs unknown_msrs;
	struct mf_features features;
	uint8_t max_phys_bits;
};

struct mf_memory {
	uint64_t size;
	bool shared;
	bool hugepages;
	uint64_t hugepage_size;
	bool prefault;
	bool thp;
};

enum mf_cache { MF_CACHE_WRITEBACK, MF_CACHE_WRITETHROUGH, MF_CACHE_UNSAFE };
enum mf_io { MF_IO_AUTO, MF_IO_URING, MF_IO_THREADS };
enum mf_discard { MF_DISCARD_UNMAP, MF_DISCARD_IGNORE };
enum mf_on_error { MF_ERROR_ENOSPC_STOP, MF_ERROR_REPORT, MF_ERROR_STOP };

struct mf_rate_limit {
	uint64_t bandwidth;
	uint64_t ops;
	uint64_t bandwidth_burst;
	uint64_t ops_burst;
	char *group;
};

struct mf_backing {
	char *path;
	enum mf_backing_format format;
	char *data_file;
};

struct mf_disk {
	char *path;
	enum mf_format format;
	struct mf_backing *backing;
	unsigned backing_count;
	char *data_file;
	bool readonly;
	char *ephemeral; /* off, ram, on (ram), or a path */
	uint64_t ephemeral_limit;
	bool direct;
	bool format_check;
	enum mf_cache cache;
	enum mf_io io;
	enum mf_discard discard;
	uint16_t queues;
	uint16_t queue_size;
	uint16_t *affinity;
	unsigned affinity_count;
	uint32_t logical_sector_size; /* 0: the image's */
	uint32_t physical_sector_size;
	struct mf_rate_limit rate_limit;
	enum mf_on_error on_error;
	char *serial;
	char *id;
	uint8_t slot; /* 0: the first free one */
};

struct mf_char {
	enum mf_char_mode mode;
	char *path;
	uint64_t limit; /* 0: none */
};

struct mf_rng {
	char *src;
};

struct mf_platform {
	char *uuid;
	char *vmgenid; /* off, auto, or the id */
	char *serial_number;
	char **oem_strings;
	unsigned oem_strings_count;
	enum mf_rtc rtc;
};

struct manifest {
	unsigned sill;
	char *name;
	enum mf_guest guest;
	struct mf_firmware firmware;
	char *kernel;
	char *initramfs;
	char *cmdline;
	struct mf_cpus cpus;
	struct mf_memory memory;
	struct mf_disk *disk;
	unsigned disk_count;
	struct mf_char serial;
	struct mf_char console;
	struct mf_rng rng;
	struct mf_platform platform;
};

#endif
