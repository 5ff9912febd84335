/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm.h - one virtual machine, one per process.
 *
 *   create -> run (blocks) -> destroy
 *
 * No ABI promise before 1.0.
 *
 * Threads: create, run and destroy belong to one thread (it becomes the VM's
 * main loop). The functions marked "any thread" may be called from others
 * while run() blocks.
 */
#ifndef SILL_VM_H
#define SILL_VM_H

#include <signal.h>
#include <stdio.h>

#include "sill/config.h"
#include "sill/device.h"
#include "sill/error.h"
#include "sill/files.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sill_vm;

/* Why sill_vm_run() came back; the program's exit status is derived from it. */
enum sill_vm_end {
	SILL_END_POWER_OFF, /* the guest powered off */
	SILL_END_STOPPED,   /* sill_vm_stop() */
	SILL_END_FAULT,     /* the guest cannot go on; e says why, a register dump is in the log */
	SILL_END_HOST,      /* the host failed; e says how */
};

/*
 * KVM needs some milliseconds to make a VM, and sleeps most of them. Who has its SILL_FILE_KVM in @files, but
 * still has to open the rest, has it begin meanwhile; sill_vm_create() goes on from there. What fails, fails there.
 */
void sill_vm_begin(struct sill_files *files);
/*
 * Build the whole machine. Takes what it needs of @files; the rest stays the caller's, also on failure.
 * Fails with SILL_ERR_HOST, SILL_ERR_LIMIT or SILL_ERR_MANIFEST (without a place).
 */
struct sill_vm *sill_vm_create(const struct sill_config *c, struct sill_files *files,
			       struct sill_err *e);

/* The value the VM was made from, its own copy; borrowed, unchanged while it lives. */
const struct sill_config *sill_vm_config(const struct sill_vm *vm);
/* Any thread: a copy of the value it runs now, with the devices that came since and without those that went. */
int sill_vm_config_now(struct sill_vm *vm, struct sill_config *ret, struct sill_err *e);

/* Run until the VM ends. Resets of the guest happen inside, in place. */
enum sill_vm_end sill_vm_run(struct sill_vm *vm, struct sill_err *e);

/* Accepts NULL. */
void sill_vm_destroy(struct sill_vm *vm);

/* Any thread, also a signal handler: ask run() to return SILL_END_STOPPED. */
void sill_vm_stop(struct sill_vm *vm);
/*
 * Any thread: ACPI power button. 0, or -1 when the guest does not listen to the button yet. A guest that
 * is still up 30 seconds of its own time later gets a second press: the first may only wake its display.
 */
int sill_vm_power_button(struct sill_vm *vm);
/* Any thread: reset the guest as its reset button would. */
void sill_vm_reset(struct sill_vm *vm);
/*
 * Any thread: stop all vCPUs and the guest's clock, and let the devices come to rest; returns when nothing
 * moves any more, however long the host's storage takes to finish what was begun. A resume, reset or stop
 * need not wait for that. Fails with SILL_ERR_STATE when the VM does not run, or was resumed meanwhile.
 */
int sill_vm_pause(struct sill_vm *vm, struct sill_err *e);
int sill_vm_resume(struct sill_vm *vm, struct sill_err *e);
/* Any thread: is it paused, or about to be? */
bool sill_vm_is_paused(struct sill_vm *vm);
/*
 * Any thread, while the VM is paused: all of its state but the guest's memory, the disks and the
 * configuration. @ret is the caller's, for free(). Fails with SILL_ERR_STATE when it is not paused.
 */
int sill_vm_save(struct sill_vm *vm, void **ret, size_t *ret_size, struct sill_err *e);
/* What is to be had of a VM that stands still. */
enum sill_picture {
	SILL_PICTURE_STATE, /* as sill_vm_save() */
	SILL_PICTURE_NOTES, /* of an ELF core file: for each vCPU NT_PRSTATUS (CORE, 1), then its state as QEMU notes it (QEMU, 0) */
};

/*
 * Any thread, while the VM is paused: a picture of it, and nothing changes any more until sill_vm_thaw(): who wants to
 * resume, reset or change it waits; it can be stopped. @ret is the caller's, for free(). Fails with SILL_ERR_STATE
 * when it is not paused, or is frozen; then there is nothing to thaw.
 */
