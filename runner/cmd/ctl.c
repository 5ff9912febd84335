/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ctl.c - sill ctl NAME VERB: ask a VM that runs, or have it do something, through its control API.
 *
 * A verb is a row: an endpoint, and what becomes of the words behind it.
 */
#include "runner/cmd/cmd.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/api/ask.h"
#include "runner/api/vmfields.h"
#include "runner/cmd/cardwords.h"
#include "runner/host/worker.h"
#include "runner/image/verbs.h"
#include "runner/manifest/scalar.h"
#include "runner/report/json.h"
#include "runner/report/text.h"

enum { PATH_ROOM = 512 };

/* What resize changes: options, words with a '=', fields of the body. */
enum { SIZES = 3 };
static const char *const sizes[SIZES][2] = { { "cpus", "desired_vcpus" },
					     { "memory", "desired_ram" },
					     { "balloon", "desired_balloon" } };

struct ctl {
	const char *name; /* of the VM, or a socket's path */
	char path[PATH_ROOM];
	bool wait;
	const char *size[SIZES]; /* of resize, by option; NULL: not given */
	int fd;                  /* owned */
	char **words;
	int count;
};

struct ctl_verb {
	const char *name;
	const char *method, *target;
	/* The body of the request; NULL: it is wrong, and that was said. Absent: there is none. */
	json_t *(*body)(const struct ctl *c);
	/* Instead of one request and its answer. */
	int (*run)(struct ctl *c, const struct ctl_verb *v);
};

/* ---- words into bodies ---- */

static const struct field *find_field(const struct field *fields, const char *name, size_t n)
{
	while (fields->name != NULL &&
	       (strlen(fields->name) != n || strncmp(fields->name, name, n) != 0))
		fields++;
	return fields->name != NULL ? fields : NULL;
}

/* 20G, 4096: NULL when it is neither. */
static json_t *size_value(const char *text)
{
	uint64_t v;

	if (scalar_size(text, &v) != SCALAR_OK && scalar_uint(text, &v) != SCALAR_OK)
		return NULL;
	return v <= INT64_MAX ? json_integer((json_int_t)v) : NULL;
}

static json_t *bool_value(const char *text)
{
	if (text[0] == '\0' || strcmp(text, "on") == 0 || strcmp(text, "true") == 0)
		return json_true();
	return strcmp(text, "off") == 0 || strcmp(text, "false") == 0 ? json_false() : NULL;
}

/* The VM's process may be elsewhere. */
static json_t *path_value(const char *text)
{
	char full[PATH_MAX];

	return json_string(realpath(text, full) != NULL ? full : text);
}

static json_t *image_type_value(const char *text)
{
	static const char *const types[] = { "Raw", "Qcow2", "FixedVhd", "Vhdx", "Unknown" };

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcasecmp(types[i], text) == 0)
			return json_string(types[i]);
	return json_string(strcasecmp(text, "vhd") == 0 ? "FixedVhd" : text);
}

/* One that need not be there yet. */
static json_t *socket_value(const char *text)
{
	char dir[PATH_MAX];

	if (text[0] == '/' || getcwd(dir, sizeof(dir)) == NULL)
		return json_string(text);
	return json_sprintf("%s/%s", dir, text);
}

/* As the field's row has it; the others are text. */
static json_t *value_of(const struct field *f, const char *text)
{
	if (strcmp(f->name, "path") == 0)
		return path_value(text);
	if (strcmp(f->name, "socket") == 0)
		return socket_value(text);
	if (strcmp(f->name, "image_type") == 0)
		return image_type_value(text);
	if (f->kind == FIELD_BOOL || strcmp(f->name, "sparse") == 0 ||
	    strcmp(f->name, "backing_files") == 0)
		return bool_value(text);
	if (f->kind == FIELD_UINT || f->kind == FIELD_SIZE || strcmp(f->name, "num_queues") == 0)
		return size_value(text);
	return json_string(text);
}

