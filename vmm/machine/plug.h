/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plug.h - devices that come and go: a disk, a network card, a source of entropy, a
 * console.
 *
 * A machine is put together with the same function that serves while it runs.
 * Main loop, unless a comment says otherwise.
 */
#ifndef MACHINE_PLUG_H
#define MACHINE_PLUG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "sill/config.h"
#include "sill/device.h"
#include "sill/files.h"
#include "sill/vm.h"

struct chr;
struct dev;
struct machine;

/*
 * Make the device, put it on the bus, and tell the guest. Takes
 * what it needs of @files; when it fails, what it took is closed.
 */
int machine_plug(struct machine *m, const struct sill_device *d, struct sill_files *files,
		 struct sill_err *e) MUST_CHECK;
/* The machine's ear (machine.h) hears of it. */
void machine_tell_added(struct machine *m, const struct sill_device *d);
/*
 * All of @c, at the start: those that ask for a slot first, then the others in their order. Windows shows
 * whatever can be ejected to its users: the disk it boots from is fixed in its slot.
 */
int machine_plug_all(struct machine *m, const struct sill_config *c, struct sill_files *files,
		     struct sill_err *e) MUST_CHECK;

/*
 * Take it out. It begins nothing more; requests under way end, those that a pause has
 * kept fail; then its place on the bus is empty, and nothing of it touches the guest's
 * memory any more. @ret_ticket is for
 * machine_is_leaving(), which any thread may ask until it says no (0: any). SILL_ERR_STATE:
 * there is no such device, or it is on its way out already. @id: a disk's or a card's, else NULL.
 */
int machine_unplug(struct machine *m, enum sill_device_kind kind, const char *id,
		   uint64_t *ret_ticket, struct sill_err *e) MUST_CHECK;
bool machine_is_leaving(struct machine *m, uint64_t ticket);
/*
 * Ask the guest to give it up. It is told again with each call, and by itself as wish.h has it, until it has gone. What the guest has
 * given up is off the bus; machine_next_ejected() says which that is, until there is none
 * any more, and its caller has it unplugged. At a reset what is asked for goes unasked:
 * machine_next_asked() says which, and machine_hide() takes it off the bus at once. The vCPUs are parked then.
 */
int machine_eject(struct machine *m, enum sill_device_kind kind, const char *id,
		  struct sill_err *e) MUST_CHECK;
/* The far ends of network cards that have gone or come since this was called last: the machine's ear hears of each. Main loop. */
void machine_tell_links(struct machine *m);
bool machine_next_ejected(struct machine *m, struct sill_device_info *ret);
bool machine_next_asked(struct machine *m, struct sill_device_info *ret);
void machine_hide(struct machine *m, const struct sill_device_info *d);
/* After a load: they are in the slots they had (pci_bus_load()), and the guest may still have to answer. */
void machine_loaded(struct machine *m);
/* Any thread: up to @room of the devices, in the order they came; returns how many there are. */
size_t machine_devices(struct machine *m, struct sill_device_info *ret, size_t room);

/*
 * Has one come to rest? Asked whenever a device has made progress. Then, with all
 * vCPUs parked: all that it had is given back.
 */
bool machine_can_let_go(struct machine *m);
void machine_let_go(struct machine *m);

/* After the devices, at the end: what was known about them. */
void machine_forget_plugged(struct machine *m);

/* While the machine is drained: all that was written to disks is in their images. 0, or -1 and @e. */
int machine_disks_sync(struct machine *m, struct sill_err *e) MUST_CHECK;
/* Make a disk larger; see sill_vm_disk_resize(). Any thread, no lock held. */
int machine_disk_resize(struct machine *m, const char *id, uint64_t bytes,
			struct sill_err *e) MUST_CHECK;

/*
 * Guest memory has come, or is about to be given back: who serves rings outside of this process is told of all
 * there is, and is in nothing else when this returns. After gmem_add(), and after gmem_remove() before the memory
 * goes. Main loop.
 */
void machine_memory_changed(struct machine *m);
/* Plug the cable of a network card in, or out. Any thread, no lock held. */
int machine_net_renew(struct machine *m, const char *id, int fd, struct sill_err *e) MUST_CHECK;
int machine_net_link(struct machine *m, const char *id, bool up, struct sill_err *e) MUST_CHECK;

/*
 * Other limits for a disk, or for a card: @which 0 to the guest, 1 from it; and for who shares them. What waits
 * waits by these. SILL_ERR_STATE: there is no such device, or it has none of ours (vhost-net).
 */
int machine_limit(struct machine *m, enum sill_device_kind kind, const char *id, unsigned which,
		  const struct sill_rate_limit *r, struct sill_err *e) MUST_CHECK;

/* See sill_vm_net_status(). Any thread, no lock held. */
struct sill_net_status;
int machine_net_status(struct machine *m, const char *id, struct sill_net_status *ret,
		       struct sill_err *e) MUST_CHECK;

/* Any thread, no lock held: each device that stays, which stays for the call. */
typedef void (*machine_each_fn)(void *ctx, enum sill_device_kind kind, const struct dev *d);
void machine_each(struct machine *m, machine_each_fn fn, void *ctx);
/* Any thread, no lock held: the counters of every device, see sill_vm_counters(). */
void machine_counters(struct machine *m, sill_counter_fn fn, void *ctx);

/* The balloon, if there is one. Any thread, no lock held. False: there is none. */
struct virtio_balloon_state;
bool machine_balloon_resize(struct machine *m, uint64_t bytes);
bool machine_balloon(struct machine *m, struct virtio_balloon_state *ret);

/* The console, if there is one. Any thread: its size; what the guest has written to it. */
void machine_console_resize(struct machine *m, uint16_t cols, uint16_t rows);
uint64_t machine_console_written(struct machine *m);
/* Its far end, borrowed until it is unplugged; NULL: there is none. */
struct chr *machine_console(const struct machine *m);

#endif