int sill_vm_freeze(struct sill_vm *vm, enum sill_picture what, void **ret, size_t *ret_size,
		   struct sill_err *e);
void sill_vm_thaw(struct sill_vm *vm);
/* The guest's memory as it sees it, in the order of addresses. Public struct. */
struct sill_ram_range {
	uint64_t gpa, size;
	void *host; /* borrowed, and fd: until the VM is thawed, or has run */
	int fd; /* of the file that it is shared as, whose holes are zero, and cost when they are read; -1: none */
	uint64_t off; /* in that file, bytes */
};
/*
 * While it is frozen; and by the thread that made it, before run(): to be filled for sill_vm_load(), which adds
 * what came while it ran, empty. It is all zero then. Up to @room; returns how many there are.
 */
unsigned sill_vm_ram_ranges(struct sill_vm *vm, struct sill_ram_range *ret, unsigned room);
/* Where a guest's kernel has something. Public struct. */
struct sill_mapped_range {
	uint64_t address;   /* linear, canonical */
	uint64_t gpa, size; /* memory, or a device's */
};
/*
 * While it is frozen: the upper half of the linear addresses, by the page tables of the first vCPU that runs the
 * kernel, or of any if none does; what is adjacent in both as one, only pieces of @least bytes and more. Up to
 * @room; returns how many there are: 0 for a guest that is not in 64-bit mode.
 */
unsigned sill_vm_mapped_ranges(struct sill_vm *vm, uint64_t least, struct sill_mapped_range *ret,
			       unsigned room);
/*
 * Between create and run, by the same thread: begin in a saved state, paused; sill_vm_resume() goes on. The
 * configuration is the one that was saved, disks and sill_vm_ram() have what they had then; devices come
 * into the PCI slots that they had, whatever has come and gone before. @state may come
 * from a stranger. Fails with SILL_ERR_STATE when it is damaged or of another machine, SILL_ERR_HOST when
 * this host does not take it; then the VM can be destroyed only.
 */
int sill_vm_load(struct sill_vm *vm, const void *state, size_t size, struct sill_err *e);
/* The guest's memory: what is below 4 GiB at its addresses, then what is above. To be read while paused, written before run: until then it is all zero. */
void *sill_vm_ram(struct sill_vm *vm, size_t *ret_size);
/*
 * The same for what came while it ran: piece @slot, below SILL_MAX_DIMMS; NULL: there is none. By the thread that
 * runs the VM, or while it is paused. After sill_vm_load() they are there, and empty. By virtio-mem there is
 * one, number 0, of all that may come; with zones one for each that may grow.
 */
void *sill_vm_dimm(struct sill_vm *vm, unsigned slot, size_t *ret_size);
/* Any thread, also a signal handler: as sill_vm_resume(), without waiting; nothing when it runs. */
void sill_vm_ask_resume(struct sill_vm *vm);
/*
 * Any thread: make a disk @bytes large while the guest uses it, or as large as its file or
 * device has become when @bytes is 0, and tell the guest. Blocks on the image's file. Fails
 * with SILL_ERR_LIMIT for a size less than it has, SILL_ERR_STATE when there is no disk of this
 * id or it cannot grow now, SILL_ERR_HOST; then the disk is as it was.
 */
int sill_vm_disk_resize(struct sill_vm *vm, const char *id, uint64_t bytes, struct sill_err *e);
/*
 * Any thread: @fd, taken also when it fails, in the place of a network card's SILL_FILE_NET, whose other end
 * has gone. The link that was down for it is up again. 0, or -1 with SILL_ERR_STATE when there is
 * no card of this id that has one, SILL_ERR_HOST when it is not of the same kind.
 */
int sill_vm_net_renew(struct sill_vm *vm, const char *id, int fd, struct sill_err *e);
/*
 * Any thread while run() blocks, and before it the one that created the VM: plug the cable of a network card in,
 * or pull it; the guest sees a link that is up, or down, and so does sill_vm_config_now(). 0, or -1 with
 * SILL_ERR_STATE when there is no card of this id.
 */
