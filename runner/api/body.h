/* SPDX-License-Identifier: Apache-2.0 */
/* body.h - from the bodies of requests to manifests that were checked. */
#ifndef RUNNER_API_BODY_H
#define RUNNER_API_BODY_H

#include <jansson.h>
#include <stdbool.h>

#include "runner/api/api.h"
#include "runner/api/vmconfig.h"
#include "runner/manifest/manifest.h"

/*
 * Check @manifest as if it were a file. NULL: @c is answered, with every mistake. @host: and ask the host,
 * which has locks of ours on files that are in use.
 */
struct mfile *body_check(struct api_call *c, const json_t *manifest, bool host);
/* The same of a snapshot's configuration, as text, and ask the host. */
struct mfile *body_check_text(struct api_call *c, const char *text, size_t size);
/* Disks without a format get the one that their file begins with, as Cloud Hypervisor does it. */
void body_find_formats(json_t *disks);
/* Their `nested` asks for what the host has, and is true by default: where it has none, there is none. */
void body_fit_nested(json_t *manifest);
/* What came of a body that could not be taken. */
void body_fail(struct api_call *c, const char *what, const struct vmconfig_err *e);

#endif
