/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - what a VM is: with its open files (files.h) the engine's only input.
 *
 * The caller has checked the manifest and applied defaults. All strings and
 * arrays are borrowed for the call of sill_vm_create() and copied where they
 * are needed later. Paths are for messages only.
 */
#ifndef SILL_CONFIG_H
#define SILL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SILL_MAX_CPUS        254u /* xAPIC ids 0..254, id 255 is broadcast (SDM 3A 10.6.1) */
#define SILL_MAX_DISKS       28u  /* slots 1..30 less console and rng */
#define SILL_DISK_ID_LEN     20u  /* VIRTIO_BLK_ID_BYTES, virtio 1.2 5.2.6 */
#define SILL_MAX_LAYERS      64u  /* images on top of each other, the disk's own counted */
#define SILL_MAX_QUEUES      64u  /* of a disk */
#define SILL_MAX_OEM_STRINGS 64u
#define SILL_CMDLINE_MAX     4096u /* bytes with the NUL; the x86 kernel's own limit is 2048..4096 */

/* x86 topology; the product is cpus.max. All zero: one socket of max cores, one thread each. */
struct sill_topology {
	uint16_t threads_per_core;
	uint16_t cores_per_die;
	uint16_t dies_per_package;
	uint16_t packages;
};

/* Pin vCPU @vcpu to the host CPUs listed. */
struct sill_affinity {
	uint16_t vcpu;
	const uint16_t *host_cpus;
	size_t host_cpu_count;
};

/* Accesses to model-specific registers that nobody knows. */
enum sill_unknown_msrs {
	SILL_MSRS_DEFAULT, /* ignore for Windows, fault for others */
	SILL_MSRS_IGNORE,  /* read 0, drop writes */
	SILL_MSRS_FAULT,   /* #GP */
};

/* Is this the name of a CPUID feature that cpus.features may switch? */
bool sill_cpu_feature_known(const char *name);
/* All of them, for messages and completion; NULL after the last. */
const char *sill_cpu_feature_name(size_t index);

struct sill_cpus_config {
	uint16_t boot; /* 1..max */
	uint16_t max;  /* 1..SILL_MAX_CPUS */
	struct sill_topology topology;
	const struct sill_affinity *affinity;
	size_t affinity_count;
	bool kvm_hyperv;     /* Hyper-V enlightenments */
	uint32_t hyperv_on;  /* SILL_HV_BIT()s beyond the default set (sill/hyperv.h) */
	uint32_t hyperv_off; /* SILL_HV_BIT()s to leave out of it */
	bool hyperv_enforce; /* registers and hypercalls that are not advertised fail */
	bool hyperv_kvm;     /* KVM's own leaves too, at 0x40000100 */
	/* KVM emulates the local APIC, no APICv or AVIC: Hyper-V's registers for it are the faster ones */
	bool apic_emulated;
	uint32_t spin_retries; /* spins before a hypercall; 0: 4095 */
	bool nested;           /* VMX or SVM for the guest */
	enum sill_unknown_msrs unknown_msrs;
	const char *const
		*features_off; /* names as in /proc/cpuinfo; see sill_cpu_feature_known() */
	size_t features_off_count;
	const char *const *features_on;
	size_t features_on_count;
	uint8_t max_phys_bits; /* upper bound for the guest's physical address bits; 0: no bound asked for */
};

struct sill_memory_config {
	uint64_t size;          /* bytes, a multiple of 4 KiB (of hugepage_size with hugepages) */
	bool shared;            /* MAP_SHARED memfd instead of private anonymous memory */
	bool hugepages;         /* hugetlbfs memory */
	uint64_t hugepage_size; /* bytes, power of two; 0: the host's default */
	bool prefault;          /* touch every page before the guest starts */
	bool thp;               /* madvise(MADV_HUGEPAGE) */
};

/* SILL_DISK_RAW, SILL_DISK_QCOW2 ... */
enum sill_disk_format {
#define FORMAT(NAME, name) SILL_DISK_##NAME,
#include "sill/formats.def"
#undef FORMAT
	SILL_DISK_FORMATS, /* how many */
};

/* When is a write done, and what does a flush mean? */
enum sill_disk_cache {
	SILL_CACHE_WRITEBACK,    /* at once; a flush brings all of it to the medium */
	SILL_CACHE_WRITETHROUGH, /* when it is on the medium, unless the guest chooses otherwise */
	SILL_CACHE_UNSAFE,       /* at once; flushes do nothing until the VM ends */
};

enum sill_disk_io { SILL_IO_AUTO, SILL_IO_URING, SILL_IO_THREADS };

/* What becomes of a request that the host fails. */
enum sill_on_error {
	SILL_ON_ERROR_ENOSPC_STOP, /* without space: as STOP; else as REPORT */
	SILL_ON_ERROR_REPORT,      /* the guest gets an I/O error */
	SILL_ON_ERROR_STOP,        /* the VM pauses with an event; resuming tries again */
};