int sill_vm_net_link(struct sill_vm *vm, const char *id, bool up, struct sill_err *e);
/*
 * Likewise: other rate limits for a disk, or for a card to (@rx) and from (@tx) the guest; NULL: as they are. 0 in all
 * members: none. The group stays what it is, whatever @r->group says, and all of it have these limits. What is owed
 * stays owed, and who waits waits by the new rate. SILL_ERR_STATE also when the host's kernel passes the card's frames (vhost-net).
 */
int sill_vm_disk_limit(struct sill_vm *vm, const char *id, const struct sill_rate_limit *r,
		       struct sill_err *e);
int sill_vm_net_limit(struct sill_vm *vm, const char *id, const struct sill_rate_limit *rx,
		      const struct sill_rate_limit *tx, struct sill_err *e);
/* A network card as it is now. Public struct. */
struct sill_net_status {
	bool link;                 /* the guest sees a cable that is plugged in */
	bool driver;               /* of the guest is at work */
	unsigned pairs, max_pairs; /* of queues: that the guest uses, that there are */
	uint64_t to_guest_frames, to_guest_bytes, to_guest_dropped; /* bytes without headers */
	uint64_t from_guest_frames, from_guest_bytes, from_guest_dropped;
	uint64_t dhcp_answers;
	uint32_t lease_s; /* how long the guest has its address yet, by DHCP; 0: it has none */
	uint8_t guest6
		[16]; /* its IPv6 address, as it was seen to take it; all zero: none is known */
	bool vhost;   /* the host's kernel passes the frames, and nobody counts them but the tap */
	unsigned vhost_queues; /* that it serves now: none before the guest's driver is at work */
};
/* Any thread. 0, or -1 with SILL_ERR_STATE when there is no card of this id. */
int sill_vm_net_status(struct sill_vm *vm, const char *id, struct sill_net_status *ret,
		       struct sill_err *e);
/*
 * Any thread, before run() and while it blocks: put a device into the VM, which may run or be paused.
 * It is on the PCI bus when this returns, and the guest is told (ACPI). A slot that is asked for
 * must be free; else it gets the first one that was never used, or the one that has been empty longest. The files it needs (files.h) are taken, and closed when
 * it goes; the rest is the caller's. @d and its config are borrowed for the call. The main loop opens the
 * images: the guest's console waits meanwhile. Fails with SILL_ERR_STATE when there is one of this id, or
 * no console or RNG more is possible, or the VM is at its end; with SILL_ERR_LIMIT without a free slot; and
 * as sill_vm_create() does.
 */
int sill_vm_plug(struct sill_vm *vm, const struct sill_device *d, struct sill_files *files,
		 struct sill_err *e);
/*
 * Any thread but the main loop's, and before run(): take a device out again; @id is a disk's, else NULL.
 * It begins nothing more; what it has begun ends or fails, requests that on_error keeps fail. Then it is gone
 * from the bus, without a word to the guest, which reads all ones there. Returns when all that it had is given
 * back: threads, memory, and its files, closed, with their locks. That may take as long as the storage does.
 * Fails with SILL_ERR_STATE: there is no such device, or another thread takes it out.
 */
int sill_vm_unplug(struct sill_vm *vm, enum sill_device_kind kind, const char *id,
		   struct sill_err *e);
/*
 * Any thread: ask the guest to give a device up (ACPI eject request), running or paused; @id as above. Returns
 * at once. The guest may take its time, refuse without a word, or not be up yet: so it is asked again
 * when its system begins to listen, and at longer and longer intervals, and with each call. SILL_EVENT_REMOVED says that it has gone, as
 * sill_vm_unplug() leaves it; a reset takes it out without asking. Fails with SILL_ERR_STATE: there is no
 * such device, it is on its way out already, or it is fixed in its slot (the disk that `guest: windows` boots from).
 */
int sill_vm_eject(struct sill_vm *vm, enum sill_device_kind kind, const char *id,
		  struct sill_err *e);
