/* SPDX-License-Identifier: Apache-2.0 */
/* err.h - the engine's errors are the public ones; see sill/error.h. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "sill/error.h"

#endif