/* In a second; 0: no limit. Disks that name one group share the limits of the first that has some. */
struct sill_rate_limit {
	uint64_t bandwidth; /* bytes of reads and writes */
	uint64_t ops;
	uint64_t
		bandwidth_burst; /* that may come at once after a pause; 0: a tenth of a second's */
	uint64_t ops_burst;
	const char *group; /* NULL: the disk's own */
};

/* One image below a disk's own; only read. */
struct sill_disk_layer {
	const char *path, *data_path; /* for messages only; data_path NULL: no external data file */
	enum sill_disk_format format; /* raw or qcow2 */
};

struct sill_disk_config {
	const char *path;      /* for messages only */
	const char *data_path; /* likewise, of a qcow2 image's external data file; NULL: none */
	const char *id; /* the manifest's name of the disk, unique; "disk0" ... when not given */
	enum sill_disk_format format;
	/* What the image was made on, [0] directly below it; each is made on the next. */
	const struct sill_disk_layer *backing;
	size_t backing_count; /* at most SILL_MAX_LAYERS - 1 */
	bool readonly;
	const char *serial; /* at most SILL_DISK_ID_LEN bytes; never NULL: derived when not given */
	int slot;           /* PCI slot 1..30; -1: the engine takes the first free one, in order */
	unsigned queues;    /* 1..SILL_MAX_QUEUES, an I/O thread each; 0: 1 */
	unsigned queue_size;       /* requests in a queue: power of two, 4..1024; 0: 256 */
	const uint16_t *host_cpus; /* the I/O threads run on these; none: on any */
	size_t host_cpu_count;
	enum sill_disk_cache cache;
	enum sill_disk_io io;
	bool keep_space;         /* discards are not passed on to the host */
	uint32_t logical_size;   /* of a sector: 512 or 4096; 0: what the image has */
	uint32_t physical_size;  /* power of two, logical..64 KiB; 0: what the host has */
	uint64_t max_file_bytes; /* the image file does not grow beyond it; 0: no limit (qcow2) */
	enum sill_on_error on_error;
	struct sill_rate_limit rate;
};

/*
 * Where the far end of a serial port or console is, and its files (files.h).
 *   OFF     the device does not exist
 *   NULL    the device exists, output is dropped
 *   TTY     the process's own terminal: IN and OUT, raw mode is the caller's business. Either may
 *           be something else (a pipe, a file, a socket), and IN may be missing: the end of its input
 *           ends nothing, and a reader that goes away costs the output, once said. While another job
 *           has the terminal, nothing is read from it; the caller ignores SIGTTIN and SIGTTOU
 *   PTY     IN is the pty's master, and OUT too
 *   FILE    OUT only
 *   SOCKET  LISTEN, a listening AF_UNIX stream socket, one client at a time
 */
enum sill_char_mode {
	SILL_CHAR_OFF,
	SILL_CHAR_NULL,
	SILL_CHAR_TTY,
	SILL_CHAR_PTY,
	SILL_CHAR_FILE,
	SILL_CHAR_SOCKET,
};

struct sill_char_config {
	enum sill_char_mode mode;
	uint64_t
		max_bytes; /* FILE, if it is a regular one: it holds so many at most; 0: no limit */
};

struct sill_platform_config {
	uint8_t uuid[16];    /* RFC 4122 byte order; all zero: none */
	uint8_t vmgenid[16]; /* generation id, RFC 4122 byte order; all zero: no such device */
	const char *serial_number; /* SMBIOS type 1 and 3, or NULL */
	const char *const *oem_strings;
	size_t oem_string_count;
	bool rtc_local; /* the RTC keeps local time (guest: windows) instead of UTC */
};

/*
 * What boots. Exactly one of:
 *   code (+ vars)  a flash image that ends at 4 GiB (door A)
 *   code alone, an ELF with a Xen PHYS32_ENTRY note, e.g. CLOUDHV.fd (door B)
 *   kernel (+ initramfs, cmdline)  ELF with that note, or bzImage (door B)
 * The engine tells the kinds apart by content.
 */
struct sill_boot_config {
	const char *code_path, *vars_path, *kernel_path, *initramfs_path; /* for messages */
	const char *cmdline;                                              /* NULL: empty */
};

struct sill_config {
	const char *name; /* the VM's name */
	bool windows;     /* guest: windows */
	struct sill_boot_config boot;
	struct sill_cpus_config cpus;
	struct sill_memory_config memory;
	const struct sill_disk_config *disks;
	size_t disk_count;
	struct sill_char_config serial;  /* COM1 */
	struct sill_char_config console; /* virtio-console */
	bool rng;                        /* virtio-rng */
	struct sill_platform_config platform;
};

#ifdef __cplusplus
}
#endif
#endif