/* Any thread: up to @room of the devices that are in, in the order they came. Returns how many there are. */
size_t sill_vm_devices(struct sill_vm *vm, struct sill_device_info *ret, size_t room);
/* vCPUs of a VM, and what has become of a wish for fewer. */
struct sill_vm_cpus {
	unsigned present; /* the guest has so many; cpus.boot of them at the start */
	unsigned
		asked; /* so many of them it is to give up: it may, and the next reset takes them */
	unsigned refused; /* of these it has said no to so many */
	unsigned max;     /* possible: cpus.max */
	bool heard;       /* the guest's system takes what happens to vCPUs as it happens */
};

/*
 * Any thread but the main loop's, while run() blocks, paused or not: the VM shall have @wanted vCPUs,
 * 1..cpus.max. More are there when this returns: ready, and the guest has been told. Fewer is a request: the
 * highest are asked of the guest, as sill_vm_eject() does until it has said something; what it does not
 * give up (Windows never does) goes with its next reset, in place. A later wish for more takes requests back first.
 * What there is then, is in @ret, which may be NULL; SILL_EVENT_CPUS tells of each change. Fails with
 * SILL_ERR_LIMIT, SILL_ERR_STATE when it does not run, SILL_ERR_HOST: some may have come then.
 */
int sill_vm_resize_cpus(struct sill_vm *vm, unsigned wanted, struct sill_vm_cpus *ret,
			struct sill_err *e);
/* Any thread. */
void sill_vm_cpus(struct sill_vm *vm, struct sill_vm_cpus *ret);
/* Memory of a VM, in bytes, and what has become of a wish for less. */
struct sill_vm_memory {
	uint64_t present; /* the guest has so much; memory.size at the start */
	uint64_t
		asked; /* so much of it the guest is to give up: it may, and the next reset takes it */
	uint64_t refused; /* of this it has said no to so much */
	uint64_t wanted;  /* wished for last; the guest has more or less until it can */
	uint64_t max;     /* possible: memory.size and memory.hotplug_size */
	uint64_t block;   /* it comes in multiples of this */
	bool heard;       /* the guest's system takes what happens to memory as it happens */
};

/*
 * Any thread but the main loop's, while run() blocks, paused or not: the VM shall have @wanted bytes of memory.
 * More comes in pieces (DIMMs), at most SILL_MAX_DIMMS of them, and is there when this returns. Less is a request
 * for pieces as they came, the last ones first, made again like those for processors;
 * what the guest does not give up goes with its next reset, in place. At a reset what stays becomes memory like that
 * of the start, for which the guest is not asked any more: it goes with a reset. A later wish for more takes
 * requests back first. What there is then is in @ret, which may be NULL; SILL_EVENT_MEMORY tells of each change.
 * By virtio-mem it comes and goes in blocks, more and less alike, when the guest can; a reset takes all of them,
 * and the guest gets them again when its driver is there.
 * Fails with SILL_ERR_LIMIT: less than at the start, more than possible, no multiple of a block, no pieces that make
 * up the difference, no room for a piece of that size; SILL_ERR_STATE when it does not run, SILL_ERR_HOST.
 */
int sill_vm_resize_memory(struct sill_vm *vm, uint64_t wanted, struct sill_vm_memory *ret,
			  struct sill_err *e);
/* Any thread. */
void sill_vm_memory(struct sill_vm *vm, struct sill_vm_memory *ret);
/*
 * Of one of memory.zones, likewise: it shall have @wanted bytes, from its size to that and its hotplug_size; what
 * it has then is in @ret, and .wanted is what it shall have. Memory made of zones is resized by them alone.
 * SILL_ERR_LIMIT also when there is no such zone.
 */
int sill_vm_resize_zone(struct sill_vm *vm, const char *id, uint64_t wanted,
			struct sill_vm_memory *ret, struct sill_err *e);
/* Any thread. -1: there is no such zone. */
int sill_vm_zone(struct sill_vm *vm, const char *id, struct sill_vm_memory *ret);
/* The balloon. Public struct. */
struct sill_vm_balloon {
	uint64_t size; /* bytes: so large it shall be */
	uint64_t
		actual; /* bytes: so large it is, as the guest says; never more than it has memory */
	bool driver;    /* of the guest is at work */
};

