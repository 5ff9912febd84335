/* SPDX-License-Identifier: Apache-2.0 */
/* verbs.h - the verbs of `sill net`: one file each, ending in net_verb_<name>, and a line in verbs.def. */
#ifndef RUNNER_NET_VERBS_H
#define RUNNER_NET_VERBS_H

#include "runner/cmd/cmd.h"

#define NET_VERB(name) extern const struct verb net_verb_##name;
#include "runner/net/verbs.def"
#undef NET_VERB

#endif
