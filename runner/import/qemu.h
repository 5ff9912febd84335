/* SPDX-License-Identifier: Apache-2.0 */
/*
 * qemu.h - a QEMU command line while it is read: what its options have said, to be put together at the end.
 *
 * An option's text, "driver,key=value", is a JSON object of texts; what is there several times is a list.
 * Names and defaults: qemu-system-x86_64(1) of QEMU 7.2, which still knows the older spellings.
 */
#ifndef RUNNER_IMPORT_QEMU_H
#define RUNNER_IMPORT_QEMU_H

#include "runner/import/import.h"

/* Public struct. The JSON is owned. */
struct qemu {
	struct import *im;
	json_t *m;        /* the manifest; borrowed */
	json_t *drives;   /* list, in order; of -drive and what stands for one */
	json_t *nodes;    /* by node-name; of -blockdev */
	json_t *netdevs;  /* by id */
	json_t *chardevs; /* by id */
	json_t *objects;  /* by id */
	json_t *devices;  /* list, in order */
	json_t *nics;     /* list: {dev, net} */
	unsigned serials; /* ports that have another end */
	unsigned flashes;
	bool windows, no_net, snapshot, bios;
};

/* "a,b=c,,d": a is the value of @first, unless that is NULL. JSON is read as such. */
json_t *qemu_opts(const char *text, const char *first);
/* The last value of @key, or NULL. */
const char *qemu_opt(const json_t *o, const char *key);
/* The i-th of several, or NULL. */
const char *qemu_opt_at(const json_t *o, const char *key, size_t i);
/* on, yes, true, or nothing behind it. */
bool qemu_is_on(const json_t *o, const char *key);
/* It is there and says no. */
bool qemu_is_off(const json_t *o, const char *key);
/* Tell of all keys of @o but those of @known, " a b c "; @what they are of. */
void qemu_rest(struct qemu *q, const json_t *o, const char *known, const char *what);
/* Is @word in the list @words, " a b c "? */
bool qemu_one_of(const char *words, const char *word);

/* qemucpu.c */
void qemu_cpu(struct qemu *q, const char *text);
void qemu_smp(struct qemu *q, const char *text);
void qemu_memory(struct qemu *q, const char *text);

/* qemudisk.c: a drive as it is by itself, or for the device @dev. */
void qemu_drive(struct qemu *q, const char *text);
void qemu_simple_drive(struct qemu *q, const char *file, const char *media);
void qemu_flash(struct qemu *q, const char *file);
/* The file of the node @name; NULL: none. */
const char *qemu_node_file(struct qemu *q, const char *name);
void qemu_disk_device(struct qemu *q, const json_t *dev);
/* Those that no device has taken. */
void qemu_other_drives(struct qemu *q);

/* qemunet.c */
void qemu_nic(struct qemu *q, const char *text);
void qemu_old_net(struct qemu *q, const char *text);
void qemu_net_device(struct qemu *q, const json_t *dev);
void qemu_nets(struct qemu *q);

/* qemuport.c: "tcp::1,server" of -serial and the like; an object of -chardev. */
void qemu_serial(struct qemu *q, const char *text);
void qemu_port(struct qemu *q, const char *port, const char *chardev);

/* qemudev.c */
void qemu_device(struct qemu *q, const json_t *dev);

#endif
