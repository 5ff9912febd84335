/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crash.h - a guest's crash: what it said of it by all ways together, as one thing that programs and people are told.
 *
 *   {"when", "by": ["bug-check", "serial", "panic", "dump"], "code", "name", "parameters", "driver", "look", "see",
 *    "tail"}
 *
 * is crash.json in the VM's runtime directory from the first word on, and stays there when the guest is reset.
 */
#ifndef RUNNER_DEBUG_CRASH_H
#define RUNNER_DEBUG_CRASH_H

#include <jansson.h>
#include <time.h>

#include "runner/host/rundir.h"
#include "runner/report/pace.h"
#include "sill/config.h"
#include "sill/vm.h"

enum { CRASH_TAIL = 4096, CRASH_TEXT = 384 };
#define CRASH_FILE "crash.json"

/* Public struct. Zeroed: there has been none since the guest began. */
struct crash {
	bool panic, dump;       /* pvpanic's two words */
	bool registers, serial; /* the crash registers, and a serial port, which yield to them */
	struct sill_crash said;
	time_t when; /* of the first word */
};

/* A word of the guest's (SILL_EVENT_CRASHED). True: the first one. */
bool crash_take(struct crash *c, const struct sill_event *event, time_t now);
/* Has it been said before? A guest may say so as often as it likes; a serial port may have more to say. */
bool crash_knows(const struct crash *c, const struct sill_event *event);
/*
 * "bug check 0xd1 NAME (0x1, 0x2, 0x3, 0x4), by FILE: what to look at", as far as it is known; names are Windows',
 * so not of @guest linux.
 */
void crash_text(const struct crash *c, enum sill_guest guest, char ret[CRASH_TEXT]);
/* @tail: what the guest has written to COM1 last, @n bytes of anything. The caller owns it; NULL: no memory. */
json_t *crash_json(const struct crash *c, enum sill_guest guest, const char *tail, size_t n);

/* Public struct: who hears of it for a VM that runs. Borrowed but for the crash. */
struct crash_ear {
	struct crash crash;
	struct sill_vm *vm;
	const struct rundir *dir;
	void (*say)(const char *name, const char *what); /* to a person */
	struct pace pace;                                /* of that: it may crash again and again */
	bool stops; /* on_crash: stop has ended it: a fault of the guest's, not anybody's wish */
};
/* The VM is about to run: what one before it has left is no crash of its. */
void crash_begin(struct crash_ear *ear, struct sill_vm *vm, const struct rundir *dir,
		 void (*say)(const char *name, const char *what));
/*
 * Any event, on the main loop: keeps what it says of a crash, and does what on_crash says. False: it is about a
 * crash that has been told already, and is no news.
 */
bool crash_hear(struct crash_ear *ear, const struct sill_event *event);
/* Of a VM that was stopped so: how it has ended, and @e says why. */
enum sill_vm_end crash_ends(const struct crash_ear *ear, struct sill_err *e);

#endif
