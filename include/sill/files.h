/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.h - the open files of a VM: the engine opens nothing by path.
 *
 * A file has a role, the id of what uses it, and a layer where an image is made of several.
 * Who makes a VM, or adds a device to one, opens and locks what it needs, adds it here and
 * hands the set over. What is left in it after the call still belongs to the caller.
 * One thread at a time.
 */
#ifndef SILL_FILES_H
#define SILL_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include <stdint.h>

#include "sill/config.h"
#include "sill/error.h"

#ifdef __cplusplus
extern "C" {
#endif

enum sill_file_role {
	SILL_FILE_KVM,       /* /dev/kvm, for reading and writing */
	SILL_FILE_CODE,      /* firmware, for reading */
	SILL_FILE_VARS,      /* its variable store, for reading and writing */
	SILL_FILE_KERNEL,    /* for reading */
	SILL_FILE_INITRAMFS, /* for reading */
	SILL_FILE_RNG,       /* where the entropy comes from, for reading */
	/*
	 * A memory zone's file; id: the zone's. Of at least its size, for reading, and for writing too where the zone is
	 * shared. Nobody shall make it smaller: who touches what is missing gets SIGBUS (mmap(2)).
	 */
	SILL_FILE_MEMORY,
	/*
	 * A disk's image, and the file its data are in where that is another. id: the disk's; layer 0: its
	 * own, for writing too unless readonly or ephemeral; 1: what that was made on, for reading; and so on.
	 */
	SILL_FILE_DISK,
	SILL_FILE_DISK_DATA,
	SILL_FILE_DISK_OVERLAY, /* of an ephemeral disk: a qcow2 image made on its own, for writing */
	SILL_FILE_TAP, /* of a network card, which is the id; layer: which pair of queues. Attached to its tap */
	/*
	 * Likewise of one with user: a connected AF_UNIX stream to what carries frames, each after its length in
	 * 32 bits, big-endian, and without a header: passt's way.
	 */
	SILL_FILE_NET,
	/*
	 * Of a network card on a tap, for reading and writing; layer: which pair of queues. All pairs, or none:
	 * /dev/vhost-net, which passes the frames; and with DHCP or ipv6, as layer 0, a packet socket (AF_PACKET,
	 * SOCK_RAW) bound to the tap, by which the card hears the guest's requests then. Layer 1, which there may be: any
	 * descriptor that shall be open as long as the card is.
	 */
	SILL_FILE_VHOST_NET,
	SILL_FILE_EAR,
	/*
	 * Likewise; without a layer. It can be read when the tap may have been deleted: a netlink socket (NETLINK_ROUTE) of
	 * its network namespace, non-blocking, that hears RTM_DELLINK. Without it the guest's link goes down when
	 * a frame finds that out; with vhost-net, never.
	 */
	SILL_FILE_TAP_NEWS,
	/*
	 * The parameter of KVM's module that says Y or 1 where the processor runs guests' local APICs
	 * (APICv, AVIC); without it they are emulated.
	 */
	SILL_FILE_APICV,
	/*
	 * Of a vsock device: the socket that the host's programs connect to, which listens. With it comes
	 * connect(): where the guest's own connections lead.
	 */
	SILL_FILE_VSOCK,
	/* The far end of a port; the id is sill_port_name(). See enum sill_char_mode. */
	SILL_FILE_IN,
	SILL_FILE_OUT,
	SILL_FILE_LISTEN,
	SILL_FILE_DIAL, /* no descriptor: next() makes connections */
};

#define SILL_FILE_ID_MAX 63u /* bytes; the longest id of a device has 32 */

/* Public struct: one open file. */
struct sill_file {
	enum sill_file_role role;
	const char *id; /* NULL where the role says all */
	unsigned layer;
	int fd;
	bool direct; /* it was opened with O_DIRECT */
	/*
	 * SILL_FILE_OUT, a regular file with a limit: called at the limit, on the main loop, and shall not
	 * wait. It returns an empty file to go on in, which is taken. With -1, or without the function, the
	 * file is emptied and begun anew. @ctx is borrowed for the life of the VM.
	 *
	 * SILL_FILE_DIAL: called on the main loop when there is no connection, and shall not wait. It returns a
	 * stream socket, non-blocking, that is connected or will be (EPOLLOUT, then SO_ERROR), which is taken; -1:
	 * none can be made now. It is asked again, at longer and longer intervals.
	 */
	int (*next)(void *ctx);
	/*
	 * SILL_FILE_VSOCK: the guest wants @port of the host. A connected, non-blocking UNIX stream socket,
	 * which is taken, or -1: refused. Called on the device's thread, and shall not wait.
	 */
	int (*connect)(void *ctx, uint32_t port);
	void *ctx; /* of either function */
};

struct sill_file_entry;

/* Public struct: the set. Zeroed, it is empty. */
struct sill_files {
	struct sill_file_entry *entry; /* owned */
	size_t count, room;
	void *begun; /* owned; what sill_vm_begin() has begun; private, as is: */
	void (*give_up)(void *begun);
};

void sill_files_init(struct sill_files *f);
/* Takes file->fd, also on failure. A second file of the same role, id and layer: SILL_ERR_INTERNAL. */
int sill_files_add(struct sill_files *f, const struct sill_file *file, struct sill_err *e);
/* Look without taking; borrowed until the set changes. NULL: there is none. @id may be NULL. */
const struct sill_file *sill_files_find(const struct sill_files *f, enum sill_file_role role,
					const char *id, unsigned layer);
/* The descriptor now belongs to the caller, and is no longer in the set. -1: there is none. */
int sill_files_take(struct sill_files *f, enum sill_file_role role, const char *id, unsigned layer);
/* Close what is left, and give up what was begun; the set is empty again. */
void sill_files_close(struct sill_files *f);

#ifdef __cplusplus
}
#endif
#endif
