/* SPDX-License-Identifier: Apache-2.0 */
/* foreign.h - what a file is that none of our formats is. */
#ifndef BACKEND_BLOCK_FOREIGN_H
#define BACKEND_BLOCK_FOREIGN_H

#include <stdint.h>

#include "backend/block/look.h"

/*
 * By its first LOOK_FRONT bytes, a NUL behind them, and by its last LOOK_TAIL; zeroes for what it
 * does not have. SILL_FOREIGN_NONE: nothing that is known.
 */
void foreign_look(const uint8_t *head, const uint8_t *tail, struct sill_image_foreign *ret);

#endif
