/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.h - what a VM is: a value.
 *
 * Plain, owned data: it can be copied, compared, saved, loaded and freed. A
 * member has the name of its key in the manifest; the rows of schema/ say what
 * each means, and load and save by the same names. Text that is not given is
 * NULL, and so is an empty list. With its open files (files.h) it is all that
 * the engine needs; there nothing is `auto` any more, and paths are for
 * messages only.
 */
#ifndef SILL_CONFIG_H
#define SILL_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sill/error.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SILL_MAX_CPUS        254u /* xAPIC ids 0..254, id 255 is broadcast (SDM 3A 10.6.1) */
#define SILL_MAX_DISKS       28u  /* slots 1..30 less console and rng */
#define SILL_DISK_ID_LEN     20u  /* VIRTIO_BLK_ID_BYTES, virtio 1.2 5.2.6 */
#define SILL_MAX_LAYERS      64u  /* images on top of each other, the disk's own counted */
#define SILL_MAX_QUEUES      64u  /* of a disk */
#define SILL_MAX_NETS        8u   /* network cards */
#define SILL_MAX_NET_QUEUES  16u  /* pairs of queues of a network card, a thread each */
#define SILL_MAX_DNS         3u   /* name servers that a guest is told of */
#define SILL_TAP_NAME_LEN    15u  /* IFNAMSIZ without the NUL; the kernel cuts longer ones */
#define SILL_MAX_OEM_STRINGS 64u
#define SILL_MAX_READY       16u   /* signs that a guest is up */
#define SILL_SPIN_RETRIES    4095u /* see hyperv.spin_retries */
#define SILL_CMDLINE_MAX     4096u /* bytes with the NUL; the x86 kernel's own limit is 2048..4096 */

enum sill_restart { SILL_RESTART_NO, SILL_RESTART_ON_FAILURE, SILL_RESTART_ALWAYS };
enum sill_guest { SILL_GUEST_OTHER, SILL_GUEST_LINUX, SILL_GUEST_WINDOWS };

/*
 * What boots. Exactly one of:
 *   firmware.code (+ vars)  a flash image that ends at 4 GiB (door A)
 *   firmware.code alone, an ELF with a Xen PHYS32_ENTRY note, e.g. CLOUDHV.fd (door B)
 *   kernel (+ initramfs, cmdline)  ELF with that note, or bzImage (door B)
 * The engine tells the kinds apart by content.
 */
struct sill_firmware_config {
	char *code;
	char *vars;
};

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
	uint16_t *host_cpus;
	unsigned host_cpus_count;
};

/* Accesses to model-specific registers that nobody knows. */
enum sill_unknown_msrs {
	SILL_MSRS_FAULT,  /* #GP */
	SILL_MSRS_IGNORE, /* read 0, drop writes */
};

/* Is this the name of a CPUID feature that cpus.features may switch? */
bool sill_cpu_feature_known(const char *name);
/* All of them, for messages and completion; NULL after the last. */
const char *sill_cpu_feature_name(size_t index);

/* A member for each enlightenment; all zero without kvm_hyperv. */
struct sill_hyperv_config {
#define SILL_HV(name, on, needs, doc) bool name;
#include "sill/hyperv.def"
#undef SILL_HV
	uint32_t spin_retries; /* spins before a hypercall; 0: SILL_SPIN_RETRIES, 4095 */
	bool enforce;          /* registers and hypercalls that are not advertised fail */
	bool kvm_leaves;       /* KVM's own leaves too, at 0x40000100 */
};

/* Names as in /proc/cpuinfo; see sill_cpu_feature_known(). */
struct sill_features_config {
	char **add;
	unsigned add_count;
	char **remove;
	unsigned remove_count;
};

