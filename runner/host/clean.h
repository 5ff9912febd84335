/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clean.h - put right what VMs have left behind that were killed.
 *
 * Most goes with their process. What the kernel does not undo has a file that says so, made before
 * the change, with a lock of who needs it; what is nobody's any more is undone. Never touches what
 * a VM has that runs. One line here for each kind.
 */
#ifndef RUNNER_HOST_CLEAN_H
#define RUNNER_HOST_CLEAN_H

#include <stdbool.h>

/* Something was left. @done: put right; else it stays, and @text says why. Borrowed for the call. */
typedef void (*clean_fn)(void *ctx, bool done, const char *text);

void host_clean(clean_fn fn, void *ctx);

#endif
