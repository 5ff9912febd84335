/* SPDX-License-Identifier: Apache-2.0 */
/* sac.c - what is heard. See sac.h. */
#include "runner/sac/sac.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *text;
	enum sac_side side;
} words[] = {
	{ "BdsDxe: loading", SAC_FIRMWARE },
	{ "Windows Boot Manager", SAC_BOOTMGR },
	{ "Computer is booting, SAC started and initialized", SAC_WINDOWS },
	{ "Use any other key to view this channel", SAC_CHANNEL },
	{ "Press any other key to view", SAC_CHANNEL },
	{ "The SAC will become unavailable soon", SAC_LEAVING },
	{ "SAC preparing to restart the system", SAC_LEAVING },
	{ "SAC preparing to shutdown the system", SAC_LEAVING },
	{ "<BP>", SAC_BUGCHECK },
	{ "Linux version ", SAC_LINUX },
};

const char *sac_side_name(enum sac_side side)
{
	static const char *const names[SAC_SIDES] = {
		"nothing that is known",
		"firmware",
		"Windows Boot Manager",
		"SAC",
		"a channel",
		"Windows, which shuts down",
		"a bug check",
		"Linux",
	};

	return names[side];
}

bool sac_at_prompt(const struct sac *s)
{
	return strcmp(s->line, "SAC>") == 0 || strcmp(s->line, "!SAC>") == 0;
}

bool sac_at_more(const struct sac *s)
{
	const size_t n = s->line_n;

	return n > 4 && memcmp(s->line, "--", 2) == 0 && memcmp(s->line + n - 2, "--", 2) == 0 &&
	       strspn(s->line, "-+= ") < n;
}

void sac_take_more(struct sac *s)
{
	if (s->text_n >= s->line_n &&
	    memcmp(s->text + s->text_n - s->line_n, s->line, s->line_n) == 0)
		s->text_n -= s->line_n;
	s->text[s->text_n] = '\0';
	s->turned = s->line_n;
	s->blanks = 0;
	s->line[s->line_n = 0] = '\0';
}

/* The kinds of channels have numbers, which are the same in every language. */
static void look_for_kinds(struct sac *s)
{
	static const char own[] = "63d02270-8aa4-11d5", prompt[] = "63d02271-8aa4-11d5";
	const size_t n = sizeof(own) - 1;

	if (s->line_n < n || s->line[s->line_n - 1] != own[n - 1]) /* both end in it */
		return;
	if (strncasecmp(s->line + s->line_n - n, own, n) == 0)
		s->own = true;
	else if (strncasecmp(s->line + s->line_n - n, prompt, n) == 0)
		s->own = false;
	else
		return;
	s->painted = true;
}

static void begins(struct sac *s)
{
	s->cmd_ready = false;
	s->stopcode = 0;
	s->boots++;
}

/* The line ends in @word: it has just come. */
static bool has_come(const struct sac *s, const char *word)
{
	const size_t n = strlen(word);

	return s->line_n >= n && s->line[s->line_n - 1] == word[n - 1] &&
	       memcmp(s->line + s->line_n - n, word, n) == 0;
}

static void look_for_code(struct sac *s)
{
	const char *code = strstr(s->line, "STOPCODE");

	code = code != NULL ? strstr(code, "\"0x") : NULL;
	if (code != NULL && strchr(code + 1, '"') != NULL)
		s->stopcode = (uint32_t)strtoul(code + 1, NULL, 16);
}

/* A byte has come to the line. A port may have kept many MiB: only its end is looked at. */
static void look_for_words(struct sac *s)
{
	look_for_kinds(s);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (!has_come(s, words[i].text))
			continue;
		s->side = words[i].side;
		if (s->side == SAC_FIRMWARE || (s->side == SAC_WINDOWS && !s->painted))
			begins(s);
		if (s->side == SAC_CHANNEL)
			s->views++;
		else if (s->side != SAC_WINDOWS)
			s->painted = false;
	}
	if (has_come(s, "<machine-info>"))
		s->painted = false;
	if (has_come(s, "Username:"))
		s->side = SAC_CHANNEL;
	if (has_come(s, "EVENT: The CMD command is now available"))
		s->cmd_ready = true;
	if (s->side == SAC_BUGCHECK && has_come(s, "\""))
		look_for_code(s);
	if (!sac_at_prompt(s))
		return;
	s->prompts++;
	s->own = false;
	s->side = s->line[0] == '!' ? SAC_BUGCHECK : SAC_WINDOWS;
}

/* True: @b belongs to an escape sequence. Cursor to the right is a blank: newer Windows writes blanks so. */
static bool is_escape(struct sac *s, uint8_t b)
{
	const uint8_t before = s->escape;

	/* What is painted at another place is another line. */
	if (before == 2 && (b == 'H' || b == 'f'))
		s->line[s->line_n = 0] = '\0';
	if (b == 0x1b)
		s->escape = 1;
	else if (before == 1)
		s->escape = b == '[' ? 2 : 0;
	else if (before == 2)
		s->escape = b >= 0x40 && b <= 0x7e ? 0 : 2;
	return b == 0x1b || before != 0;
}

static void add(struct sac *s, char b)
{
	const bool room = s->line_n < SAC_LINE - 1;

	if (s->text_n < SAC_TEXT - 1)
		s->text[s->text_n++] = b;
	s->text[s->text_n] = '\0';
	if (b == '\n')
		s->line_n = 0;
	else if (room)
		s->line[s->line_n++] = b;
	s->line[s->line_n] = '\0';
	if (s->line_n > 0 && room)
		look_for_words(s);
}

/*
 * Blanks up to a \r, or as many as the line has bytes that ended the page, go over it; so do backspaces. The end
 * of the line that was typed at is none of the listing's either. True: @b is one of these.
 */
