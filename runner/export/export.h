/* SPDX-License-Identifier: Apache-2.0 */
/*
 * export.h - a manifest as what an engine for fleets is told: a unit, a StatefulSet, a job.
 *
 * Which rights, devices and memory a VM needs is in its value; needs.c reads it off once for all of them.
 * Pure: nothing is opened.
 */
#ifndef RUNNER_EXPORT_EXPORT_H
#define RUNNER_EXPORT_EXPORT_H

#include <jansson.h>
#include <stdio.h>

#include "runner/manifest/manifest.h"

enum { EXPORT_DIRS = 64 };

/* Public struct. All borrowed. */
struct export_vm {
	struct mfile *mf;
	size_t doc;
	const char *file;  /* the manifest's, absolute */
	const char *image; /* of a container with sill in it */
	FILE *notes;       /* what the engine has to be given besides; a line each */
};

/* Public struct: what the VM takes from its host. */
struct export_needs {
	uint64_t memory; /* bytes at most, with Sill's own */
	unsigned cpus;
	bool tun, vhost;              /* /dev/net/tun, /dev/vhost-net */
	bool net_admin;               /* CAP_NET_ADMIN */
	bool dnsmasq;                 /* it runs beside the VM: its port 67, and it gives up root */
	bool tty;                     /* a port is on the terminal */
	bool beside;                  /* it has files beside its manifest */
	const char *dir[EXPORT_DIRS]; /* other directories that it has files in, in the arena */
	unsigned dirs;
	const char *device[EXPORT_DIRS]; /* block devices */
	unsigned devices;
	unsigned left_out; /* files whose directories or devices had no room here; told of */
};

/* Paths in the document become @relative to its directory where they can, else absolute: in the tree of @vm. */
void export_needs_get(struct export_needs *n, const struct export_vm *vm, bool relative);
/*
 * @name as a label (RFC 1123): small letters, digits, '-'; at most 52 of them: a label of a pod has 11 more, and 63 is the
 * most. One that is another here has a hash of what it was.
 */
void export_label(char dst[64], const char *name);
/* The document as it is in the tree; the caller frees it. NULL: no memory. */
char *export_manifest(const struct export_vm *vm);

/* A file each, which the caller frees. NULL: no memory. */
char *export_systemd(const struct export_vm *vm);
char *export_kubernetes(const struct export_vm *vm);
char *export_nomad(const struct export_vm *vm);

#endif
