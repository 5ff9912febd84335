/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hvset.h - which Hyper-V enlightenments a manifest gets on a host, and why.
 * Pure: the host has been asked before.
 */
#ifndef RUNNER_MANIFEST_HVSET_H
#define RUNNER_MANIFEST_HVSET_H

#include <jansson.h>
#include <stdio.h>

#include "runner/manifest/manifest.h"
#include "sill/hyperv.h"

enum hv_answer {
	HV_OFF,
	HV_ON,
	HV_WANTED,      /* on if the host has it, which is not known */
	HV_NOT_ON_HOST, /* asked for, and the host has it not */
	HV_BLOCKED,     /* would be on, were it not for what it needs */
};

/* Who has decided whether it is to be on. */
enum hv_reason {
	HV_BY_DEFAULT,
	HV_BY_LINE,  /* a line of the manifest: at */
	HV_BY_WHOLE, /* cpus.kvm_hyperv is off */
};

/* Public struct: one enlightenment. */
struct hv_row {
	enum hv_answer answer;
	enum hv_reason reason;
	struct mark at;      /* the line; line 0: none */
	uint32_t blocked_by; /* SILL_HV_BIT()s: those it needs that are not on */
};

/* Public struct: all of them. */
struct hv_set {
	bool on;                  /* cpus.kvm_hyperv */
	enum hv_reason on_reason; /* HV_BY_DEFAULT: by the profile, or the default */
	struct mark on_at;
	bool windows; /* guest: windows, the profile */
	struct hv_row row[SILL_HV_COUNT];
};

/* What a manifest asks for, in SILL_HV_BIT()s; @doc NULL: the default set. */
uint32_t hv_wanted(const struct mdoc *doc);

/* @host: the states for hv_wanted(); NULL when the host could not be asked. */
void hv_set_make(struct hv_set *s, const struct mdoc *doc, const enum sill_hv_state *host);

/* For people, one line each; @file is the manifest's name, or NULL for the default set. */
void hv_set_print(FILE *f, const struct hv_set *s, const char *file);

/* The same; the caller owns it. NULL without memory. */
json_t *hv_set_json(const struct hv_set *s);

#endif
