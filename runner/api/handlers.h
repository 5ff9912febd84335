/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handlers.h - the functions of routes.def.
 *
 * To add an endpoint: a line in routes.def and its function, in handlers_vm.c (lifecycle), handlers_device.c
 * (devices), handlers_resize.c (vCPUs, memory), handlers_state.c (snapshots, core dumps), handlers_sill.c (what Cloud Hypervisor has not) or a file of its own.
 */
#ifndef RUNNER_API_HANDLERS_H
#define RUNNER_API_HANDLERS_H

#include "runner/api/api.h"

struct sill_vm;

/* The VM that runs, until life_release(). NULL: @c is answered. */
struct sill_vm *api_hold(struct api_call *c);
/* The same, and *ret is NULL for one that has not booted: what is asked is for its boot then. False: @c is answered. */
bool api_hold_any(struct api_call *c, struct sill_vm **ret);

/* One change of the manifest and of the VM that runs at a time; taken before everything else. */
void api_change_begin(void);
void api_change_end(void);

#define ROUTE(method, path, where, body, name) void api_##name(struct api_call *c);
#define MISSING(path, why)
#include "runner/api/routes.def"
#undef ROUTE
#undef MISSING

#endif
