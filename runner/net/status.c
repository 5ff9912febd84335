/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.c - sill net status: what is to be known of a running VM's network.
 *
 * The VM is asked, by its control socket. One that does not answer is looked at from outside: its
 * effective manifest as it was at the start, and the host as it is now.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/api/ask.h"
#include "runner/cmd/open.h"
#include "runner/host/rundir.h"
#include "runner/net/netstate.h"
#include "runner/net/verbs.h"
#include "runner/report/json.h"
#include "runner/report/text.h"

enum { PATIENCE_S = 5 }; /* then it is looked at from outside */

/* Is it a manifest rather than the name of a VM? */
static bool is_file(const char *word)
{
	struct stat st;

	return strchr(word, '/') != NULL || (stat(word, &st) == 0 && S_ISREG(st.st_mode));
}

/* The name of the VM that the file is about. 0, or an exit status. */
static int name_in(const char *path, const char *wanted, char ret[64])
{
	struct mfile *f;
	int status = cmd_open(path, wanted, false, &f);

	if (status != CMD_DONE)
		return status;
	if (wanted == NULL && f->count != 1)
		status = cmd_usage(&net_verb_status, "'%s' has %zu VMs: choose with --name", path,
				   f->count);
	else
		(void)snprintf(ret, 64, "%s", wanted != NULL ? wanted : f->docs[0].m->name);
	mfile_destroy(f);
	return status;
}

static json_t *ask_vm(const struct rundir_vm *vm, struct sill_err *e)
{
	const struct ask_request q = { .method = "GET", .target = "/sill.net-status" };
	struct ask_answer a = { 0 };
	json_t *o = NULL;
	const int fd = ask_connect_vm(vm, PATIENCE_S, e);

	if (fd < 0)
		return NULL;
	if (ask(fd, &q, &a, e) == 0) {
		o = a.status == 200 ? json_loads(a.body, 0, NULL) : NULL;
		if (o == NULL)
			(void)sill_err_set(e, SILL_ERR_STATE, "status %u", a.status);
	}
	free(a.body);
	(void)close(fd);
	return o;
}

static json_t *look_from_outside(const struct rundir_vm *vm, struct sill_err *e)
{
	struct sill_config c;
	json_t *o;

	if (rundir_read_manifest(vm, &c, e) < 0)
		return NULL;
	o = netstate_json(&(struct netstate){ .c = &c, .pid = vm->pid });
	sill_config_free(&c);
	return o;
}

static int show(const char *name, bool json)
{
	struct sill_err e = { 0 };
	struct rundir_vm vm;
	json_t *o;

	if (rundir_find(name, &vm, &e) < 0)
		return cmd_error(&e);
	o = ask_vm(&vm, &e);
	if (o == NULL) {
		struct sill_err why = { 0 };

		(void)fprintf(stderr,
			      "sill: '%s' does not answer: %s; this is what is seen from outside\n",
			      name, e.msg);
		o = look_from_outside(&vm, &why);
		if (o == NULL)
			return cmd_error(&why);
	}
	if (json)
		return json_print(stdout, o) < 0 ? CMD_FAILED : CMD_DONE;
	netstate_print(stdout, o);
	json_decref(o);
	return CMD_DONE;
}

static int run(int argc, char **argv)
{
	const char *wanted = NULL;
	bool json = false;
	const struct opt opts[] = { { .name = "name", .text = &wanted },
				    OPEN_OPTS,
				    { .name = "json", .flag = &json } };
	int n = cmd_options(&net_verb_status, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));
	char name[64];

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 1)
		return cmd_usage(&net_verb_status, "a manifest or the name of a VM is needed");
	open_choose(argv[1], &wanted);
	if (is_file(argv[1])) {
		const int status = name_in(argv[1], wanted, name);

		if (status != CMD_DONE)
			return status;
		return show(name, json);
	}
	return show(argv[1], json);
}

const struct verb net_verb_status = {
	.name = "net status",
	.args = "[--name VM] " OPEN_ARGS " [--json] FILE|NAME",
	.summary = "tell all about the network of a VM that runs",
	.help = "Addresses, leases, counters, forwards, and what is in the way: firewalls that "
		"drop,\n"
		"devices that are down or gone, a cable that is pulled, a guest that has not "
		"asked\n"
		"for an address; each with the command that helps, if there is one. FILE is the\n"
		"manifest it was started from, NAME what the VM is called.\n"
		"\n"
		"  --name VM  which one, when the file has several\n" OPEN_HELP
		"  --json     one object: vm, pid, net, a list: id, kind, device, there, up, mac, "
		"mtu, "
		"link,\n"
		"             driver, queues, frames, host, host6, guest, nat, counters, "
		"forwards, "
		"in_the_way\n"
		"\n"
		"exit status\n"
		"  0  it runs, and that is what is known\n"
		"  1  no such VM runs, or wrong usage\n"
		"  2  the manifest is wrong\n",
	.run = run,
};
