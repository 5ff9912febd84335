/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sac.h - Windows' Special Administration Console, as it is heard and spoken to over a serial port.
 *
 * All of it is over bytes and a clock that the caller has: nothing is opened, and nobody waits. What comes from
 * the port is a stranger's: all sizes are bounded. The words are those of Microsoft's documentation of
 * Emergency Management Services (Windows Server, "SAC commands"), in English only.
 */
#ifndef RUNNER_SAC_SAC_H
#define RUNNER_SAC_SAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SAC_LINE = 256, SAC_TEXT = 64 * 1024, SAC_SEND = 16 };

/* Who is at the other side, as far as its words tell. */
enum sac_side {
	SAC_NOTHING,  /* it has said nothing, or nothing that is known */
	SAC_FIRMWARE, /* UEFI looks for what to boot */
	SAC_BOOTMGR,  /* the Windows Boot Manager's menu */
	SAC_WINDOWS,  /* SAC, in its own channel */
	SAC_CHANNEL,  /* SAC, in another channel */
	SAC_LEAVING,  /* Windows shuts down */
	SAC_BUGCHECK, /* Windows has crashed, and waits at !SAC> */
	SAC_LINUX,
	SAC_SIDES,
};

/* Public struct. Zeroed, it has heard nothing. */
struct sac {
	enum sac_side side;
	bool cmd_ready;    /* the service control manager is up: there can be command prompts */
	unsigned prompts;  /* how many have been seen */
	unsigned boots;    /* firmware or SAC has begun so many times */
	unsigned views;    /* channels have been announced so many times; a key shows them */
	bool own;          /* the last of them was SAC's own */
	uint32_t stopcode; /* of the last bug check; 0: none */
	size_t line_n;
	char line[SAC_LINE];    /* the one that is being written; no NULs, \r or escapes */
	uint8_t escape, rubout; /* private: in an escape sequence; in backspace, blank, backspace */
	/* private: bytes of the line that ended a page, while blanks go over it, and so many of them. */
	size_t turned, blanks;
	bool painted; /* private: what it said at its start may come again: its screen is painted */
	/* What has been said since text_n was set to 0, its first SAC_TEXT - 1 bytes. */
	size_t text_n;
	char text[SAC_TEXT];
};

void sac_take(struct sac *s, const uint8_t *p, size_t n);
/* The line is a prompt of SAC's (or of a bug check's) and nothing else. */
bool sac_at_prompt(const struct sac *s);
/* The line is the one that a page of a listing ends with: letters between hyphens, in any language. */
bool sac_at_more(const struct sac *s);
/* It is answered: it is none of what was said. */
void sac_take_more(struct sac *s);
/* "SAC", "bug check" ... */
const char *sac_side_name(enum sac_side side);

enum sac_next {
	SAC_WAIT, /* call again when something has come, or at the time that was said */
	SAC_DONE, /* the answer is in text[] */
	SAC_FAILED,
};

/* Public struct: one command, to be typed at SAC's prompt. Zeroed but for the first five. */
struct sac_talk {
	struct sac *sac;      /* borrowed */
	const char *command;  /* borrowed; printable ASCII, at most 200 bytes */
	bool ends;            /* the machine goes down with it: no prompt need come */
	uint64_t deadline_ms; /* what has not been answered then fails; 0: none */
	bool patient;    /* silence is no answer before the deadline: else a few tries are all */
	const char *why; /* why it failed */
	/* private */
	unsigned state, tries, reached, prompts, boots, views;
	bool again;                 /* a character was typed twice: its first echo may still come */
	size_t typed, before, more; /* more: bytes of text[] when a page's end was seen */
	uint64_t due_ms, more_ms, pages_ms;
};

/*
 * Go on. @send gets up to SAC_SEND bytes for the port. SAC_WAIT: @ret_wake_ms is when to call again at the latest.
 */
enum sac_next sac_step(struct sac_talk *t, uint64_t now_ms, uint8_t *send, size_t *ret_n,
		       uint64_t *ret_wake_ms);

/* Public struct: a bug check's name, what to look at, and the page that says so, behind SAC_STOP_SEE. */
struct sac_stop {
	uint32_t code;
	const char *name, *look, *see;
};
#define SAC_STOP_SEE "https://learn.microsoft.com/windows-hardware/drivers/debugger/bug-check-"
/* NULL: not one of the common ones. */
const struct sac_stop *sac_stop_find(uint32_t code);

#endif
