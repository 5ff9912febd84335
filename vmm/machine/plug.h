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

struct chr;
struct machine;

/*
 * Make the device and put it on the bus: a guest that looks for it finds it. Takes
 * what it needs of @files; when it fails, what it took is closed.
 */
int machine_plug(struct machine *m, const struct sill_device *d, struct sill_files *files,
		 struct sill_err *e) MUST_CHECK;
/* All of @c, at the start: those that ask for a slot first, then the others in their order. */
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
 * Has one come to rest? Asked whenever a device has made progress. Then, with all
 * vCPUs parked: all that it had is given back.
 */
bool machine_can_let_go(struct machine *m);
void machine_let_go(struct machine *m);

/* After the devices, at the end: what was known about them. */
void machine_forget_plugged(struct machine *m);

/* Make a disk larger; see sill_vm_disk_resize(). Any thread, no lock held. */
int machine_disk_resize(struct machine *m, const char *id, uint64_t bytes,
			struct sill_err *e) MUST_CHECK;

/* Plug the cable of a network card in, or out. Any thread, no lock held. */
int machine_net_renew(struct machine *m, const char *id, int fd, struct sill_err *e) MUST_CHECK;
int machine_net_link(struct machine *m, const char *id, bool up, struct sill_err *e) MUST_CHECK;

/* See sill_vm_net_status(). Any thread, no lock held. */
struct sill_net_status;
int machine_net_status(struct machine *m, const char *id, struct sill_net_status *ret,
		       struct sill_err *e) MUST_CHECK;

/* The console, if there is one. Any thread: its size; what the guest has written to it. */
void machine_console_resize(struct machine *m, uint16_t cols, uint16_t rows);
uint64_t machine_console_written(struct machine *m);
/* Its far end, borrowed until it is unplugged; NULL: there is none. */
struct chr *machine_console(const struct machine *m);

#endif