static int put_field(json_t *o, const struct field *fields, char *word)
{
	char *equals = strchr(word, '=');
	const size_t n = equals != NULL ? (size_t)(equals - word) : strlen(word);
	const struct field *f = find_field(fields, word, n);
	json_t *v;

	if (f == NULL) {
		text_say(stderr, "sill: there is no field '%.*s'", (int)n, word);
		return -1;
	}
	v = value_of(f, equals != NULL ? equals + 1 : "");
	if (v == NULL) {
		text_say(stderr, "sill: %s: '%s' is no value for it", f->name,
			 equals != NULL ? equals + 1 : "");
		return -1;
	}
	return json_object_set_new(o, f->name, v);
}

/* "path=a.img,readonly=on" */
static json_t *fields_of(const struct ctl *c, const struct field *fields)
{
	json_t *o = json_object();

	for (int i = 0; i < c->count; i++) {
		char *rest = c->words[i], *word;

		while ((word = strsep(&rest, ",")) != NULL) {
			if (*word == '\0' || put_field(o, fields, word) == 0)
				continue;
			json_decref(o);
			return NULL;
		}
	}
	return o;
}

static json_t *disk_body(const struct ctl *c)
{
	return fields_of(c, disk_fields);
}

static json_t *net_body(const struct ctl *c)
{
	return fields_of(c, net_fields);
}

static json_t *own_net_body(const struct ctl *c)
{
	return cardwords_entry(c->words, c->count);
}

static json_t *vsock_body(const struct ctl *c)
{
	return fields_of(c, vsock_fields);
}

static json_t *id_body(const struct ctl *c)
{
	if (c->count == 1)
		return json_pack("{s:s}", "id", c->words[0]);
	text_say(stderr, "sill: which device? One id is needed");
	return NULL;
}

static json_t *size_body(const struct ctl *c, const char *key)
{
	json_t *size = c->count == 2 ? size_value(c->words[1]) : NULL;

	if (size != NULL)
		return json_pack("{s:s,s:o}", "id", c->words[0], key, size);
	text_say(stderr, "sill: an id and a size are needed: disk0 20G");
	return NULL;
}

static json_t *link_body(const struct ctl *c)
{
	if (c->count == 2)
		return json_pack("{s:s,s:s}", "id", c->words[0], "link", c->words[1]);
	text_say(stderr, "sill: a card's id, and up or down, are needed: net0 down");
	return NULL;
}

static json_t *resize_disk_body(const struct ctl *c)
{
	return size_body(c, "desired_size");
}

static json_t *resize_zone_body(const struct ctl *c)
{
	return size_body(c, "desired_ram");
}

static bool put_size(json_t *o, size_t which, const char *text)
{
	json_t *v = size_value(text);

	if (v == NULL)
		text_say(stderr, "sill: %s: '%s' is no value for it", sizes[which][0], text);
	return v != NULL && json_object_set_new(o, sizes[which][1], v) == 0;
}

static bool put_size_word(json_t *o, const char *word)
{
	for (size_t i = 0; i < SIZES; i++) {
		const size_t n = strlen(sizes[i][0]);

		if (strncmp(word, sizes[i][0], n) == 0 && word[n] == '=')
			return put_size(o, i, word + n + 1);
	}
	text_say(stderr, "sill: '%s' is none of cpus=N, memory=SIZE, balloon=SIZE", word);
	return false;
}

static json_t *resize_body(const struct ctl *c)
{
	json_t *o = json_object();
	bool ok = true;

	for (size_t i = 0; i < SIZES && ok; i++)
		ok = c->size[i] == NULL || put_size(o, i, c->size[i]);
	for (int i = 0; i < c->count && ok; i++)
		ok = put_size_word(o, c->words[i]);
	/* The later word counts; else it would be 429 until the guest has given up what it was asked for before. */
	if (ok && json_object_get(o, "desired_vcpus") != NULL)
		ok = json_object_set_new(o, "supersede", json_true()) == 0;
	if (ok)
		return o;
	json_decref(o);
	return NULL;
}

