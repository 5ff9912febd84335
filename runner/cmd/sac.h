/* SPDX-License-Identifier: Apache-2.0 */
/* sac.h - what the verbs of `sill sac` have in common: a VM's port, and who talks to it. */
#ifndef RUNNER_CMD_SAC_H
#define RUNNER_CMD_SAC_H

#include "runner/cmd/cmd.h"
#include "runner/console/conlink.h"
#include "runner/sac/shell.h"

enum {
	SAC_EXIT_OURS = 125, /* exec: the command has not been run, or its end has not been heard */
	SAC_PASSWORD = 256,  /* bytes, at most: Windows' PWLEN (lmcons.h) is 256 characters */
};

/* Public struct: one call of `sill sac`. */
struct sac_call {
	const char *vm;
	enum sill_port port;
	bool take, yes, patient; /* patient: --within was said */
	const char *user, *domain, *password_file;
	uint64_t within_ms, deadline_ms; /* what is not done at the deadline fails */
	/* From sac_call_join() on. */
	struct conlink_user user_of_link;
	struct conlink link;
	int fd;
	int signals; /* what would end us; -1: it does */
	int ended_by; /* one of them: then hear() has failed once, and what is open is being closed */
	bool live, known, ours;     /* ours: we write there */
	uint64_t heard, side_at;    /* bytes; so many when the other side became what it is */
	uint64_t ago_ms, silent_ms; /* do_status(): once told is set */
	bool told;
	enum sill_console_pen pen;
	uint32_t whose; /* the process that writes there */
	struct sac sac;
	struct screen *screen; /* owned */
	struct sac_wire wire;
};

/* When so long has passed, or the call's time is over. */
uint64_t sac_call_until(const struct sac_call *c, uint64_t ms);

/* Be at the port, and know all that it has kept; also once more, when the first one is closed. 0, or -1 and @e. */
int sac_call_join(struct sac_call *c, struct sill_err *e);
/* Be the one who writes there. 0, or -1 and @e. */
int sac_call_take(struct sac_call *c, struct sill_err *e);

/* One command at SAC's prompt; the answer is in c->sac.text then. 0, or -1 and @e. */
int sac_call_say(struct sac_call *c, const char *command, bool ends, struct sill_err *e);
/* The answer, without the prompt behind it; what a terminal would obey is escaped. */
void sac_call_print(struct sac_call *c);

/* The first line of --password-file; "" without. 0, or -1 and @e. */
int sac_call_password(const struct sac_call *c, char ret[SAC_PASSWORD + 1], struct sill_err *e);

/* cmd: argv is empty. An exit status. */
int sac_call_cmd(struct sac_call *c, int argc, char **argv);
/* ip: argv is what follows it. An exit status. */
int sac_call_ip(struct sac_call *c, int argc, char **argv);
/* exec: argv is the command. Likewise. */
int sac_call_exec(struct sac_call *c, int argc, char **argv);

#endif
