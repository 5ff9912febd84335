/* SPDX-License-Identifier: Apache-2.0 */
/* vmfields.h - the rows of vmconfig.c's table; vmfields.c has them, and what is more than a name. */
#ifndef RUNNER_API_VMFIELDS_H
#define RUNNER_API_VMFIELDS_H

#include <jansson.h>

#include "runner/api/vmconfig.h"

enum field_kind {
	FIELD_TEXT,
	FIELD_UINT,
	FIELD_SIZE, /* bytes here, with a unit in a manifest */
	FIELD_BOOL,
	FIELD_WORD,    /* .words: theirs, ours, theirs, ours, NULL */
	FIELD_OBJECT,  /* .fields */
	FIELD_LIST,    /* of objects with .fields */
	FIELD_NUMBERS, /* a list of them */
	FIELD_TEXTS,
	FIELD_OWN,     /* .in and .out */
	FIELD_ABSENT,  /* Sill has not; .value is what asks for nothing */
	FIELD_IGNORED, /* whatever it says makes no difference here; .value for vm.info */
};

struct field {
	const char *name; /* theirs */
	enum field_kind kind;
	const char *key; /* ours, in the same mapping */
	bool required;
	const char *value;          /* as JSON: their default; NULL: absent */
	const char *const *words;   /* WORD */
	const struct field *fields; /* OBJECT, LIST; ends with a NULL name */
	const char *what;           /* ABSENT: "virtio-fs" in a sentence */
	/* OWN: @v is the field's value, never null; @body all of the object; @to our mapping. */
	int (*in)(const json_t *v, const json_t *body, json_t *to, struct vmconfig_err *e);
	/* @from: our mapping, sizes in bytes. What it returns is the field's value; NULL: absent. */
	json_t *(*out)(const json_t *from);
};

extern const struct field vm_fields[], memory_fields[], disk_fields[], net_fields[], vsock_fields[];

/* A key of no manifest, for what vmconfig_manifest() has to hand on: theirs, as it came. */
#define VM_GROUPS "rate_limit_groups"

/* What `rate_limiter_config` says, into `rate_limit` of @to. */
void limits_in(const json_t *v, json_t *to);

/* @v bytes, with a unit into @key of @to. @zero: what is written for none; NULL: nothing is. -1 and @e: it is no number. */
int bytes_in(const json_t *v, json_t *to, const char *key, const char *zero,
	     struct vmconfig_err *e);

/* -1 and @e. */
int field_fail(struct vmconfig_err *e, const char *fmt, ...) SILL_PRINTF(2, 3);
int field_lacks(struct vmconfig_err *e, const char *what);
/* A mapping of @from, all of whose fields are in @fields. NULL: @e. */
json_t *fields_in(const struct field *fields, const json_t *from, struct vmconfig_err *e);
json_t *fields_out(const struct field *fields, const json_t *from);

#endif