/* The VM's process may be elsewhere, and the file need not be there. */
static json_t *url_of(const char *path)
{
	char here[PATH_MAX];

	if (path[0] == '/')
		return json_sprintf("file://%s", path);
	return getcwd(here, sizeof(here)) != NULL ? json_sprintf("file://%s/%s", here, path) : NULL;
}

/* A VM that runs is paused for it, and goes on when nothing comes of it, whatever becomes of us. */
static json_t *snapshot_body(const struct ctl *c)
{
	json_t *url = c->count == 1 ? url_of(c->words[0]) : NULL;

	if (url != NULL)
		return json_pack("{s:o,s:b}", "destination_url", url, "pause", 1);
	text_say(stderr, "sill: where to? One path is needed");
	return NULL;
}

/* A path, and then each NAME=on|off, which is @a or @b. */
static json_t *place_body(const struct ctl *c, const char *key, const char *a, const char *b)
{
	json_t *o = c->count > 0 ? json_pack("{s:o}", key, url_of(c->words[0])) : NULL;

	if (o == NULL)
		text_say(stderr, "sill: a path is needed");
	for (int i = 1; o != NULL && i < c->count; i++) {
		char *value = c->words[i];
		const char *name = strsep(&value, "=");
		json_t *v = bool_value(value != NULL ? value : "");

		if (v == NULL || (strcmp(name, a) != 0 && strcmp(name, b) != 0)) {
			json_decref(v);
			json_decref(o);
			text_say(stderr, "sill: '%s' is no switch here: `sill ctl --help`", name);
			return NULL;
		}
		(void)json_object_set_new(o, name, v);
	}
	return o;
}

static json_t *restore_body(const struct ctl *c)
{
	return place_body(c, "source_url", "prefault", "resume");
}

/* A VM that runs is paused for it, and goes on whatever becomes of us. */
static json_t *coredump_body(const struct ctl *c)
{
	json_t *o = place_body(c, "destination_url", "linear", "linear");

	if (o != NULL)
		(void)json_object_set_new(o, "pause", json_true());
	return o;
}

/* A VmConfig, from a file or standard input. */
static json_t *file_body(const struct ctl *c)
{
	json_error_t why;
	json_t *o;

	if (c->count > 1) {
		text_say(stderr, "sill: one file, or standard input");
		return NULL;
	}
	o = c->count == 0 || strcmp(c->words[0], "-") == 0
		    ? json_loadf(stdin, JSON_REJECT_DUPLICATES, &why)
		    : json_load_file(c->words[0], JSON_REJECT_DUPLICATES, &why);
	if (o == NULL)
		text_say(stderr, "sill: %s:%d: %s", c->count > 0 ? c->words[0] : "-", why.line,
			 why.text);
	return o;
}

/* ---- answers ---- */

/* JSON for people; other text as it is. */
static int print_body(const struct ask_answer *a)
{
	json_t *o = json_loadb(a->body, a->size, JSON_DECODE_ANY, NULL);

	if (o != NULL)
		return json_print(stdout, o) == 0 ? CMD_DONE : CMD_FAILED;
	return fwrite(a->body, 1, a->size, stdout) == a->size && fflush(stdout) == 0 ? CMD_DONE
										     : CMD_FAILED;
}

static int print_failure(const struct ask_answer *a)
{
	json_t *list = json_loadb(a->body, a->size, 0, NULL);

	if (json_array_size(list) == 0)
		text_say(stderr, "sill: the VM answers with status %u", a->status);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *s = json_string_value(json_array_get(list, i));

		text_say(stderr, "%s%s", i == 0 ? "sill: " : "   ", s != NULL ? s : "");
	}
	json_decref(list);
	return CMD_FAILED;
}

static int call(struct ctl *c, const char *method, const char *target, const json_t *body,
		struct ask_answer *ret)
{
	char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
	const struct ask_request q = { method, target, text };
	struct sill_err e = { 0 };
	int status = CMD_DONE;

	if (ask(c->fd, &q, ret, &e) < 0)
		status = cmd_error(&e);
	free(text);
	return status;
}