struct sill_cpus_config {
	uint16_t boot; /* 1..max */
	uint16_t max;  /* 1..SILL_MAX_CPUS */
	struct sill_topology topology;
	struct sill_affinity *affinity;
	unsigned affinity_count;
	bool kvm_hyperv; /* Hyper-V enlightenments */
	struct sill_hyperv_config hyperv;
	bool nested; /* VMX or SVM for the guest */
	enum sill_unknown_msrs unknown_msrs;
	struct sill_features_config features;
	uint8_t max_phys_bits; /* upper bound for the guest's physical address bits; 0: no bound asked for */
};

#define SILL_MAX_ZONES 16u   /* pieces that memory is made of: each takes a slot of KVM's or two */
#define SILL_MAX_NODES 1024u /* of a host: Linux's CONFIG_NODES_SHIFT is 10 at most */

/* A piece of the guest's memory, behind the one before it, with pages of its own kind. */
struct sill_memory_zone {
	char *id;      /* unique */
	uint64_t size; /* bytes, a multiple of 4 KiB (of hugepage_size with hugepages) */
	char *file; /* its memory is this file's, or a new one's in this directory; NULL: nobody's */
	bool shared;    /* as in struct sill_memory_config, and so on; with file, writes go to it */
	bool hugepages; /* the zones before it have a multiple of its pages' size */
	uint64_t hugepage_size;
	uint16_t *host_numa_node; /* its pages come from these nodes of the host; none: from any */
	unsigned host_numa_node_count;
	bool prefault;
	bool mergeable;
	bool reserve;
	uint64_t hotplug_size; /* so much more may come by virtio-mem: as that of all memory */
	uint64_t hotplugged_size;
};

#define SILL_MAX_DIMMS 32u /* pieces of memory that come while a VM runs: slots for ACPI */

/* What memory comes in multiples of, beside @size bytes of it: what a Linux guest can take. */
uint64_t sill_memory_block(uint64_t size);

/* How memory comes and goes while a VM runs. */
enum sill_hotplug_method {
	SILL_HOTPLUG_ACPI,       /* in pieces, as modules that ACPI tells of */
	SILL_HOTPLUG_VIRTIO_MEM, /* by a virtio-mem device, in small blocks */
};

struct sill_memory_config {
	uint64_t
		size; /* bytes, a multiple of 4 KiB (of hugepage_size with hugepages); of all zones */
	uint64_t
		hotplug_size; /* so much may come while it runs: a multiple of sill_memory_block(size) */
	enum sill_hotplug_method hotplug_method;
	/* so much of that the guest is asked to take at its start: by virtio-mem alone, in blocks of 2 MiB; 0 with zones */
	uint64_t hotplugged_size;
	bool shared;            /* MAP_SHARED memfd instead of private anonymous memory */
	bool hugepages;         /* hugetlbfs memory */
	uint64_t hugepage_size; /* bytes, power of two; 0: the host's default */
	bool prefault;          /* touch every page before the guest starts */
	bool thp;               /* madvise(MADV_HUGEPAGE) */
	bool mergeable; /* madvise(MADV_MERGEABLE); as prefault and reserve, also of all zones */
	bool reserve;   /* swap space for all of it, if it is private: without MAP_NORESERVE */
	/* What it is made of, and then shared and hugepages say nothing. None: it is all of one kind. */
	struct sill_memory_zone *zones;
	unsigned zones_count; /* at most SILL_MAX_ZONES */
};

/* SILL_DISK_RAW, SILL_DISK_QCOW2 ... */
enum sill_disk_format {
#define FORMAT(NAME, name) SILL_DISK_##NAME,
#include "sill/formats.def"
#undef FORMAT
	SILL_DISK_FORMATS, /* how many */
};
/* Of an image below another; what the image above says stands in the manifest, not in what runs. */
enum sill_backing_format { SILL_BACKING_AS_SAID, SILL_BACKING_RAW, SILL_BACKING_QCOW2 };

