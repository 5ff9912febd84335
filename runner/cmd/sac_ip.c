/* SPDX-License-Identifier: Apache-2.0 */
/* sac_ip.c - sill sac VM ip [set ADDRESS MASK GATEWAY | auto]. */
#include "runner/sac/ip.h"

#include <string.h>

#include "runner/cmd/sac.h"
#include "runner/host/clock.h"
#include "runner/host/rundir.h"

enum {
	LOOKS = 10,     /* for the address that was set, */
	LOOK_MS = 1000, /* one after the other */
};

static int find_number(struct sac_call *c, const struct sac_ip *ip, int *ret, struct sill_err *e)
{
	if (sac_call_say(c, "i", false, e) < 0)
		return -1;
	*ret = sac_ip_interface(c->sac.text);
	if (*ret > 0)
		return 0;
	sac_call_print(c);
	(void)sill_err_set(e, SILL_ERR_STATE, "there is not one network interface");
	return sill_err_hint(e, "at the prompt of `sill console %s`: i NUMBER %s %s %s", c->vm,
			     ip->address, ip->mask, ip->gateway);
}

/* Nothing that comes is waited for, but the time. 0, or -1 and @e. */
static int pass(struct sac_call *c, struct sill_err *e)
{
	const uint64_t until = sac_call_until(c, LOOK_MS);

	while (clock_ms() < until)
		if (c->wire.hear(c->wire.ctx, until, e) < 0)
			return -1;
	return 0;
}

/* What SAC says to it is of Windows' language; that it is so, is seen. */
static int set(struct sac_call *c, const struct sac_ip *ip, struct sill_err *e)
{
	char command[128];
	int number;

	if (find_number(c, ip, &number, e) < 0)
		return -1;
	(void)snprintf(command, sizeof(command), "i %d %s %s %s", number, ip->address, ip->mask,
		       ip->gateway);
	if (sac_call_say(c, command, false, e) < 0)
		return -1;
	sac_call_print(c);
	for (unsigned i = 0; i < LOOKS; i++) {
		if ((i > 0 && pass(c, e) < 0) || sac_call_say(c, "i", false, e) < 0)
			return -1;
		if (sac_ip_has(c->sac.text, ip->address))
			return 0;
	}
	sac_call_print(c);
	return sill_err_set(e, SILL_ERR_STATE, "Windows does not have the address %s", ip->address);
}

static int find_auto(const struct sac_call *c, struct sac_ip *ret, struct sill_err *e)
{
	struct sill_config m = { 0 };
	struct rundir_vm vm;
	int done;

	if (strchr(c->vm, '/') != NULL)
		return sill_err_set(e, SILL_ERR_STATE, "auto needs the name of a VM");
	if (rundir_find(c->vm, &vm, e) < 0 || rundir_read_manifest(&vm, &m, e) < 0)
		return -1;
	done = sac_ip_auto(&m, ret, e);
	sill_config_free(&m);
	return done;
}

int sac_call_ip(struct sac_call *c, int argc, char **argv)
{
	struct sill_err e = { 0 };
	struct sac_ip ip = { 0 };

	if (argc == 0)
		return sac_call_say(c, "i", false, &e) < 0 ? cmd_error(&e)
							   : (sac_call_print(c), CMD_DONE);
	if (argc == 1 && strcmp(argv[0], "auto") == 0) {
		if (find_auto(c, &ip, &e) < 0 || set(c, &ip, &e) < 0)
			return cmd_error(&e);
		return CMD_DONE;
	}
	if (argc != 4 || strcmp(argv[0], "set") != 0)
		return cmd_usage(&verb_sac, "ip [set ADDRESS MASK GATEWAY | auto]");
	for (int i = 1; i < 4; i++)
		if (strlen(argv[i]) >= sizeof(ip.address))
			return cmd_usage(&verb_sac, "'%s' is no IPv4 address", argv[i]);
	(void)snprintf(ip.address, sizeof(ip.address), "%s", argv[1]);
	(void)snprintf(ip.mask, sizeof(ip.mask), "%s", argv[2]);
	(void)snprintf(ip.gateway, sizeof(ip.gateway), "%s", argv[3]);
	return sac_ip_check(&ip, &e) < 0 || set(c, &ip, &e) < 0 ? cmd_error(&e) : CMD_DONE;
}