/*
 * Any thread but the main loop's, while run() blocks, paused or not: the balloon shall be @bytes large, a
 * multiple of 4 KiB. Returns at once: the guest gives memory to the host, or takes it back, when it can. Fails
 * with SILL_ERR_LIMIT: more than the guest has; SILL_ERR_STATE: there is none, or the VM does not run.
 */
int sill_vm_resize_balloon(struct sill_vm *vm, uint64_t bytes, struct sill_err *e);
/* Any thread. False: there is none. */
bool sill_vm_balloon(struct sill_vm *vm, struct sill_vm_balloon *ret);
enum sill_counter_of { SILL_COUNTER_DEVICE, SILL_COUNTER_VCPU };

/* Public struct: how often something has happened since the device, or the vCPU, came. Borrowed for the call. */
struct sill_counter {
	enum sill_counter_of of;
	const char *id;   /* the device's, or the vCPU's number */
	const char *name; /* "read_bytes"; of a vCPU, why KVM came back: "mmio" */
	uint64_t value;
	bool gauge; /* no count: how it stands now, or as the guest last said */
};

/*
 * Any thread, while the VM is there: all that is counted, one call each, those of one device or vCPU together.
 * Disks: {read,write}_{bytes,ops}, flush_ops, discard_ops, errors. Network cards: {rx,tx}_{bytes,frames,dropped},
 * rx to the guest. Balloon: size_bytes and actual_bytes; {inflated,deflated,reported,returned}_bytes, the last what the host
 * has got of it, refused_pages; and what the guest says of its memory, as it says it (virtio 1.2, 5.5.6.4). vCPUs: exits of KVM_RUN by reason; those that have not happened are left out.
 */
typedef void (*sill_counter_fn)(void *ctx, const struct sill_counter *c);
void sill_vm_counters(struct sill_vm *vm, sill_counter_fn fn, void *ctx);
/* Any thread: a non-maskable interrupt on every vCPU. */
void sill_vm_nmi(struct sill_vm *vm);
/*
 * Any thread: the guest goes on from a state that it has gone on from before (it was restored, or is a clone).
 * It finds @id (RFC 4122 byte order) as its generation id from its next instruction on, and gets the event if
 * that is another one. Fails with SILL_ERR_STATE when the VM was made without an id, or @id is all zero.
 */
int sill_vm_new_generation(struct sill_vm *vm, const uint8_t id[16], struct sill_err *e);
/* Any thread: how many bytes the guest has written to its ports (enum sill_port), null ones left out. */
uint64_t sill_vm_output(struct sill_vm *vm);
/* Any thread: the newest bytes that it has written to a port, @n at most, as far as they are still there. How many. */
size_t sill_vm_output_tail(struct sill_vm *vm, enum sill_port port, void *ret, size_t n);
enum { SILL_POST_CODES = 16 };
/*
 * Any thread: the last bytes that firmware, or who else says so how far it is, has written to port 0x80 since the reset,
 * oldest first, runs of the same one once. How many.
 */
size_t sill_vm_post_codes(struct sill_vm *vm, uint8_t ret[SILL_POST_CODES]);
/* Any thread: a break condition on the serial port that has the terminal; else on the first there is. */
void sill_vm_serial_break(struct sill_vm *vm);
/* Any thread: the console's size changed (virtio-console). */
void sill_vm_console_resize(struct sill_vm *vm, uint16_t cols, uint16_t rows);

/*
 * With SILL_CHAR_TTY and a terminal: who sees what was typed before the guest does, on the main
 * loop. It gets @n keys and returns how many are left for the guest, in @ret, which has room for
 * n + 1: one may have been held back before. Set it before sill_vm_run().
 */
typedef size_t (*sill_keys_fn)(void *ctx, const uint8_t *keys, size_t n, uint8_t *ret);
void sill_vm_set_keys(struct sill_vm *vm, sill_keys_fn fn, void *ctx);