static int request(struct ctl *c, const struct ctl_verb *v)
{
	json_t *body = v->body != NULL ? v->body(c) : NULL;
	struct ask_answer a;
	int status;

	if (v->body != NULL && body == NULL)
		return CMD_FAILED;
	status = call(c, v->method, v->target, body, &a);
	json_decref(body);
	if (status != CMD_DONE)
		return status;
	status = a.status >= 300 ? print_failure(&a) : a.size > 0 ? print_body(&a) : CMD_DONE;
	free(a.body);
	return status;
}

/* A key of the manifest's own, and all of them are. */
static int run_add_net(struct ctl *c, const struct ctl_verb *v)
{
	const struct ctl_verb own = { .name = v->name,
				      .method = v->method,
				      .target = "/sill.add-net",
				      .body = own_net_body };

	return request(c, cardwords_are_own(c->words, c->count) ? &own : v);
}

/* ---- events ---- */

static int print_line(void *ctx, const char *line)
{
	(void)ctx;
	return puts(line) < 0 || fflush(stdout) != 0 ? CMD_FAILED : 0;
}

static int run_events(struct ctl *c, const struct ctl_verb *v)
{
	struct sill_err e = { 0 };
	const int ret = ask_lines(c->fd, v->target, print_line, NULL, &e);

	return ret < 0 ? cmd_error(&e) : ret;
}

struct awaited;

/* What is waited for: an event of this name, about this device if there is one. */
struct awaited {
	struct ctl *c;
	const struct ctl_verb *v;
	const char *good, *bad, *id;
	bool (*over)(struct awaited *w); /* of an event that is good: is that all? NULL: it is */
	bool asked;
	int status;
};

enum { ENOUGH = 1 };

/* What the guest has not consented to yet; the caller owns it. NULL: nobody can tell. */
static json_t *pending(struct ctl *c)
{
	struct ask_answer a;
	json_t *o;

	if (call(c, "GET", "/sill.pending", NULL, &a) != CMD_DONE)
		return NULL;
	o = a.status == 200 ? json_loadb(a.body, a.size, 0, NULL) : NULL;
	free(a.body);
	return o;
}

/* Who waits learns why nothing happens. */
static void say_unheard(struct ctl *c)
{
	json_t *o = pending(c);
	const json_t *cpus = json_object_get(o, "vcpus"), *memory = json_object_get(o, "memory");

	if ((json_array_size(json_object_get(o, "devices")) > 0 &&
	     json_is_false(json_object_get(o, "devices_heard"))) ||
	    (json_integer_value(json_object_get(cpus, "asked")) > 0 &&
	     json_is_false(json_object_get(cpus, "heard"))) ||
	    (json_integer_value(json_object_get(memory, "asked")) > 0 &&
	     json_is_false(json_object_get(memory, "heard"))))
		text_say(stdout,
			 "the guest's system does not listen yet: it is asked again when it does");
	json_decref(o);
}

/* The first line says that we listen; what is asked for then cannot be missed. */
static int hear(void *ctx, const char *line)
{
	struct awaited *w = ctx;
	json_t *o;
	const char *event, *id;
	int ret = 0;

	if (!w->asked) {
		w->asked = true;
		w->status = request(w->c, w->v);
		/* What there is already needs no waiting for. */
		if (w->status != CMD_DONE || (w->over != NULL && w->over(w)))
			return ENOUGH;
		if (w->over != NULL || w->bad != NULL)
			say_unheard(w->c);
		return 0;
	}
	o = json_loads(line, 0, NULL);
	event = json_string_value(json_object_get(o, "event"));
	id = json_string_value(json_object_get(json_object_get(o, "properties"), "id"));
	if (event != NULL && (w->id == NULL || (id != NULL && strcmp(id, w->id) == 0))) {
		if (strcmp(event, w->good) == 0 && (w->over == NULL || w->over(w)))
			ret = ENOUGH;
		if (w->bad != NULL && strcmp(event, w->bad) == 0) {
			text_say(stderr,
				 "sill: the guest has read twice that it is asked for '%s', and "
				 "keeps it",
				 w->id);
			w->status = CMD_GUEST;
			ret = ENOUGH;
		}
	}
	json_decref(o);
	return ret;
}

