/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h - how a failure travels: a struct on the caller's stack.
 *
 * Nothing to allocate, nothing to free. Zero it before use; the first error
 * wins and later ones are dropped. Whatever words are put into it, its texts are
 * printable UTF-8 of one line. A function that takes a struct sill_err
 * sets it exactly when it fails. Thread: whichever owns the struct.
 */
#ifndef SILL_ERROR_H
#define SILL_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

enum sill_err_code {
	SILL_ERR_NONE,
	SILL_ERR_MANIFEST, /* the manifest is wrong; loc is set */
	SILL_ERR_HOST,  /* a system call failed or the host lacks something; sys holds the errno */
	SILL_ERR_LIMIT, /* a documented limit was exceeded */
	SILL_ERR_STATE, /* not allowed in the current state */
	SILL_ERR_GUEST, /* the guest cannot go on (triple-fault loop, broken vCPU) */
	SILL_ERR_INTERNAL, /* our bug */
};

struct sill_err {
	enum sill_err_code code;
	int sys;        /* errno, or 0 */
	char msg[256];  /* lower case, no full stop, values in single quotes */
	char hint[192]; /* what to do about it; may be empty */
};

#if defined(__GNUC__)
#define SILL_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define SILL_PRINTF(f, a)
#endif

/* All of these return -1, so that a caller can write: return sill_err_set(e, ...); */
int sill_err_set(struct sill_err *e, enum sill_err_code code, const char *fmt, ...)
	SILL_PRINTF(3, 4);
/* SILL_ERR_HOST; ": <text of sys>" is appended to the message. */
int sill_err_sys(struct sill_err *e, int sys, const char *fmt, ...) SILL_PRINTF(3, 4);

/* Put "context: " in front of the message, as the error travels up. */
void sill_err_wrap(struct sill_err *e, const char *fmt, ...) SILL_PRINTF(2, 3);
/* Set the hint if there is none yet. Returns -1. */
int sill_err_hint(struct sill_err *e, const char *fmt, ...) SILL_PRINTF(2, 3);

#ifdef __cplusplus
}
#endif
#endif
