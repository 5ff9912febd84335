/* SPDX-License-Identifier: Apache-2.0 */
/* fieldrows.h - how the rows of vmfields.c and vmmemory.c are written; for these alone. */
#ifndef RUNNER_API_FIELDROWS_H
#define RUNNER_API_FIELDROWS_H

#include "runner/api/vmfields.h"

#define TEXT(n, k)                                      \
	{                                               \
		.name = n, .kind = FIELD_TEXT, .key = k \
	}
#define UINT(n, k, v)                                               \
	{                                                           \
		.name = n, .kind = FIELD_UINT, .key = k, .value = v \
	}
#define SIZE(n, k, v)                                               \
	{                                                           \
		.name = n, .kind = FIELD_SIZE, .key = k, .value = v \
	}
#define BOOL(n, k, v)                                               \
	{                                                           \
		.name = n, .kind = FIELD_BOOL, .key = k, .value = v \
	}
#define WORD(n, k, w)                                               \
	{                                                           \
		.name = n, .kind = FIELD_WORD, .key = k, .words = w \
	}
#define OWN(n, i, o)                                            \
	{                                                       \
		.name = n, .kind = FIELD_OWN, .in = i, .out = o \
	}
#define ABSENT(n, v, w)                                                \
	{                                                              \
		.name = n, .kind = FIELD_ABSENT, .value = v, .what = w \
	}
#define IGNORED(n, v)                                        \
	{                                                    \
		.name = n, .kind = FIELD_IGNORED, .value = v \
	}

#endif
