/* SPDX-License-Identifier: Apache-2.0 */
/* net.c - sill net VERB: the network of guests, from the host's side. */
#include "runner/net/verbs.h"

static const struct verb *const verbs[] = {
#define NET_VERB(name) &net_verb_##name,
#include "runner/net/verbs.def"
#undef NET_VERB
	NULL,
};

static int run(int argc, char **argv)
{
	int status;
	const struct verb *v = cmd_verb_of(&verb_net, argc, argv, &status);

	return v != NULL ? v->run(argc - 1, argv + 1) : status;
}

const struct verb verb_net = {
	.name = "net",
	.args = "VERB ...",
	.summary = "ask for services of guests",
	.help = "`sill net VERB --help` tells all about one.\n",
	.verbs = verbs,
	.run = run,
};