static int wait_for(struct awaited *w)
{
	struct sill_err e = { 0 };
	const int fd = ask_connect(w->c->path, 0, &e);
	int ret = -1;

	if (fd >= 0) {
		ret = ask_lines(fd, "/sill.events?new", hear, w, &e);
		(void)close(fd);
	}
	return ret < 0 ? cmd_error(&e) : w->status;
}

static void say_device_pending(struct ctl *c)
{
	json_t *o = pending(c), *ids = json_object_get(o, "devices");

	for (size_t i = 0; i < json_array_size(ids); i++)
		if (strcmp(json_string_value(json_array_get(ids, i)), c->words[0]) == 0)
			text_say(stdout,
				 "the guest is asked for '%s', and has it still; --wait waits "
				 "until it has gone",
				 c->words[0]);
	json_decref(o);
}

/* vCPUs, or bytes of memory, that the guest is asked for, and those it has said no to. */
static long long asked_of(struct ctl *c, long long *ret_refused)
{
	json_t *o = pending(c);
	const json_t *cpus = json_object_get(o, "vcpus"), *memory = json_object_get(o, "memory");
	const json_t *what = json_integer_value(json_object_get(cpus, "asked")) > 0 ? cpus : memory;
	const long long asked = json_integer_value(json_object_get(what, "asked"));

	*ret_refused = json_integer_value(json_object_get(what, "refused"));
	json_decref(o);
	return asked;
}

static bool sizes_are_settled(struct awaited *w)
{
	long long refused, asked = asked_of(w->c, &refused);

	if (asked == 0)
		return true;
	if (refused < asked)
		return false;
	text_say(stderr,
		 "sill: the guest keeps what it was asked for (%lld); it goes with its next reset",
		 asked);
	w->status = CMD_GUEST;
	return true;
}

/* Nothing to wait for: no event will come. */
static int resize_and_look(struct ctl *c, const struct ctl_verb *v)
{
	long long refused, asked;
	const int status = request(c, v);

	if (status != CMD_DONE)
		return status;
	asked = asked_of(c, &refused);
	if (asked > 0)
		text_say(
			stdout,
			"the guest is asked for some of it (%lld), and has it still: pending tells",
			asked);
	return CMD_DONE;
}

static int run_resize(struct ctl *c, const struct ctl_verb *v)
{
	struct awaited w = { .c = c, .v = v, .good = "resized", .over = sizes_are_settled };

	return c->wait ? wait_for(&w) : resize_and_look(c, v);
}

static int run_remove(struct ctl *c, const struct ctl_verb *v)
{
	struct awaited w = { .c = c, .v = v, .good = "device-removed", .bad = "device-kept" };
	int status;

	if (c->wait && c->count == 1) {
		w.id = c->words[0];
		return wait_for(&w);
	}
	status = request(c, v);
	if (status == CMD_DONE)
		say_device_pending(c);
	return status;
}

static int run_power(struct ctl *c, const struct ctl_verb *v)
{
	struct awaited w = { .c = c, .v = v, .good = "shutdown" };

	return c->wait ? wait_for(&w) : request(c, v);
}

/* ---- what takes long ---- */

struct painter {
	struct image_progress bar;
	int fd; /* of events; -1: none */
};

static int paint(void *ctx, const char *line)
{
	struct painter *p = ctx;
	json_t *o = json_loads(line, 0, NULL), *of = json_object_get(o, "properties");
	const char *event = json_string_value(json_object_get(o, "event"));

	if (event != NULL && strcmp(event, "progress") == 0)
		(void)image_progress(&p->bar,
				     (uint64_t)json_integer_value(json_object_get(of, "done")),
				     (uint64_t)json_integer_value(json_object_get(of, "size")));
	json_decref(o);
	return 0;
}

/* Ends when the connection is shut down. */
static void *paint_all(void *ctx)
{
	struct painter *p = ctx;

	(void)ask_lines(p->fd, "/sill.events?new", paint, p, &(struct sill_err){ 0 });
	return NULL;
}