/* When is a write done, and what does a flush mean? */
enum sill_disk_cache {
	SILL_CACHE_WRITEBACK,    /* at once; a flush brings all of it to the medium */
	SILL_CACHE_WRITETHROUGH, /* when it is on the medium, unless the guest chooses otherwise */
	SILL_CACHE_UNSAFE,       /* at once; flushes do nothing until the VM ends */
};

/* AUTO: io_uring, or threads where there is none. */
enum sill_disk_io { SILL_IO_AUTO, SILL_IO_URING, SILL_IO_THREADS };
enum sill_discard { SILL_DISCARD_UNMAP, SILL_DISCARD_IGNORE };

/* What becomes of a request that the host fails. */
enum sill_on_error {
	SILL_ON_ERROR_ENOSPC_STOP, /* without space: as STOP; else as REPORT */
	SILL_ON_ERROR_REPORT,      /* the guest gets an I/O error */
	SILL_ON_ERROR_STOP,        /* the VM pauses with an event; resuming tries again */
};

/*
 * In a second; 0: no limit. Disks that name one group share one limit, and so do the cards' directions: each of them
 * has the numbers, whichever one states them in the manifest.
 */
struct sill_rate_limit {
	uint64_t bandwidth; /* bytes of reads and writes */
	uint64_t ops;
	uint64_t
		bandwidth_burst; /* that may come at once after a pause; 0: a tenth of a second's */
	uint64_t ops_burst;
	char *group; /* NULL: the disk's own */
};

/* Does it say how much, and not only in which group? */
bool sill_rate_limit_states(const struct sill_rate_limit *r);
/* Are they one limit: the same, or both of one group? Of a disk and of a card they never are; the caller knows which. */
bool sill_rate_limit_shared(const struct sill_rate_limit *a, const struct sill_rate_limit *b);

/* One image below a disk's own; only read. */
struct sill_backing {
	char *path; /* auto: whatever the images say */
	enum sill_backing_format format;
	char *data_file; /* the file its data are in, where that is another; NULL: none */
};

struct sill_disk_config {
	char *path;
	enum sill_disk_format format;
	/* What the image was made on, [0] directly below it; each is made on the next. */
	struct sill_backing *backing;
	unsigned backing_count; /* at most SILL_MAX_LAYERS - 1 */
	char *data_file;        /* external data file of a qcow2 image; NULL: none */
	bool readonly;
	char *ephemeral; /* off, ram, on (which is ram), or a path; see sill_disk_ephemeral() */
	uint64_t ephemeral_limit; /* the layer's file does not grow beyond it; 0: no limit */
	bool direct;              /* past the host's page cache */
	bool format_check;
	enum sill_disk_cache cache;
	enum sill_disk_io io;
	enum sill_discard discard; /* what the guest discards: given back to the host, or not */
	uint16_t queues;           /* 1..SILL_MAX_QUEUES, an I/O thread each; 0: 1 */
	uint16_t queue_size;       /* requests in a queue: power of two, 4..1024; 0: 256 */
	uint16_t *affinity;        /* the I/O threads run on these host CPUs; none: on any */
	unsigned affinity_count;
	uint32_t logical_sector_size;  /* 512 or 4096; 0: what the image has */
	uint32_t physical_sector_size; /* power of two, logical..64 KiB; 0: what the host has */
	struct sill_rate_limit rate_limit;
	enum sill_on_error on_error;
	char *serial; /* at most SILL_DISK_ID_LEN bytes; never NULL: derived when not given */
	char *id;     /* unique; "disk0" ... when not given */
	uint8_t slot; /* PCI slot 1..30; 0: the first free one, in order */
};

/* Is what the guest writes thrown away? Then it goes into a layer on top of the disk's own image. */
bool sill_disk_ephemeral(const struct sill_disk_config *d);

