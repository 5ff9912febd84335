/* SPDX-License-Identifier: Apache-2.0 */
/* handlers_sill.c - the endpoints that Cloud Hypervisor has not: what the VM is in Sill's words, and events. */
#include <string.h>

#include "runner/api/handlers.h"
#include "runner/api/life.h"

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
