/* SPDX-License-Identifier: Apache-2.0 */
/* foreign.h - what a file is that none of our formats is. */
#ifndef IMAGE_FOREIGN_H
#define IMAGE_FOREIGN_H

#include <stdint.h>

#include "sill/image.h"

enum { FOREIGN_HEAD = 64 * 1024, FOREIGN_TAIL = 512 };

/*
 * By its first FOREIGN_HEAD bytes, a NUL behind them, and by its last FOREIGN_TAIL; zeroes for what it
 * does not have. SILL_FOREIGN_NONE: nothing that is known.
 */
void foreign_look(const uint8_t *head, const uint8_t *tail, struct sill_image_foreign *ret);

#endif
