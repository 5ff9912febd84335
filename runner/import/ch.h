/* SPDX-License-Identifier: Apache-2.0 */
/* ch.h - a VmConfig of Cloud Hypervisor, wherever it comes from, as a manifest. */
#ifndef RUNNER_IMPORT_CH_H
#define RUNNER_IMPORT_CH_H

#include "runner/import/import.h"

/* @body, which is changed, into the new manifest @m. 0, or -1 and im->err. */
int ch_body(struct import *im, json_t *body, json_t *m);

#endif