/*
 * What a person should know of while the VM runs.
 *
 *   SILL_EVENT_DISK  the host failed a request of a disk, which is kept: the VM is paused.
 *                    sill_vm_resume() tries again; a reset or the end gives it up
 *   SILL_EVENT_RUNNING it has begun, or, begun paused, will go on when it is resumed; from here on it can be asked
 *   SILL_EVENT_PAUSED, SILL_EVENT_RESUMED
 *   SILL_EVENT_RESET   the guest begins anew
 *   SILL_EVENT_CPUS    vCPUs were "added", or "removed", or the guest has "refused" to give one up: sill_vm_cpus()
 *   SILL_EVENT_MEMORY  memory was "added", or "removed", or the guest has "refused" to give some up: sill_vm_memory()
 *   SILL_EVENT_CRASHED the guest says that it has; what: "panic", or "dump": it writes one now (pvpanic); "bug-check":
 *                    crash says which (the crash registers of Hyper-V); "serial": the same on a serial port, as
 *                    Windows' EMS writes it. Each once until it is reset, "serial" again when more is known
 *   SILL_EVENT_ENDING  no guest instruction runs any more; what: "power-off", "stopped", "fault", "host"
 *   SILL_EVENT_ADDED   a device has come, and the guest has been told
 *   SILL_EVENT_REMOVED a device has gone, and all it had is given back; not at the end of the VM
 *   SILL_EVENT_UNANSWERED the guest's system has read twice that it is asked for a device, and has it still
 *   SILL_EVENT_CUT_OFF what a network card is connected to has gone (its tap was deleted): the guest's link is down
 *   SILL_EVENT_CONNECTED it is there again (sill_vm_net_renew())
 */
enum sill_event_kind {
	SILL_EVENT_DISK,
	SILL_EVENT_RUNNING,
	SILL_EVENT_PAUSED,
	SILL_EVENT_RESUMED,
	SILL_EVENT_RESET,
	SILL_EVENT_CPUS,
	SILL_EVENT_MEMORY,
	SILL_EVENT_ENDING,
	SILL_EVENT_ADDED,
	SILL_EVENT_REMOVED,
	SILL_EVENT_UNANSWERED,
	SILL_EVENT_CRASHED,
	SILL_EVENT_CUT_OFF,
	SILL_EVENT_CONNECTED,
};

/*
 * A bug check: from the five crash registers of the Hypervisor Top Level Functional Specification (15), as the guest
 * has set them, or from what it wrote to a serial port, as far as that could be read. Public struct.
 */
enum { SILL_CRASH_DRIVER = 64 };
struct sill_crash {
	uint64_t code, parameter[4]; /* Windows: the bug check and its parameters */
	bool has_code, has_parameters;
	char driver
		[SILL_CRASH_DRIVER]; /* a file's name: letters, digits, '.', '_', '-'; "": it did not say */
};

struct sill_event {
	enum sill_event_kind kind;
	const char *
		id; /* DISK: the disk's; ADDED, REMOVED, UNANSWERED, CUT_OFF, CONNECTED: the device's; else NULL */
	const char *
		what; /* DISK: "read", "write", "flush" ...; ENDING, REMOVED: why; CPUS, MEMORY; else NULL */
	int sys;                      /* DISK: errno */
	enum sill_device_kind device; /* where id is a device's */
	unsigned slot;                /* likewise, but DISK: where it is, or was, on the PCI bus */
	const struct sill_crash *crash; /* CRASHED, "bug-check" and "serial"; else NULL */
};

/* Called on the main loop; borrowed for the call. Set before sill_vm_run(). */
typedef void (*sill_event_fn)(void *ctx, const struct sill_event *event);
void sill_vm_set_event(struct sill_vm *vm, sill_event_fn fn, void *ctx);
/* Before run(): @fn on the main loop every @ms from 1, for as long as that turns; for who watches over it. */
void sill_vm_set_tick(struct sill_vm *vm, unsigned ms, void (*fn)(void *ctx), void *ctx);

/* Log: lines go to this stream (default stderr). level: 0 error, 1 warn, 2 info (default), 3 debug. */
void sill_log_to(FILE *f, int level);

/*
 * What a thread beside the VM blocks, as the engine's own do: all signals but those that a fault of its own raises
 * (SIGSEGV and the like). Were those blocked, the kernel would end the process without asking a handler: the
 * terminal would stay raw, and a sanitizer would not say what it found. Any thread.
 */
void sill_thread_signals(sigset_t *ret);

#ifdef __cplusplus
}
#endif
#endif
