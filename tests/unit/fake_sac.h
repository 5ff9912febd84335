/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_sac.h - a Windows with SAC on its serial port and a command prompt behind it, in a time of its own.
 *
 * It shows what Microsoft's documentation and people who have automated it tell: NULs, characters eaten where a
 * prompt begins, keys that bounce, a screen that is painted in any order or written with movements for blanks,
 * announcements that want a key, logins that are refused, channels that are locked, listings that stop at each page,
 * resets and bug checks in the middle. The prompt knows the few commands that are typed into it, "say TEXT", "fail N", "lines N", "hang", "crash", "reboot", and some of
 * Windows' by name.
 */
#ifndef FAKE_SAC_H
#define FAKE_SAC_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef FAKE_FILE
#define FAKE_FILE (64 * 1024) /* bytes of a command's output, at most */
#endif

enum { FAKE_OUT = 128 * 1024, FAKE_ROWS = 24, FAKE_COLS = 80, FAKE_LINE = 2048, FAKE_WIDE = 64 };

enum fake_where {
	FAKE_SAC,
	FAKE_VIEW,
	FAKE_USER,
	FAKE_DOMAIN,
	FAKE_PASSWORD,
	FAKE_SHELL,
	FAKE_HANGS
};

struct fake_sac {
	/* How it is. */
	uint64_t random;
	bool paints;           /* a screen, as up to Windows Server 2019 */
	bool nuls, stars;      /* stars: a password shows as such */
	bool clear;            /* it shows as it is */
	unsigned eats;         /* so many characters are lost where a prompt begins */
	unsigned bounce_ms;    /* a key that comes again sooner is lost */
	unsigned delay_ms;     /* between two pieces of output, at most */
	unsigned others;       /* command prompts that somebody else has open */
	unsigned breaks_after; /* Enters in the prompt, then it breaks; 0: never */
	bool breaks_by_crash;
	unsigned locks_after; /* likewise: the channel is locked */
	unsigned page;    /* lines of SAC's answers, then it stops until Enter; 0: it does not */
	const char *more; /* what it says then; NULL: in English */
	const char *user, *domain, *password; /* of who may log in; user NULL: nobody is asked */
	const char *questions[3];
	unsigned cards;
	bool keeps_address; /* it takes no other */
	/* A command that it does not know: false if this does not either. It writes by fake_file(). NULL: there are none. */
	bool (*command)(struct fake_sac *f, const char *command);
	/* What it is at. */
	uint64_t now, due;
	uint64_t
		starts_in_ms; /* from firmware to SAC's first words, and from them to Windows' services; 0: at once */
	uint64_t stage_due; /* when the next of these comes; 0: all have */
	enum fake_where where;
	unsigned eaten, enters, wrong, opened, boots;
	bool crashed, own_view, exists, speaks, serves;
	char address[16];
	int last_key;
	uint64_t last_ms;
	unsigned escape;
	char typed[FAKE_LINE], name[8], given[2][64];
	size_t typed_n;
	int status;
	char file[FAKE_FILE], password_seen[256];
	size_t file_n;
	bool encoded;
	/* A character of several bytes is one of wide[], the highest bit set. */
	char rows[FAKE_ROWS][FAKE_COLS], painted[FAKE_ROWS][FAKE_COLS], wide[FAKE_WIDE][5], half[5];
	unsigned wide_n;
	char held[FAKE_OUT]; /* of an answer: the pages that wait */
	size_t held_n;
	int row, col;
	char out[FAKE_OUT];
	size_t out_at, out_n;
	unsigned blanks;
};

static uint32_t fake_dice(struct fake_sac *f, uint32_t sides)
{
	f->random = f->random * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(f->random >> 33) % sides;
}

static void fake_raw(struct fake_sac *f, const char *p, size_t n)
{
	for (; n > 0 && f->out_n < FAKE_OUT - 2; n--) {
		f->out[f->out_n++] = *p++;
		if (f->nuls && fake_dice(f, 20) == 0)
			f->out[f->out_n++] = '\0';
	}
}

