/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h - is a document right? All that is wrong is said at once.
 *
 *   check_document  every node against its row of the table
 *   value_make      the value of it all (value.c), which the rest is about
 *   check_defaults  put in what was not written, so that the rules see it all (defaults.c)
 *   check_rules     what one key asks of another (rules.c)
 *   check_on_host   what they ask of the host's CPU, memory and kernel (host_rules.c)
 *   check_files     what the host's files must be (paths.c)
 *
 * The later steps look only at what the earlier ones found right, so that one
 * mistake is one message. A member of the value leads back to its node (place_at()).
 */
#ifndef RUNNER_MANIFEST_CHECK_H
#define RUNNER_MANIFEST_CHECK_H

#include "runner/host/facts.h"
#include "runner/manifest/arena.h"
#include "runner/manifest/node.h"
#include "runner/manifest/value.h"
#include "runner/report/diag.h"

struct forward_spec;

/* Public struct. All borrowed. */
struct check {
	struct arena *a;
	struct diags *d;
	const struct host_facts *host; /* NULL: the host is not asked */
	const char *dir;      /* relative paths begin here; absolute, without '/' at the end */
	struct places places; /* of the document that is looked at */
	bool no_memory;
	/* What the VMs hold while they run (shares.c). */
	struct held **held;
	size_t held_count;
	unsigned doc;           /* of the document that is looked at */
	const char *vm;         /* its name */
	const struct node *smm; /* a firmware.code that leads to a build for SMM; NULL: none */
	/* Paths of raw disks whose contents are another program's; the first few. */
	const struct node *foreign[8];
	unsigned foreign_count;
};

void check_document(struct check *c, struct node *root);
void check_defaults(struct check *c, struct sill_config *v);
void check_rules(struct check *c, const struct sill_config *v);
void check_on_host(struct check *c, const struct sill_config *v);
void check_files(struct check *c, const struct sill_config *v);

/* A value of one row, without a document around it: used for defaults and examples. */
void check_value(struct check *c, const struct key *row, struct node *n, const char *path);

/* A member that is a list of host CPUs: each once, and there (rules.c). */
void check_host_cpus(struct check *c, uint16_t *const *list, unsigned count);

/* No two entries of a list with the same value of @key (rules.c). */
struct list {
	const struct section *section; /* of an entry */
	const void *first;
	unsigned count;
	size_t size; /* of an entry */
};
void check_unique(struct check *c, const struct list *l, const char *key);

/* Members, of which one is given, and of the right form: endpoint.h (rules.c). */
bool check_tcp_end(struct check *c, char *const *listen, char *const *connect);

/* memory_rules.c */
void check_memory_rules(struct check *c, const struct sill_config *v);

/* disk_rules.c */
void check_disk_rules(struct check *c, const struct sill_config *v);
/* Does the VM write to the disk's image? */
bool disk_is_written(const struct check *c, const struct sill_disk_config *d);

/* debug_rules.c */
void check_debug_rules(struct check *c, const struct sill_config *v);
/* net_rules.c */
void check_net_rules(struct check *c, const struct sill_config *v);

/* port_rules.c */
void check_port_rules(struct check *c, const struct sill_config *v);
/* Who listens at a port of the host by the value itself: its serial ports and debuggers; forwards are the cards'. */
typedef void check_listener_fn(void *ctx, const struct node *n, const struct forward_spec *at);
void check_listeners(struct check *c, const struct sill_config *v, check_listener_fn *each,
		     void *ctx);

/* ready_rules.c */
void check_ready_rules(struct check *c, const struct sill_config *v);

/* Limits that may share groups; @what they are of: "disks". */
void check_rates(struct check *c, const struct sill_rate_limit *const *list, unsigned count,
		 const char *what);
/* net_ends.c */
void check_net_end(struct check *c, const struct sill_config *v, unsigned card);
void check_net_end_on_host(struct check *c, const struct sill_net_config *n);

static inline bool is_power_of_two(uint64_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

/* A mistake at @n, or at its key. */
struct diag *check_fail(struct check *c, const struct node *n, const char *fmt, ...)
	SILL_PRINTF(3, 4);
struct diag *check_fail_key(struct check *c, const struct node *n, const char *fmt, ...)
	SILL_PRINTF(3, 4);

/* The path in a node as the host takes it: absolute. NULL without memory. */
const char *check_path(struct check *c, const struct node *n);

#endif
