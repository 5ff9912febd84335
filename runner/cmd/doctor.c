/* SPDX-License-Identifier: Apache-2.0 */
/* doctor.c - sill doctor: can guests run here? */
#include "runner/host/doctor.h"
#include "runner/cmd/cmd.h"
#include "runner/host/clean.h"
#include "runner/report/diag.h"
#include "runner/report/json.h"

static const char *const level_names[] = {
	[FINDING_OK] = "ok",
	[FINDING_NOTE] = "note",
	[FINDING_BAD] = "bad",
};

static int print_json(const struct finding *list, size_t count, bool able)
{
	json_t *o = json_object(), *all = json_array();

	for (size_t i = 0; i < count; i++) {
		json_t *g = json_object();

		(void)json_object_set_new(g, "topic", json_text(list[i].topic));
		(void)json_object_set_new(g, "level", json_text(level_names[list[i].level]));
		(void)json_object_set_new(g, "text", json_text(list[i].text));
		if (list[i].fix[0] != '\0')
			(void)json_object_set_new(g, "fix", json_text(list[i].fix));
		(void)json_array_append_new(all, g);
	}
	(void)json_object_set_new(o, "able", json_boolean(able));
	(void)json_object_set_new(o, "findings", all);
	return json_print(stdout, o);
}

static void print_text(const struct finding *list, size_t count, bool able)
{
	static const char *const colours[] = {
		[FINDING_OK] = "\033[32m",
		[FINDING_NOTE] = "\033[33m",
		[FINDING_BAD] = "\033[31m",
	};
	bool colour = colour_wanted(stdout);

	for (size_t i = 0; i < count; i++) {
		const struct finding *g = &list[i];

		(void)printf("%s%-4s%s %-10s %s\n", colour ? colours[g->level] : "",
			     level_names[g->level], colour ? "\033[0m" : "", g->topic, g->text);
		if (g->fix[0] != '\0')
			(void)printf("     %-10s fix: %s\n", "", g->fix);
	}
	(void)printf("\n%s\n", able ? "Guests can run here." : "Guests cannot run here.");
}

/* ---- --clean ---- */

struct cleaned {
	json_t *list; /* owned; NULL: as text */
	unsigned count, left;
};

static void on_cleaned(void *ctx, bool done, const char *text)
{
	struct cleaned *c = ctx;

	c->count++;
	c->left += !done;
	if (c->list == NULL) {
		(void)printf("%s%s\n", done ? "" : "left: ", text);
		return;
	}
	(void)json_array_append_new(c->list,
				    json_pack("{s:b,s:o}", "done", done, "text", json_text(text)));
}

static int clean(bool json)
{
	struct cleaned c = { .list = json ? json_array() : NULL };

	host_clean(on_cleaned, &c);
	if (json && json_print(stdout, json_pack("{s:o}", "cleaned", c.list)) < 0)
		return CMD_FAILED;
	if (!json && c.count == 0)
		(void)puts("nothing was left behind");
	return c.left > 0 ? CMD_HOST : CMD_DONE;
}

static int run(int argc, char **argv)
{
	bool json = false, cleaning = false, able = true;
	const struct opt opts[] = { { .name = "json", .flag = &json },
				    { .name = "clean", .flag = &cleaning } };
	int n = cmd_options(&verb_doctor, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));
	struct finding list[FINDINGS_MAX];
	size_t count;

	if (n == CMD_OPTS_HELP)
		return CMD_DONE;
	if (n != 0)
		return n > 0 ? cmd_usage(&verb_doctor, "takes no operands") : CMD_FAILED;
	if (cleaning)
		return clean(json);
	count = doctor_examine(list);
	for (size_t i = 0; i < count; i++)
		able &= list[i].level != FINDING_BAD;
	if (!json)
		print_text(list, count, able);
	else if (print_json(list, count, able) < 0)
		return CMD_FAILED;
	return able ? CMD_DONE : CMD_HOST;
}

const struct verb verb_doctor = {
	.name = "doctor",
	.args = "[--json] [--clean]",
	.summary = "say whether this machine can run guests, and what to do if not",
	.help = "Looks at the kernel, the CPU, /dev/kvm, firmware, /dev/net/tun and huge pages, "
		"and\n"
		"runs a tiny guest for at most half a second: a /dev/kvm that opens may still have "
		"no\n"
		"virtualization behind it. Needs no root.\n"
		"\n"
		"  ok    fine\n"
		"  note  guests can run, but not every manifest\n"
		"  bad   no guest can run\n"
		"\n"
		"  --clean  instead of all that, put right what VMs have left behind that were\n"
		"           killed: forwarding of interfaces, runtime directories. What belongs "
		"to\n"
		"           a VM that runs is not touched. Needs the rights that the VM had.\n"
		"\n"
		"exit status: 0 a guest can run here, 3 none can; with --clean, 3: something "
		"stays\n",
	.run = run,
};