enum sill_link { SILL_LINK_UP, SILL_LINK_DOWN };
/* AUTO: on a tap that was made for this VM. DNSMASQ: by a program that whoever runs the VM has started, not by the card. */
enum sill_dhcp { SILL_DHCP_AUTO, SILL_DHCP_ON, SILL_DHCP_OFF, SILL_DHCP_DNSMASQ };
/* Is the guest told an address of ours? Of one that is known to be ON or DNSMASQ. */
static inline bool sill_dhcp_gives(enum sill_dhcp d)
{
	return d == SILL_DHCP_ON || d == SILL_DHCP_DNSMASQ;
}
enum sill_antispoof { SILL_ANTISPOOF_AUTO, SILL_ANTISPOOF_ON, SILL_ANTISPOOF_OFF };
enum sill_vhost { SILL_VHOST_AUTO, SILL_VHOST_ON, SILL_VHOST_OFF };

/* How macvtaps on one interface see each other: see Linux, MACVLAN_MODE_*. */
enum sill_macvtap_mode {
	SILL_MACVTAP_BRIDGE,
	SILL_MACVTAP_VEPA,
	SILL_MACVTAP_PRIVATE,
	SILL_MACVTAP_PASSTHRU,
};

/* A network card, and the one thing on the host that it is connected to: the first members. */
struct sill_net_config {
	char *tap;    /* a tap device's name; "": one is made, with a name of the kernel's choice */
	char *bridge; /* a bridge's name: a tap is made and joins it */
	char *macvtap; /* an interface's name: a macvtap is made on it */
	enum sill_macvtap_mode macvtap_mode;
	uint16_t *
		fd; /* descriptors of a tap or macvtap that somebody else has opened: the caller's business */
	unsigned fd_count; /* at most SILL_MAX_NET_QUEUES */
	bool user;         /* another process carries the frames (SILL_FILE_NET) */
	bool none;         /* nothing */
	char *address;     /* of the host's side, "192.168.249.1/24"; auto; NULL, off: none */
	char *ipv6; /* of the host's side, "fd12:3456:789a::1/64": the card tells the guest its network; on, auto; NULL, off: none */
	enum sill_dhcp dhcp; /* the card answers the guest's requests for an address */
	char **dns;          /* the name servers it is told then: addresses; or one: off */
	unsigned dns_count;  /* at most SILL_MAX_DNS */
	bool nat;            /* it reaches what the host reaches: runner/host/nat.h, */
	enum sill_dhcp
		nat6; /* by IPv6, too; AUTO: where that takes no more than its own interfaces */
	bool isolate; /* but not the host itself, nor private networks: likewise */
	enum sill_antispoof antispoof;   /* it has no other addresses than its own: likewise */
	char *mac;                       /* the guest's; never NULL: derived when not given */
	uint16_t mtu;                    /* 0: 1500, and the guest is not told */
	uint16_t queues;                 /* pairs, 1..SILL_MAX_NET_QUEUES; 0: 1 */
	uint16_t queue_size;             /* frames in a queue: power of two, 16..1024; 0: 256 */
	struct sill_rate_limit rx_limit; /* of frames to the guest, ops is how many; */
	struct sill_rate_limit tx_limit; /* and from it */
	enum sill_vhost
		vhost; /* the host's kernel passes the frames: SILL_FILE_VHOST_NET says so to the engine */
	bool offload_csum;   /* checksums may be left to the other side, */
	bool offload_tso;    /* and large TCP segments */
	enum sill_link link; /* at the start */
	char **forward;      /* ports of the host that lead to the guest's: the caller's business */
	unsigned forward_count;
	uint16_t *affinity; /* the pairs' threads run on these host CPUs; none: on any */
	unsigned affinity_count;
	char *id;     /* unique; "net0" ... when not given */
	uint8_t slot; /* PCI slot 1..30; 0: the first free one, in order */
};

