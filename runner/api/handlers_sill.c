/* SPDX-License-Identifier: Apache-2.0 */
/* handlers_sill.c - the endpoints that Cloud Hypervisor has not: what the VM is in Sill's words, and events. */
#include <string.h>
#include <unistd.h>

#include "runner/api/handlers.h"
#include "runner/api/life.h"
#include "runner/net/netstate.h"

void api_sill_manifest(struct api_call *c)
{
	json_t *m = life_manifest(c->api->life);

	if (m != NULL)
		api_json(c, m);
	else
		api_fail(c, 404, "VM is not created");
}

/* JSON lines, for as long as the client stays; with ?new an empty one first, then what comes from now on. */
void api_sill_events(struct api_call *c)
{
	c->status = 200;
	c->type = "application/x-ndjson";
	c->stream = true;
	c->only_new = strcmp(c->query, "new") == 0;
}

/* On a worker: the packet filter is asked. */
void api_sill_net_status(struct api_call *c)
{
	struct sill_vm *vm = api_hold(c);
	struct netstate s = { .pid = getpid(), .vm = vm };
	struct sill_config value;
	struct sill_err e = { 0 };
	json_t *o;

	if (vm == NULL)
		return;
	if (sill_vm_config_now(vm, &value, &e) < 0) {
		life_release(c->api->life);
		api_fail_err(c, "The network cannot be looked at", &e);
		return;
	}
	s.c = &value;
	s.forwards = life_forwards(c->api->life);
	o = netstate_json(&s);
	sill_config_free(&value);
	life_release(c->api->life);
	if (o != NULL)
		api_json(c, o);
	else
		api_fail(c, 500, "No memory");
}
