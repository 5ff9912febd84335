/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kd.h - the line between Windows' kernel and its debugger, as it was seen: debug.kd (sill/config.h).
 *
 * What the two say is not changed, nor understood beyond its packets.
 */
#ifndef SILL_KD_H
#define SILL_KD_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sill_vm;

enum sill_kd_state {
	SILL_KD_NO_PORT,  /* no port is a kernel debugger's */
	SILL_KD_SILENT,   /* the guest has written nothing since it began */
	SILL_KD_STRANGE,  /* it has, and none of it is KD */
	SILL_KD_WAITING,  /* it has sent packets, and nobody has answered */
	SILL_KD_ATTACHED, /* and the debugger that is connected now has sent some, too */
};

/* What one side has sent. */
struct sill_kd_side {
	uint64_t bytes;   /* all of them */
	uint64_t packets; /* that are right to the last byte */
	uint64_t bad;     /* packets whose length, checksum or last byte is wrong */
	uint64_t resets;  /* of the packets: the other side shall begin anew */
	uint64_t resends; /* of the packets: it shall send its last one again */
	uint64_t breaks;  /* the byte that stops the guest: from the debugger, outside of packets */
};

/* Public struct. The sides are counted since the VM began; the state is of now. */
struct sill_kd_seen {
	enum sill_kd_state state;
	bool connected; /* somebody is at the other end of the port */
	struct sill_kd_side guest, debugger;
};

/* Any thread. */
void sill_vm_kd(struct sill_vm *vm, struct sill_kd_seen *ret);

#ifdef __cplusplus
}
#endif

#endif
