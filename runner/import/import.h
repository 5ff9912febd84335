/* SPDX-License-Identifier: Apache-2.0 */
/*
 * import.h - what other programs are told of a VM, as a manifest.
 *
 *   text -> words.c -> ch.c, qemu.c ...   a reader: a manifest as JSON, and what it had to leave
 *        -> finish.c                      checked by the rows, without what is the default anyway
 *
 * The text is a stranger's: it is bounded (IMPORT_*), nothing in it is carried out, and no file that it names
 * is opened but to tell the format of a disk (import_formats()), and that only where the caller wishes it.
 * Thread: the caller's.
 */
#ifndef RUNNER_IMPORT_IMPORT_H
#define RUNNER_IMPORT_IMPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runner/manifest/arena.h"
#include "sill/error.h"

enum {
	IMPORT_BYTES = 1 << 20, /* of what is read */
	IMPORT_WORDS = 4096,    /* of one command */
	IMPORT_VMS = 64,        /* of one file: as many as a manifest has */
	IMPORT_LOSSES = 500,    /* told of; the rest is counted */
	IMPORT_TRIES = 600,     /* how often a key is left out to see what that changes */
};

/* Public struct, zero-initialised by its owner. */
struct import {
	struct arena a;       /* what readers keep for the time */
	json_t *vms;          /* owned: manifests */
	json_t *lost, *notes; /* owned: {vm, what, why} */
	json_t *about;        /* borrowed: the VM that is told of; NULL: none */
	size_t lost_count;    /* also of those that are not kept */
	const char *name;     /* of the first VM, instead of what the text says; NULL: none given */
	const char *guest;    /* likewise */
	const char *fallback; /* a name for who has none; NULL: "vm" */
	const char *
		dir; /* of what is read, where that is what paths begin at; NULL: the working directory */
	struct sill_err err; /* set when a reader returns -1 */
};

void import_fini(struct import *im);

/*
 * Readers: 0, or -1 and im->err: then nothing came of it. @text is UTF-8 without NULs, @words likewise.
 */
int import_ch(struct import *im, char *const *words, size_t count);
int import_qemu(struct import *im, char *const *words, size_t count);
int import_ch_json(struct import *im, const char *text, size_t size);

int import_compose(struct import *im, const char *text, size_t size);
int import_libvirt(struct import *im, const char *text, size_t size);

/* By the first word that names such a program; words before it (sudo, nohup, A=B) are left. */
int import_command(struct import *im, char *const *words, size_t count);
/* All such commands in the text of a shell script; nothing of it is carried out. */
int import_script(struct import *im, const char *text, size_t size);

/* ---- for readers ---- */

/* A new manifest with `sill` and `name`, of which @name, or NULL, is made. Borrowed. NULL: too many. */
json_t *import_vm(struct import *im, const char *name);

/* @what of the text, "--fs tag=x", is not in the manifest; @fmt says why. */
void import_lost(struct import *im, const char *what, const char *fmt, ...) SILL_PRINTF(3, 4);
/* What is in the manifest otherwise than somebody may expect. */
void import_note(struct import *im, const char *what, const char *fmt, ...) SILL_PRINTF(3, 4);
/* -1 and im->err. */
int import_fail(struct import *im, const char *fmt, ...) SILL_PRINTF(2, 3);

/* The mapping @key of @m, made if it is not there. Borrowed. */
json_t *import_map(json_t *m, const char *key);
/* A new mapping at the end of the list @key of @m. Borrowed. */
json_t *import_entry(json_t *m, const char *key);
/* @key of @m is the text @s; nothing when that is NULL. */
void import_text(json_t *m, const char *key, const char *s);
void import_size(json_t *m, const char *key, uint64_t bytes);
/* May it be read at all: UTF-8, with no NUL in it. */
bool import_is_text(const char *s, size_t n);
bool import_is(const char *a, const char *b); /* both may be NULL */

/* An enlightenment, by QEMU's name with '_'. False: Sill has no switch for it. */
bool import_hyperv(json_t *m, const char *name, bool on);
/* A feature of the processor, as in /proc/cpuinfo. False: there is none of that name. */
bool import_feature(json_t *m, const char *name, bool on);

/* It starts with the distribution's firmware, and variables of its own. */
void import_uefi(json_t *m);

/* ---- after it ---- */

/* The format of each disk that has none: as its file says where @look, else as its name does. */
void import_formats(struct import *im, bool look);

/*
 * The manifest of VM @i: its text, which the caller frees, and (if not NULL) the same as JSON. What no
 * manifest can say is left out, and told of as lost. @dir, if not NULL: relative paths begin there, and are
 * made absolute. NULL: im->err.
 */
char *import_finish(struct import *im, size_t i, const char *dir, json_t **ret_json);

#endif