/* "02:00:5e:10:00:01" as 6 bytes. 0, or -1: it is not the address of one card. */
int sill_mac_read(const char *text, uint8_t ret[6]);
/* The MAC address of the host's side of a card: a high one, so that no bridge takes it for its own. They may be the same memory. */
void sill_host_mac(const uint8_t guest[6], uint8_t ret[6]);
/* "192.168.249.1/24", in the host's byte order. 0, or -1: it is no host in a network. */
int sill_address_read(const char *text, uint32_t *ret_address, uint8_t *ret_prefix);
/* "fd12:3456:789a::1/64". 0, or -1: it is no host of a network of 64 bits that others may be told. */
int sill_address6_read(const char *text, uint8_t ret[16]);
/* The link-local address of who has the MAC address @mac (RFC 4291, appendix A). */
void sill_link_local(const uint8_t mac[6], uint8_t ret[16]);
/* The address that DHCP gives: the first of the host side's network that is not the host's. */
uint32_t sill_guest_address(uint32_t host, uint8_t prefix);

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
 *   SOCKET  LISTEN, a listening AF_UNIX stream socket: sill/console.h; and OUT, its log, if there is one
 *   TCP     LISTEN, as with SOCKET but of TCP; or DIAL, which makes connections
 */
enum sill_char_mode {
	SILL_CHAR_OFF,
	SILL_CHAR_NULL,
	SILL_CHAR_TTY,
	SILL_CHAR_PTY,
	SILL_CHAR_FILE,
	SILL_CHAR_SOCKET,
	SILL_CHAR_TCP,
};

struct sill_char_config {
	enum sill_char_mode mode;
	char *path; /* FILE, SOCKET */
	char *log;  /* SOCKET; what the guest writes goes there, too, with the time. NULL: no */
	uint64_t history;       /* SOCKET; bytes that are kept for who comes, about; 0: 64 KiB */
	char *listen, *connect; /* TCP, one of them: [ADDRESS:]PORT, HOST:PORT */
	uint64_t
		limit; /* FILE, and log, if it is a regular one: it holds so many bytes at most; 0: no limit */
	uint16_t port; /* the debug console's, 1..0xffff; of no meaning elsewhere */
};

/* What has a far end. One of them at most has the terminal. */
enum sill_port {
	SILL_PORT_SERIAL,        /* COM1: 0x3f8, IRQ 4 */
	SILL_PORT_SERIAL2,       /* COM2: 0x2f8, IRQ 3 */
	SILL_PORT_DEBUG_CONSOLE, /* one byte-wide port; not in the tables */
	SILL_PORT_CONSOLE,       /* virtio */
	SILL_PORTS,
};

/* Which port a debugger of Windows' kernel is at; the port has mode TCP then. NET: none, the guest calls it by UDP. */
enum sill_kd { SILL_KD_OFF, SILL_KD_SERIAL, SILL_KD_SERIAL2, SILL_KD_NET };

struct sill_debug_config {
	enum sill_kd kd;
	char *listen, *connect; /* one of them, as the port has it; NET: connect, ADDRESS:PORT */
	char *key; /* NET: four numbers of 64 bits in base 36, w.x.y.z; whoever has it owns the guest */
	char *card; /* NET: the id of a card; NULL: the only one there is */
	char *gdb; /* a path, or ADDRESS:PORT, which has no '/'; NULL: gdb has no place to come to */
};

/* The port that a kernel debugger is at; SILL_PORTS: none. */
enum sill_port sill_kd_port(const struct sill_debug_config *d);

struct sill_rng_config {
	char *src; /* NULL, off: no virtio-rng */
};

/* Is there one? */
bool sill_rng_wanted(const struct sill_rng_config *r);

#define SILL_CID_MIN 3u          /* 0, 1 and 2 are the hypervisor's, the local one and the host's */
#define SILL_CID_MAX 0xfffffffeu /* the last one means any; virtio 1.2, 5.10.4 */

/* Streams between the guest and programs of the host. */
struct sill_vsock_config {
	uint32_t cid; /* the guest's; 0: there is no such device */
	char *socket; /* where the host's programs connect; the guest's connections go to SOCKET_PORT */
};