static void fake_out(struct fake_sac *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static void fake_out(struct fake_sac *f, const char *fmt, ...)
{
	char text[4096];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fake_raw(f, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

/* ---- the prompt's screen ---- */

static void fake_clear(struct fake_sac *f)
{
	memset(f->rows, ' ', sizeof(f->rows));
	f->row = f->col = 0;
	if (!f->paints)
		fake_out(f, "\x1b[2J\x1b[H");
}

static void fake_newline(struct fake_sac *f)
{
	if (f->row < FAKE_ROWS - 1) {
		f->row++;
		return;
	}
	memmove(f->rows[0], f->rows[1], sizeof(f->rows) - FAKE_COLS);
	memset(f->rows[FAKE_ROWS - 1], ' ', FAKE_COLS);
}

/* A byte of a character of several: the cell for it once it is whole, or 0. */
static char fake_whole(struct fake_sac *f, char c)
{
	const size_t n = strlen(f->half), bytes = (uint8_t)f->half[0] >= 0xf0   ? 4
						  : (uint8_t)f->half[0] >= 0xe0 ? 3
										: 2;
	unsigned i = 0;

	if ((uint8_t)c >= 0xc0 || n >= 4)
		memset(f->half, 0, sizeof(f->half));
	f->half[strlen(f->half)] = c;
	if (n == 0 || n + 1 < bytes || (uint8_t)c >= 0xc0)
		return 0;
	while (i < f->wide_n && strcmp(f->wide[i], f->half) != 0)
		i++;
	if (i == f->wide_n && f->wide_n < FAKE_WIDE)
		memcpy(f->wide[f->wide_n++], f->half, sizeof(f->half));
	memset(f->half, 0, sizeof(f->half));
	return (char)(0x80 | i % FAKE_WIDE);
}

static void fake_put(struct fake_sac *f, char c)
{
	if ((uint8_t)c >= 0x80) {
		c = fake_whole(f, c);
		if (c == 0)
			return;
	}
	if (c == '\r')
		f->col = 0;
	else if (c == '\n')
		fake_newline(f);
	else if (c == '\b') {
		if (f->col > 0)
			f->col--;
		else if (f->row > 0 && f->row--)
			f->col = FAKE_COLS - 1;
	} else {
		f->rows[f->row][f->col++] = c;
		if (f->col == FAKE_COLS) {
			f->col = 0;
			fake_newline(f);
		}
	}
}

/* Each row that is not what it was, in any order, and the cursor. */
static void fake_paint(struct fake_sac *f)
{
	const unsigned first = fake_dice(f, FAKE_ROWS);

	for (unsigned i = 0; i < FAKE_ROWS; i++) {
		const unsigned r = (first + i * 7) % FAKE_ROWS;
		int n = FAKE_COLS;

		if (memcmp(f->rows[r], f->painted[r], FAKE_COLS) == 0)
			continue;
		memcpy(f->painted[r], f->rows[r], FAKE_COLS);
		while (n > 0 && f->rows[r][n - 1] == ' ')
			n--;
		fake_out(f, "\x1b[%02u;01H\x1b[0;37;40m", r + 1);
		for (int col = 0; col < n; col++)
			if ((uint8_t)f->rows[r][col] >= 0x80)
				fake_out(f, "%s", f->wide[f->rows[r][col] & 0x7f]);
			else
				fake_raw(f, &f->rows[r][col], 1);
		fake_out(f, "%s", n < FAKE_COLS ? "\x1b[K" : "");
	}
	fake_out(f, "\x1b[%02d;%02dH", f->row + 1, f->col + 1);
}

/* What a program in the prompt writes. */
static void fake_say(struct fake_sac *f, const char *text)
{
	for (; *text != '\0'; text++) {
		const int row = f->row, col = f->col;

		fake_put(f, *text);
		if (f->paints)
			continue;
		if (*text == '\b' && row > f->row)
			fake_out(f, "\x1b[%d;%dH", f->row + 1, f->col + 1);
		else if (*text == ' ' && f->col > col)
			fake_out(f, "\x1b[1C");
		else
			fake_out(f, "%c%s", *text, f->col < col && *text >= ' ' ? "\r\n" : "");
	}
	if (f->paints)
		fake_paint(f);
}

/* ---- what it says ---- */

static void fake_services(struct fake_sac *f)
{
	fake_out(f, "\r\n\r\nEVENT: The CMD command is now available.\r\nSAC>");
	f->serves = true;
	f->stage_due = 0;
}

static void fake_banner(struct fake_sac *f)
{
	fake_out(f, "<?xml "
		    "version=\"1.0\"?>\r\n<machine-info>\r\n<name>WIN</name>\r\n</machine-info>\r\n"
		    "Computer is booting, SAC started and initialized.\r\n\r\n"
		    "Use the \"ch -?\" command for information about using channels.\r\n"
		    "Use the \"?\" command for general help.\r\n\r\nSAC>");
	f->speaks = true;
	if (f->starts_in_ms == 0)
		fake_services(f);
	else
		f->stage_due = f->now + f->starts_in_ms;
}

static void fake_boot(struct fake_sac *f)
{
	f->boots++;
	f->where = FAKE_SAC;
	f->speaks = f->serves = false;
	f->crashed = f->exists = false;
	f->typed_n = f->held_n = 0;
	fake_out(f, "\x1b[2J\x1b[01;01HBdsDxe: loading Boot0001 \"Windows Boot Manager\"\r\n");
	if (f->starts_in_ms == 0)
		fake_banner(f);
	else
		f->stage_due = f->now + f->starts_in_ms;
}

static void fake_crash(struct fake_sac *f)
{
	f->where = FAKE_SAC;
	f->crashed = true;
	f->typed_n = 0;
	fake_out(f,
		 "\r\n<BP>\r\n<INSTANCE CLASSNAME=\"BLUESCREEN\">\r\n<PROPERTY NAME=\"STOPCODE\" "
		 "TYPE=\"string\"><VALUE>\"0xE2\"</VALUE></PROPERTY>\r\n</BP>\r\n!SAC>");
}

static void fake_announce(struct fake_sac *f, const char *name, bool own)
{
	f->where = FAKE_VIEW;
	f->own_view = own;
	fake_out(f,
		 "\x1b[2J\x1b[01;01H<channel-switch>\r\n<name>%s</name>\r\n"
		 "<application-type>63D0227%d-8AA4-11D5-BCCF-%s</application-type>\r\n</"
		 "channel-switch>\r\n"
		 "Name:                  %s\r\nDescription:           Command\r\n"
		 "Type:                  VT-UTF8\r\nApplication Type GUID: "
		 "63d0227%d-8aa4-11d5-bccf-%s\r\n\r\n"
		 "Press <esc><tab> for next channel.\r\nPress <esc><tab>0 to return to the SAC "
		 "channel.\r\n"
		 "Use any other key to view this channel.\r\n",
		 name, own ? 0 : 1, own ? "806D6172696F" : "00B0D014A2D0", name, own ? 0 : 1,
		 own ? "806d6172696f" : "00b0d014a2d0");
}

/* Its own screen, painted again: what it said at its start, too. */
static void fake_own_screen(struct fake_sac *f)
{
	f->where = FAKE_SAC;
	f->typed_n = 0;
	fake_out(f,
		 "\x1b[2J\x1b[01;01HComputer is booting, SAC started and "
		 "initialized.\r\n\r\nSAC>cmd\r\n"
		 "The Command Prompt session was successfully launched.\r\n%s",
		 f->exists ? "SAC>"
			   : "\r\nEVENT:   A channel has been closed.\r\nChannel: Cmd0001\r\nSAC>");
}

static void fake_ask(struct fake_sac *f)
{
	const int at = f->where - FAKE_USER;

	fake_say(f, f->questions[at] != NULL ? f->questions[at]
		    : at == 0                ? "Username: "
		    : at == 1                ? "Domain  : "
					     : "Password: ");
	f->typed_n = 0;
	/* Of a password it eats where one can see it. */
	f->eaten = f->where == FAKE_USER || f->stars ? 0 : f->eats;
}

static void fake_prompt(struct fake_sac *f)
{
	f->where = FAKE_SHELL;
	f->typed_n = 0;
	fake_say(f, "\r\nC:\\Windows\\system32>");
}

static void fake_show(struct fake_sac *f)
{
	memset(f->painted, ' ', sizeof(f->painted));
	fake_out(f, "\x1b[2J");
	fake_clear(f);
	f->eaten = 0;
	if (f->user == NULL) {
		fake_prompt(f);
		return;
	}
	f->where = FAKE_USER;
	fake_say(f, "Please enter login credentials.\r\n");
	fake_ask(f);
}

/* ---- SAC's own commands ---- */

static void fake_sac_list(struct fake_sac *f)
{
	fake_out(f, "Channel List\r\n\r\n(Use \"ch -?\" for information on using channels)\r\n\r\n"
		    "# Status  Channel Name\r\n0 (AV)    SAC\r\n");
	for (unsigned i = 1; i <= f->others; i++)
		fake_out(f, "%u (AV)    Cmd%04u\r\n", i, i);
	if (f->exists)
		fake_out(f, "%u (AV)    %s\r\n", f->others + 1, f->name);
}

/* What has been said from @from on stops at the end of its first page. */
static void fake_page(struct fake_sac *f, size_t from)
{
	unsigned lines = 0;

	for (size_t at = from; f->page != 0 && at < f->out_n; at++) {
		lines += f->out[at] == '\n';
		if (lines < f->page || f->out_n - at - 1 < 8)
			continue;
		f->held_n = f->out_n - at - 1;
		memcpy(f->held, f->out + at + 1, f->held_n);
		f->out_n = at + 1;
		fake_out(f, "%s", f->more != NULL ? f->more : "----Press <Enter> for more----");
		return;
	}
}

static void fake_next_page(struct fake_sac *f)
{
	const size_t n = f->held_n, from = f->out_n;

	f->held_n = 0;
	fake_out(f, "\r                              \r");
	if (f->typed_n > 0 && f->typed[0] == 3)
		fake_out(f, "\r\nSAC>");
	else
		fake_raw(f, f->held, n);
	f->typed_n = 0;
	fake_page(f, from);
}

static void fake_sac_answer(struct fake_sac *f);
static void fake_sac_line(struct fake_sac *f)
{
	const size_t from = f->out_n;

	fake_sac_answer(f);
	if (strcmp(f->typed, "ch") == 0 || strcmp(f->typed, "id") == 0)
		fake_page(f, from);
}

static void fake_sac_answer(struct fake_sac *f)
{
	f->typed[f->typed_n] = '\0';
	f->typed_n = 0;
	fake_out(f, "\r\n");
	if (strcmp(f->typed, "cmd") == 0 && (f->others >= 9 || !f->serves)) {
		fake_out(f, "Failed to create the channel.\r\n");
	} else if (strcmp(f->typed, "cmd") == 0) {
		f->exists = true;
		f->opened++;
		(void)snprintf(f->name, sizeof(f->name), "Cmd%04u", (f->others + 1) % 10000);
		fake_out(f,
			 "The Command Prompt session was successfully launched.\r\nSAC>\r\n"
			 "EVENT:   A new channel has been created.  Use \"ch -?\" for channel "
			 "help.\r\n"
			 "Channel: %s\r\n",
			 f->name);
	} else if (strcmp(f->typed, "i") == 0) {
		fake_out(f,
			 "Net: 10, Ip=fe80::1c\r\nNet: 10, Ip=%s  Subnet=255.255.255.0  "
			 "Gateway=%s\r\n",
			 f->address[0] != '\0' ? f->address : "169.254.3.4", "0.0.0.0");
		if (f->cards > 1)
			fake_out(
				f,
				"Net: 12, Ip=169.254.3.5  Subnet=255.255.0.0  Gateway=0.0.0.0\r\n");
	} else if (strncmp(f->typed, "i 10 ", 5) == 0) {
		const char *mask = strstr(f->typed + 5, " ");

		if (!f->keeps_address)
			(void)snprintf(f->address, sizeof(f->address), "%.*s",
				       mask != NULL ? (int)(mask - f->typed - 5) : 15,
				       f->typed + 5);
	} else if (strcmp(f->typed, "id") == 0) {
		fake_out(f, "  Computer name: WIN\r\n");
	} else if (strcmp(f->typed, "s") == 0) {
		fake_out(f, "Date: 12/01/2026 Time (GMT): 17:31:13:018\r\n");
	} else if (strcmp(f->typed, "restart") == 0) {
		fake_out(f, "SAC preparing to restart the system.\r\n");
		fake_boot(f);
		return;
	} else if (strcmp(f->typed, "crashdump") == 0) {
		fake_crash(f);
		return;
	} else if (strcmp(f->typed, "ch") == 0) {
		fake_sac_list(f);
	} else if (strncmp(f->typed, "ch -sn ", 7) == 0 && f->exists &&
		   strcmp(f->typed + 7, f->name) == 0) {
		fake_announce(f, f->name, false);
		return;
	} else if (strncmp(f->typed, "ch -cn ", 7) == 0 && f->exists &&
		   strcmp(f->typed + 7, f->name) == 0) {
		f->exists = false;
		fake_out(f, "\r\nEVENT:   A channel has been closed.\r\nChannel: %s\r\n", f->name);
	}
	fake_out(f, f->crashed ? "!SAC>" : "SAC>");
}

/* ---- the prompt's commands ---- */

static void fake_file(struct fake_sac *f, const char *text)
{
	const size_t n = strlen(text);

	if (f->file_n + n < FAKE_FILE) {
		memcpy(f->file + f->file_n, text, n);
		f->file_n += n;
	}
}

/* False: it does not come back. */
static bool fake_run(struct fake_sac *f, const char *command)
{
	char line[128];

	f->status = 0;
	f->file_n = 0;
	fake_file(f, "\r\n");
	if (strncmp(command, "say ", 4) == 0) {
		fake_file(f, command + 4);
		fake_file(f, "\r\n");
	} else if (strncmp(command, "fail ", 5) == 0) {
		f->status = (int)strtol(command + 5, NULL, 10);
	} else if (strncmp(command, "lines ", 6) == 0) {
		for (int i = 0; i < (int)strtol(command + 6, NULL, 10); i++) {
			(void)snprintf(line, sizeof(line), "line %d\tof >>> %d:\xc3\xa4 C:\\>\r\n",
				       i, i * 7);
			fake_file(f, line);
		}
	} else if (strncmp(command, "powershell ", 11) == 0) {
		;
	} else if (strncmp(command, "bcdedit ", 8) == 0 || strncmp(command, "reg add ", 8) == 0) {
		fake_file(f, "The operation completed successfully.\r\n");
	} else if (strncmp(command, "net localgroup ", 15) == 0) {
		fake_file(f, "The command completed successfully.\r\n\r\n");
	} else if (strcmp(command, "ipconfig") == 0) {
		fake_file(f, "Windows IP Configuration\r\n");
	} else if (strcmp(command, "hang") == 0) {
		f->where = FAKE_HANGS;
		return false;
	} else if (strcmp(command, "reboot") == 0) {
		fake_boot(f);
		return false;
	} else if (strcmp(command, "crash") == 0) {
		fake_crash(f);
		return false;
	} else if (f->command == NULL || !f->command(f, command)) {
		fake_file(f, "'x' is not recognized as an internal or external command,\r\n");
		f->status = 9009;
	}
	return true;
}

static void fake_numbered(struct fake_sac *f, unsigned number, const char *text, unsigned page)
{
	char line[128];

	if (page == 0 ? number >= 1 && number < 20
		      : number / 10 == 2 * page || number / 10 == 2 * page + 1) {
		(void)snprintf(line, sizeof(line), "%u:%s\r\n", number, text);
		fake_say(f, line);
	}
}

static void fake_findstr(struct fake_sac *f, const char *pattern)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned page = strncmp(pattern, "^[1-9]: ", 8) == 0
				      ? 0
				      : (unsigned)strtoul(pattern + 1, NULL, 10) / 2;
	unsigned number = 2;
	char line[65];
	size_t n = 0;

	if (!f->encoded) {
		fake_say(f, "FINDSTR: Cannot open file\r\n");
		return;
	}
	fake_numbered(f, 1, "-----BEGIN CERTIFICATE-----", page);
	for (size_t at = 0; at < f->file_n; at += 3) {
		const size_t left = f->file_n - at;
		const uint32_t v = (uint32_t)(uint8_t)f->file[at] << 16 |
				   (left > 1 ? (uint32_t)(uint8_t)f->file[at + 1] << 8 : 0) |
				   (left > 2 ? (uint8_t)f->file[at + 2] : 0);

		line[n++] = letters[v >> 18];
		line[n++] = letters[v >> 12 & 63];
		line[n++] = left > 1 ? letters[v >> 6 & 63] : '=';
		line[n++] = left > 2 ? letters[v & 63] : '=';
		if (n == 64 || left <= 3) {
			line[n] = '\0';
			n = 0;
			fake_numbered(f, number++, line, page);
		}
	}
	fake_numbered(f, number, "-----END CERTIFICATE-----", page);
}

static void fake_leave(struct fake_sac *f)
{
	f->exists = false;
	fake_announce(f, "SAC", true);
}

static void fake_shell_line(struct fake_sac *f)
{
	char *line = f->typed, status[64], *end;

	f->typed[f->typed_n] = '\0';
	fake_say(f, "\r\n");
	if (++f->enters == f->locks_after) {
		fake_show(f);
		return;
	}
	if (f->enters == f->breaks_after) {
		if (f->breaks_by_crash)
			fake_crash(f);
		else
			fake_boot(f);
		return;
	}
	if (strncmp(line, "cls&", 4) == 0) {
		fake_clear(f);
		line += 4;
	}
	if (strncmp(line, "(echo.&", 7) == 0 &&
	    (end = strstr(line, ")<nul >\"%s_%\" 2>&1")) != NULL) {
		*end = '\0';
		if (!fake_run(f, line + 7))
			return;
	} else if (strcmp(line, "echo __END_%errorlevel%_%errorlevel%__") == 0) {
		(void)snprintf(status, sizeof(status), "__END_%d_%d__\r\n", f->status, f->status);
		fake_say(f, status);
	} else if (strcmp(line, "certutil -f -encode \"%s_%\" \"%s_%b\">nul") == 0) {
		f->encoded = f->file_n > 0;
	} else if (strncmp(line, "findstr /n \"^\" \"%s_%b\"|findstr \"", 32) == 0) {
		fake_findstr(f, line + 32);
	} else if (strcmp(line, "del \"%s_%*\"") == 0) {
		f->encoded = false;
		f->file_n = 0;
	} else if (strcmp(line, "exit") == 0) {
		fake_leave(f);
		return;
	} else if (strncmp(line, "set s_=", 7) != 0 && line[0] != '\0') {
		fake_say(f, "'x' is not recognized as an internal or external command,\r\n");
	}
	fake_prompt(f);
}

static void fake_login_line(struct fake_sac *f)
{
	f->typed[f->typed_n] = '\0';
	if (f->where != FAKE_PASSWORD) {
		(void)snprintf(f->given[f->where - FAKE_USER], sizeof(f->given[0]), "%.60s",
			       f->typed);
		fake_say(f, "\r\n");
		f->where++;
		fake_ask(f);
		return;
	}
	(void)snprintf(f->password_seen, sizeof(f->password_seen), "%.200s", f->typed);
	fake_say(f, "\r\nAttempting to authenticate...\r\n");
	if (strcmp(f->given[0], f->user) == 0 && strcmp(f->typed, f->password) == 0 &&
	    strcmp(f->given[1], f->domain != NULL ? f->domain : "") == 0) {
		f->eaten = 0;
		fake_say(f, "\r\nMicrosoft Windows [Version 10.0.17763.1]\r\n");
		fake_prompt(f);
		return;
	}
	fake_say(f, "Unable to authenticate.\r\n");
	if (++f->wrong == 3) {
		fake_leave(f);
		return;
	}
	f->where = FAKE_USER;
	fake_ask(f);
}

/* ---- keys ---- */

static void fake_type(struct fake_sac *f, char c)
{
	const bool secret = f->where == FAKE_PASSWORD && !f->clear;
	char echo[2] = { !secret ? c : (c & 0xc0) == 0x80 ? '\0' : '*' };

	if (c == '\b') {
		if (f->typed_n == 0)
			return;
		while (f->typed_n-- > 1 && (f->typed[f->typed_n] & 0xc0) == 0x80)
			;
		if (f->where == FAKE_SAC)
			fake_out(f, "\b \b");
		else if (!secret || f->stars)
			fake_say(f, "\b \b");
	} else if (f->typed_n < FAKE_LINE - 1) {
		f->typed[f->typed_n++] = c;
		if (f->held_n > 0)
			return;
		if (f->where == FAKE_SAC)
			fake_out(f, "%c", c);
		else if (!secret || f->stars)
			fake_say(f, echo);
	}
}

static void fake_enter(struct fake_sac *f)
{
	if (f->held_n > 0) {
		fake_next_page(f);
		return;
	}
	if (f->where == FAKE_SAC)
		fake_sac_line(f);
	else if (f->where == FAKE_SHELL)
		fake_shell_line(f);
	else if (f->where != FAKE_HANGS)
		fake_login_line(f);
}

static void fake_key(struct fake_sac *f, char c)
{
	const bool bounces = f->where >= FAKE_USER && (uint8_t)c < 0x80 && c == f->last_key &&
			     f->now - f->last_ms < f->bounce_ms;

	if (!f->speaks)
		return;
	/* Ctrl-C at its questions. */
	f->wrong += c == 3 && f->where >= FAKE_USER && f->where <= FAKE_PASSWORD;
	f->last_key = (unsigned char)c;
	f->last_ms = f->now;
	if (f->where == FAKE_VIEW) {
		if (f->own_view)
			fake_own_screen(f);
		else
			fake_show(f);
	} else if (f->where >= FAKE_USER && f->eaten < f->eats && (uint8_t)c >= ' ' &&
		   (uint8_t)c < 0x80) {
		f->eaten++;
	} else if (bounces) {
		;
	} else if (c == '\r') {
		fake_enter(f);
	} else if (c == 3 && f->where == FAKE_HANGS) {
		fake_say(f, "^C\r\n");
		fake_prompt(f);
	} else if (f->where != FAKE_HANGS &&
		   ((uint8_t)c >= ' ' || c == '\b' || (c == 3 && f->held_n > 0))) {
		fake_type(f, c);
	}
}

/* @n bytes have come over the line. */
static void fake_hear(struct fake_sac *f, const uint8_t *p, size_t n)
{
	static const char back[] = "\x1b\t0";

	for (size_t i = 0; i < n; i++) {
		if (p[i] != (uint8_t)back[f->escape]) {
			f->escape = p[i] == 0x1b;
			if (p[i] != 0x1b)
				fake_key(f, (char)p[i]);
		} else if (++f->escape == 3) {
			f->escape = 0;
			if (f->where == FAKE_SAC)
				fake_out(f, "\r\nSAC>");
			else
				fake_announce(f, "SAC", true);
			f->typed_n = 0;
		}
	}
}

/* Time goes by up to @until, or the next piece of output: its size, at *ret. */
static size_t fake_pass(struct fake_sac *f, uint64_t until, const char **ret)
{
	size_t n;

	if (f->out_at == f->out_n && f->stage_due != 0 && f->stage_due <= until) {
		f->now = f->stage_due > f->now ? f->stage_due : f->now;
		if (f->speaks)
			fake_services(f);
		else
			fake_banner(f);
	}
	if (f->out_at == f->out_n) {
		f->out_at = f->out_n = 0;
		f->now = until > f->now ? until : f->now;
		return 0;
	}
	if (f->due <= f->now)
		f->due = f->now + (f->delay_ms > 0 ? fake_dice(f, f->delay_ms) : 0);
	if (f->due > until) {
		f->now = until > f->now ? until : f->now;
		return 0;
	}
	f->now = f->due;
	n = 1 + fake_dice(f, 400);
	n = n < f->out_n - f->out_at ? n : f->out_n - f->out_at;
	*ret = f->out + f->out_at;
	f->out_at += n;
	return n;
}

#endif
