/* SPDX-License-Identifier: Apache-2.0 */
/* attr.h - the compiler attributes and the three macros used everywhere. */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

#include <stddef.h>

/* clang-format off */
#define ARRAY_LEN(a)  (sizeof(a) / sizeof((a)[0]))
#define PRINTF(f, a)  __attribute__((format(printf, f, a)))
#define MUST_CHECK    __attribute__((warn_unused_result))

/* Wire structs: the size and the place of each field are promises. */
#define WIRE_SIZE(type, n)     _Static_assert(sizeof(type) == (n), #type " is not " #n " bytes")
#define WIRE_AT(type, field, n) \
	_Static_assert(offsetof(type, field) == (n), #type "." #field " is not at " #n)

/* clang's thread-safety analysis; nothing under gcc. */
#if defined(__clang__)
#define CAPABILITY(n)    __attribute__((capability(n)))
#define ACQUIRES(...)    __attribute__((acquire_capability(__VA_ARGS__)))
#define TRY_ACQUIRES(...) __attribute__((try_acquire_capability(__VA_ARGS__)))
#define RELEASES(...)    __attribute__((release_capability(__VA_ARGS__)))
#define REQUIRES(...)    __attribute__((requires_capability(__VA_ARGS__)))
#define NO_LOCK_CHECK    __attribute__((no_thread_safety_analysis))
#else
#define CAPABILITY(n)
#define ACQUIRES(...)
#define TRY_ACQUIRES(...)
#define RELEASES(...)
#define REQUIRES(...)
#define NO_LOCK_CHECK
#endif
/* clang-format on */

#endif