static int request_painted(struct ctl *c, const struct ctl_verb *v)
{
	struct sill_err e = { 0 };
	struct painter p = { .bar = { .what = v->name }, .fd = -1 };
	bool painted = false;
	pthread_t thread;
	int status;

	if (isatty(STDERR_FILENO) == 1)
		p.fd = ask_connect(c->path, 0, &e);
	if (p.fd >= 0)
		painted = worker_create(&thread, paint_all, &p, WORKER_STACK) == 0;
	status = request(c, v);
	if (painted) {
		(void)shutdown(p.fd, SHUT_RDWR);
		(void)pthread_join(thread, NULL);
		image_progress_end(&p.bar);
	}
	if (p.fd >= 0)
		(void)close(p.fd);
	return status;
}

static int run_snapshot(struct ctl *c, const struct ctl_verb *v)
{
	const bool made = c->count == 1 && mkdir(c->words[0], 0700) == 0;
	const int status = request_painted(c, v);

	if (status == CMD_DONE)
		text_say(stdout,
			 "'%s' is paused: end it (quit), or copy its disks with their times (cp "
			 "-p) before it goes on (resume)",
			 c->name);
	else if (made)
		(void)rmdir(c->words[0]);
	return status;
}

/* ---- the verbs ---- */

/* clang-format off */
static const struct ctl_verb verbs[] = {
	{ "info", "GET", "/vm.info", NULL, NULL },
	{ "counters", "GET", "/vm.counters", NULL, NULL },
	{ "metrics", "GET", "/sill.metrics", NULL, NULL },
	{ "manifest", "GET", "/sill.manifest", NULL, NULL },
	{ "pending", "GET", "/sill.pending", NULL, NULL },
	{ "events", "GET", "/sill.events", NULL, run_events },
	{ "ping", "GET", "/vmm.ping", NULL, NULL },
	{ "pause", "PUT", "/vm.pause", NULL, NULL },
	{ "resume", "PUT", "/vm.resume", NULL, NULL },
	{ "reset", "PUT", "/vm.reboot", NULL, NULL },
	{ "power-button", "PUT", "/vm.power-button", NULL, run_power },
	{ "nmi", "PUT", "/vm.nmi", NULL, NULL },
	{ "resize", "PUT", "/vm.resize", resize_body, run_resize },
	{ "resize-zone", "PUT", "/vm.resize-zone", resize_zone_body, NULL },
	{ "resize-disk", "PUT", "/vm.resize-disk", resize_disk_body, NULL },
	{ "add-disk", "PUT", "/vm.add-disk", disk_body, NULL },
	{ "add-net", "PUT", "/vm.add-net", net_body, run_add_net },
	{ "add-vsock", "PUT", "/vm.add-vsock", vsock_body, NULL },
	{ "remove", "PUT", "/vm.remove-device", id_body, run_remove },
	{ "link", "PUT", "/sill.set-link", link_body, NULL },
	{ "snapshot", "PUT", "/vm.snapshot", snapshot_body, run_snapshot },
	{ "coredump", "PUT", "/vm.coredump", coredump_body, request_painted },
	{ "restore", "PUT", "/vm.restore", restore_body, NULL },
	{ "create", "PUT", "/vm.create", file_body, NULL },
	{ "boot", "PUT", "/vm.boot", NULL, NULL },
	{ "shutdown", "PUT", "/vm.shutdown", NULL, NULL },
	{ "delete", "PUT", "/vm.delete", NULL, NULL },
	{ "quit", "PUT", "/vmm.shutdown", NULL, NULL },
};
/* clang-format on */

enum { VERBS = sizeof(verbs) / sizeof(verbs[0]) };

static const char *word(size_t i)
{
	return i < sizeof(verbs) / sizeof(verbs[0]) ? verbs[i].name : NULL;
}

static const struct ctl_verb *find_verb(const char *vm, const char *name)
{
	for (size_t i = 0; i < VERBS; i++)
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	(void)cmd_no_word(&verb_ctl, vm, name);
	return NULL;
}