/* A balloon: memory that the guest gives to the host while it does not need it. */
struct sill_balloon_config {
	bool enabled;             /* there is such a device */
	uint64_t size;            /* bytes, a multiple of 4 KiB: so large it shall be */
	bool deflate_on_oom;      /* the guest may take memory back before it runs out */
	bool free_page_reporting; /* it tells of pages that are free, which go back to the host */
};

enum sill_rtc { SILL_RTC_UTC, SILL_RTC_LOCALTIME };

struct sill_platform_config {
	char *uuid;    /* NULL: none */
	char *vmgenid; /* the generation id; NULL, off: no such device; auto: made by the runner */
	char *serial_number; /* SMBIOS type 1 and 3, or NULL */
	char **oem_strings;
	unsigned oem_strings_count;
	enum sill_rtc rtc;
};

/* A sign that the guest is up, for who waits for it; the engine does not look at it. One of tcp ... serial is given. */
struct sill_ready_config {
	uint16_t tcp, ssh, rdp, winrm; /* a port of host; 0: not this */
	uint32_t vsock;                /* a port of the guest's vsock device; 0: not this */
	char *serial;                  /* text on the first serial port; NULL: not this */
	char *host;                    /* NULL: the guest */
	char *within;                  /* from the guest's start: "300s" */
	char *hint;                    /* for a person when it does not come; NULL: none */
};

/* Where else the VM can be asked and driven: the caller's business. */
struct sill_api_config {
	char *socket; /* NULL: nowhere */
};

/* What is done when the guest says that it has crashed, besides telling it. */
enum sill_on_crash {
	SILL_ON_CRASH_REPORT, /* nothing */
	SILL_ON_CRASH_RESET,
	SILL_ON_CRASH_STOP,
	SILL_ON_CRASH_NMI_DUMP, /* an NMI to all vCPUs: the guest may write a dump */
};

struct sill_config {
	unsigned sill; /* the version of the manifest's language */
	char *name;
	enum sill_guest guest;
	struct sill_firmware_config firmware;
	char *kernel;
	char *initramfs;
	char *cmdline; /* NULL: empty */
	struct sill_cpus_config cpus;
	struct sill_memory_config memory;
	struct sill_disk_config *disk;
	unsigned disk_count;
	struct sill_net_config *net;
	unsigned net_count;
	struct sill_char_config serial, serial2, debug_console, console; /* enum sill_port */
	struct sill_debug_config debug;
	struct sill_rng_config rng;
	struct sill_vsock_config vsock;
	struct sill_balloon_config balloon;
	enum sill_on_crash on_crash; /* the caller's business, as it hears of it */
	bool pvpanic;                /* the guest can say that it has crashed */
	bool watchdog;               /* a timer resets the guest unless it says that it is alive */
	struct sill_api_config api;
	struct sill_platform_config platform;
	struct sill_ready_config *ready;
	unsigned ready_count;
	enum sill_restart restart; /* of a VM in the background, by the runner */
};

/* "serial", "serial2", "debug_console", "console": its key, and the id of its files. */
const char *sill_port_name(enum sill_port p);
const struct sill_char_config *sill_port_config(const struct sill_config *c, enum sill_port p);
/* The one that has the terminal; SILL_PORTS: none. */
enum sill_port sill_port_on_tty(const struct sill_config *c);

/* A copy that shares nothing with @c. 0, or -1 and @e: no memory; then @ret is zeroed. */
int sill_config_copy(struct sill_config *ret, const struct sill_config *c, struct sill_err *e);
/* Free what @c owns, all of it from malloc(3), and zero it. */
void sill_config_free(struct sill_config *c);

/* 8-4-4-4-12 hexadecimal digits as 16 bytes, in the order of RFC 4122. 0, or -1: it is not that. */
int sill_uuid_read(const char *text, uint8_t ret[16]);

#ifdef __cplusplus
}
#endif
#endif