static bool goes_over(struct sac *s, uint8_t b)
{
	if (b == ' ')
		s->blanks++;
	if (b == ' ' || b == '\b')
		return true;
	for (; b != '\n' && s->blanks > s->turned; s->blanks--)
		add(s, ' ');
	s->turned = 0;
	return b == '\n';
}

/* A character is taken back by backspace, blank, backspace; it is gone with the first of them. True: @b is another. */
static bool is_rubout(struct sac *s, uint8_t b)
{
	const uint8_t before = s->rubout;

	s->rubout = b == '\b';
	if (before == 1 && b == ' ') {
		s->rubout = 2;
		if (s->turned > 0 && ++s->blanks == s->turned)
			s->turned = 0;
		return true;
	}
	if (before == 2 && b == '\b')
		s->rubout = 0;
	return before == 2 && b == '\b';
}

void sac_take(struct sac *s, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\r' && s->blanks > 0)
			s->turned = 0;
		if (p[i] == 0 || p[i] == '\r' || is_escape(s, p[i]) || is_rubout(s, p[i]))
			continue;
		if (s->turned > 0 && goes_over(s, p[i]))
			continue;
		if (p[i] == '\b') {
			if (s->line_n > 0)
				s->line[--s->line_n] = '\0';
			continue;
		}
		add(s, (char)p[i]);
	}
}

/* From Microsoft's "Bug Check Code Reference", each by the page of its own: SAC_STOP_SEE. */
static const struct sac_stop stops[] = {
	{ 0x0a, "IRQL_NOT_LESS_OR_EQUAL",
	  "a driver touched memory that was not there: the newest one",
	  "0xa--irql-not-less-or-equal" },
	{ 0x1a, "MEMORY_MANAGEMENT",
	  "the memory's own lists are wrong: a driver, or the host's memory",
	  "0x1a--memory-management" },
	{ 0x1e, "KMODE_EXCEPTION_NOT_HANDLED",
	  "an exception in a driver: its name is on the screen",
	  "0x1e--kmode-exception-not-handled" },
	{ 0x3b, "SYSTEM_SERVICE_EXCEPTION",
	  "an exception in a system call: drivers of antivirus, graphics",
	  "0x3b--system-service-exception" },
	{ 0x3e, "MULTIPROCESSOR_CONFIGURATION_NOT_SUPPORTED",
	  "the processors differ: cpus.topology",
	  "0x3e--multiprocessor-configuration-not-supported" },
	{ 0x50, "PAGE_FAULT_IN_NONPAGED_AREA", "a driver, or a damaged disk: sill image check",
	  "0x50--page-fault-in-nonpaged-area" },
	{ 0x5c, "HAL_INITIALIZATION_FAILED", "a clock or interrupt chip: cpus.kvm_hyperv",
	  "0x5c--hal-initialization-failed" },
	{ 0x5d, "UNSUPPORTED_PROCESSOR", "the processor's features: cpus, sill explain hyperv",
	  "0x5d--unsupported-processor" },
	{ 0x74, "BAD_SYSTEM_CONFIG_INFO", "the registry or the boot configuration is damaged",
	  "0x74--bad-system-config-info" },
	{ 0x7b, "INACCESSIBLE_BOOT_DEVICE", "no driver for the boot disk: viostor is not installed",
	  "0x7b--inaccessible-boot-device" },
	{ 0x7e, "SYSTEM_THREAD_EXCEPTION_NOT_HANDLED", "an exception in a driver's thread",
	  "0x7e--system-thread-exception-not-handled" },
	{ 0x7f, "UNEXPECTED_KERNEL_MODE_TRAP",
	  "a trap of the processor; 8 is a double fault: a stack",
	  "0x7f--unexpected-kernel-mode-trap" },
	{ 0x80, "NMI_HARDWARE_FAILURE",
	  "an NMI: somebody asked for a dump, or the host reports a fault",
	  "0x80--nmi-hardware-failure" },
	{ 0xa5, "ACPI_BIOS_ERROR", "the ACPI tables: a fault of Sill's, please report it",
	  "0xa5--acpi-bios-error" },
	{ 0xc4, "DRIVER_VERIFIER_DETECTED_VIOLATION", "the driver that the verifier names",
	  "0xc4--driver-verifier-detected-violation" },
	{ 0xd1, "DRIVER_IRQL_NOT_LESS_OR_EQUAL", "a driver: network and storage drivers first",
	  "0xd1--driver-irql-not-less-or-equal" },
	{ 0xe2, "MANUALLY_INITIATED_CRASH", "somebody asked for it: crashdump, or a key",
	  "0xe2--manually-initiated-crash" },
	{ 0xef, "CRITICAL_PROCESS_DIED", "a process of Windows itself has ended: damaged files",
	  "0xef--critical-process-died" },
	{ 0xf4, "CRITICAL_OBJECT_TERMINATION", "likewise; often the disk is gone",
	  "0xf4--critical-object-termination" },
	{ 0x101, "CLOCK_WATCHDOG_TIMEOUT",
	  "a vCPU stood still: an overloaded host, cpus.kvm_hyperv",
	  "0x101---clock-watchdog-timeout" },
	{ 0x133, "DPC_WATCHDOG_VIOLATION", "a driver or vCPU took too long: an overloaded host",
	  "0x133-dpc-watchdog-violation" },
	{ 0x139, "KERNEL_SECURITY_CHECK_FAILURE", "a driver has damaged a list",
	  "0x139--kernel-security-check-failure" },
};

const struct sac_stop *sac_stop_find(uint32_t code)
{
	for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++)
		if (stops[i].code == code)
			return &stops[i];
	return NULL;
}