static int run_verb(struct ctl *c, const struct ctl_verb *v)
{
	struct sill_err e = { 0 };
	int ret;

	if (c->count > 0 && v->body == NULL)
		return cmd_usage(&verb_ctl, "'%s' takes nothing more", v->name);
	for (size_t i = 0; i < SIZES; i++)
		if (c->size[i] != NULL && v->body != resize_body)
			return cmd_usage(&verb_ctl, "--%s belongs to resize", sizes[i][0]);
	if (ask_path(c->name, c->path, sizeof(c->path), &e) < 0)
		return cmd_error(&e);
	c->fd = ask_connect(c->path, 0, &e);
	if (c->fd < 0)
		return cmd_error(&e);
	ret = v->run != NULL ? v->run(c, v) : request(c, v);
	(void)close(c->fd);
	return ret;
}

static int run(int argc, char **argv)
{
	struct ctl c = { .fd = -1 };
	const struct opt opts[] = { { .name = "wait", .flag = &c.wait },
				    { .name = sizes[0][0], .text = &c.size[0] },
				    { .name = sizes[1][0], .text = &c.size[1] },
				    { .name = sizes[2][0], .text = &c.size[2] } };
	const int n = cmd_options(&verb_ctl, argc, argv, opts, 1 + SIZES);
	const struct ctl_verb *v;

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n < 2)
		return cmd_usage(&verb_ctl, n == 0 ? "which VM?" : "what is it to do?");
	c.name = argv[1];
	c.words = argv + 3;
	c.count = n - 2;
	v = find_verb(argv[1], argv[2]);
	return v != NULL ? run_verb(&c, v) : CMD_FAILED;
}

const struct verb verb_ctl = {
	.name = "ctl",
	.args = "[--wait] NAME VERB [WORDS]",
	.summary = "ask a VM that runs, or have it do something",
	.help = "NAME is a VM's, or the path of a control socket, with a '/' in it. Keys of "
		"devices are\n"
		"Cloud Hypervisor's (docs/API.md).\n"
		"\n"
		"  info, manifest, ping      what it is, as JSON\n"
		"  counters, metrics         how often what has happened: devices; vCPUs too\n"
		"  pending                   what the guest was asked to give up, and has still\n"
		"  events                    what happens, a JSON object a line\n"
		"  pause, resume             stop vCPUs and devices, and go on\n"
		"  reset                     the reset button: in place, without asking the guest\n"
		"  power-button              the guest shuts down, if it listens; --wait: until it "
		"has\n"
		"  nmi                       a Windows that hangs writes its crash dump\n"
		"  add-disk path=FILE[,KEY=VALUE...]\n"
		"  add-net [tap=NAME][,KEY=VALUE...], or with keys of the manifest: "
		"tap=,nat=on,forward=80:80\n"
		"  add-vsock cid=N,socket=PATH\n"
		"  remove ID                 ask the guest to give a device up; --wait: until it "
		"has\n"
		"  link ID up|down           plug a network card's cable, or pull it\n"
		"  resize-disk ID SIZE       make a disk larger\n"
		"  resize [--cpus N] [--memory SIZE] [--balloon SIZE], or cpus=N ...; resize-zone "
		"ID SIZE\n"
		"                            --wait: until the guest has given up what it is asked "
		"for\n"
		"  snapshot DIR              all of it but the disks, for `sill run --restore "
		"DIR`; it "
		"is\n"
		"                            paused for it, and stays so\n"
		"  coredump FILE [linear=on] memory, registers for crash, gdb; paused meanwhile\n"
		"  restore DIR [prefault=on] [resume=on]\n"
		"                            with `sill serve`: go on from a snapshot, paused\n"
		"  create [FILE], boot       with `sill serve`: a VmConfig as JSON, and start it\n"
		"  shutdown, delete, quit    stop it at once; forget it; end its process\n"
		"\n"
		"exit status: 0 done, 1 refused (it says why), or there is no such VM, 3 nobody "
		"listens at\n"
		"the path, 4 the guest keeps the device\n",
	.word = word,
	.run = run,
};
