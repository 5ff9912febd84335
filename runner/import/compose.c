/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compose.c - a compose file with services of dockur/windows, which starts Windows in QEMU in a container.
 *
 * Names and defaults: its README and the compose specification. The text is read as manifests are, within
 * their limits (source.h).
 */
#include "runner/import/import.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "runner/manifest/scalar.h"
#include "runner/manifest/source.h"

struct service {
	struct import *im;
	json_t *m;              /* the manifest; borrowed */
	json_t *card;           /* its network card; borrowed */
	const struct node *env; /* a mapping, a list of "KEY=value", or NULL */
	const char *storage;    /* the directory of the disks */
};

static bool one_of(const char *words, const char *word)
{
	char padded[64];

	if (word == NULL || strlen(word) > sizeof(padded) - 3 || strchr(word, ' ') != NULL)
		return false;
	(void)snprintf(padded, sizeof(padded), " %s ", word);
	return strcasestr(words, padded) != NULL;
}

static const char *scalar(const struct node *n)
{
	return n != NULL && n->type == NODE_SCALAR && n->len == strlen(n->text) ? n->text : NULL;
}

/* The value of @key in the mapping @n, or in the one that it takes over ("<<"). NULL: there is none. */
static const struct node *find(const struct node *n, const char *key)
{
	const struct node *v = n != NULL && n->type == NODE_MAP ? node_find(n, key) : NULL;
	const struct node *more =
		v == NULL && n != NULL && n->type == NODE_MAP ? node_find(n, "<<") : NULL;

	return more != NULL && more->type == NODE_MAP ? node_find(more, key) : v;
}

static const char *at(const struct node *n, const char *key)
{
	return scalar(find(n, key));
}

/* ---- the environment ---- */

/* "${NAME:-text}" is text; what else a shell would know is not known. */
static const char *filled(struct service *s, const char *key, const char *v)
{
	const char *begin = v != NULL ? strstr(v, "${") : NULL;
	const char *text = begin != NULL ? strstr(begin, ":-") : NULL;
	const size_t n = v != NULL ? strlen(v) : 0;

	if (begin == NULL)
		return v;
	if (begin == v && text != NULL && v[n - 1] == '}' && strchr(v + 2, '$') == NULL)
		return arena_copy(&s->im->a, text + 2, n - 1 - (size_t)(text + 2 - v));
	import_lost(s->im, key, "'%.80s' is not known here", v);
	return NULL;
}

/* The i-th variable: its name in @key. False: there are no more. */
static bool variable(const struct service *s, size_t i, char key[64], const char **ret_value)
{
	const char *text;
	size_t n;

	if (s->env == NULL || s->env->type == NODE_SCALAR || i >= s->env->count)
		return false;
	text = s->env->type == NODE_MAP ? scalar(s->env->keys[i]) : scalar(s->env->items[i]);
	n = text != NULL ? strcspn(text, s->env->type == NODE_MAP ? "" : "=") : 0;
	(void)snprintf(key, 64, "%.*s", (int)(n < 63 ? n : 63), text != NULL ? text : "");
	if (s->env->type == NODE_MAP)
		*ret_value = scalar(s->env->items[i]);
	else
		*ret_value = text != NULL && text[n] == '=' ? text + n + 1 : "";
	return true;
}

static const char *env(struct service *s, const char *name)
{
	char key[64];
	const char *v;

	for (size_t i = 0; variable(s, i, key, &v); i++)
		if (strcmp(key, name) == 0)
			return filled(s, name, v != NULL && v[0] != '\0' ? v : NULL);
	return NULL;
}

static bool says_no(const char *v)
{
	return one_of(" n no off false 0 ", v);
}

/* What installs Windows, once; and what is about the container. */
static const char setup[] = " USERNAME PASSWORD LANGUAGE REGION KEYBOARD EDITION KEY VERSION "
			    "MANUAL COMMAND REMOVE WIDTH "
			    "HEIGHT VERIFY SAMBA ";
static const char known[] =
	" RAM_SIZE CPU_CORES DISK_SIZE DISK2_SIZE DISK3_SIZE DISK4_SIZE DISK_FMT DISK_IO "
	"DISK_CACHE "
	"DISK_DISCARD MAC HV NETWORK DHCP BOOT_MODE TPM DEBUG TZ KVM STORAGE RAM_CHECK CPU_MODEL "
	"DISK_TYPE DISK_ROTATION ALLOCATE USER_PORTS HOST_PORTS VGA DISPLAY USB SOUND SHUTDOWN ";

static void tell_rest(struct service *s)
{
	char key[64];
	const char *v;

	for (size_t i = 0; variable(s, i, key, &v); i++) {
		if (one_of(setup, key))
			import_lost(s->im, key,
				    "the container installs Windows by it; the disk has that "
				    "behind it");
		else if (!one_of(known, key))
			import_lost(s->im, key, "Sill has nothing of the kind");
	}
}

/* ---- the machine ---- */

/* "8G", "8192M", "8 GB"; false: a word such as max. */
static bool set_size(struct service *s)
{
	const char *v = env(s, "RAM_SIZE");
	char guess[32];
	uint64_t n;

	if (v == NULL)
		v = "4G";
	if (scalar_size(v, &n) != SCALAR_OK &&
	    (!scalar_size_guess(v, guess, sizeof(guess)) || scalar_size(guess, &n) != SCALAR_OK))
		return false;
	import_size(import_map(s->m, "memory"), "size", n);
	return true;
}

static void set_machine(struct service *s)
{
	const char *cores = env(s, "CPU_CORES"), *mode = env(s, "BOOT_MODE");
	json_t *cpus = import_map(s->m, "cpus");
	uint64_t n = 2;

	if (json_object_get(s->m, "guest") == NULL)
		import_text(s->m, "guest", "windows");
	import_uefi(s->m);
	import_note(s->im, "firmware",
		    "its variables begin anew; Windows starts by the usual name of its loader");
	if (!set_size(s)) {
		import_lost(s->im, "RAM_SIZE", "the size is stated in a manifest; 4G is taken");
		import_text(import_map(s->m, "memory"), "size", "4G");
	}
	if (cores != NULL && (scalar_uint(cores, &n) != SCALAR_OK || n == 0 || n > 254)) {
		import_lost(s->im, "CPU_CORES", "the number is stated in a manifest; 2 is taken");
		n = 2;
	}
	(void)json_object_set_new(cpus, "boot", json_integer((json_int_t)n));
	if (says_no(env(s, "HV")))
		(void)json_object_set_new(cpus, "kvm_hyperv", json_false());
	if (says_no(env(s, "KVM")))
		import_lost(s->im, "KVM", "a VM of Sill's runs on KVM");
	if (mode != NULL && strcasestr(mode, "legacy") != NULL)
		import_lost(s->im, "BOOT_MODE",
			    "Sill starts guests by UEFI: what was installed with a BIOS does not "
			    "start");
	else if (mode != NULL && strcasestr(mode, "secure") != NULL)
		import_lost(s->im, "BOOT_MODE", "Sill has no Secure Boot yet");
	if (env(s, "TPM") != NULL && !says_no(env(s, "TPM")))
		import_lost(s->im, "TPM", "Sill has no TPM yet");
}

/* ---- disks ---- */

static json_t *add_disk(struct service *s, const char *path, const char *format)
{
	json_t *disk = import_entry(s->m, "disk");
	const char *cache = env(s, "DISK_CACHE");

	import_text(disk, "path", path);
	import_text(disk, "format", format);
	/* The container's default is cache=none. */
	if (cache == NULL || one_of(" none directsync ", cache))
		(void)json_object_set_new(disk, "direct", json_true());
	if (one_of(" writethrough directsync ", cache))
		import_text(disk, "cache", "writethrough");
	else if (one_of(" unsafe ", cache))
		import_text(disk, "cache", "unsafe");
	if (one_of(" threads ", env(s, "DISK_IO")))
		import_text(disk, "io", "threads");
	if (one_of(" ignore off ", env(s, "DISK_DISCARD")))
		import_text(disk, "discard", "ignore");
	return disk;
}

/* "data.img" in the storage, "data2.img" in storage2. */
static void add_data(struct service *s, const char *dir, unsigned number)
{
	const char *format = one_of(" qcow2 ", env(s, "DISK_FMT")) ? "qcow2" : "raw";
	const char *end = format[0] == 'q' ? "qcow2" : "img";
	char digit[12] = "";
	char *path;

	if (number > 1)
		(void)snprintf(digit, sizeof(digit), "%u", number);
	path = arena_printf(&s->im->a, "%s/data%s.%s", dir, digit, end);
	if (path != NULL)
		(void)add_disk(s, path, format);
}

/* Where "SOURCE:TARGET[:ro]", or the mapping of the two, leads. False: it is neither. */
static bool pair(struct service *s, const struct node *n, const char **ret_source,
		 const char **ret_target)
{
	const char *text = scalar(n), *colon = text != NULL ? strchr(text, ':') : NULL;

	if (n->type == NODE_MAP) {
		*ret_source = filled(s, "volumes", at(n, "source"));
		*ret_target = at(n, "target");
		return *ret_source != NULL && *ret_target != NULL;
	}
	if (text == NULL || strstr(text, "${") != NULL) {
		import_lost(s->im, "volumes", "'%.80s' is not known here",
			    text != NULL ? text : "");
		return false;
	}
	if (colon == NULL)
		return false;
	*ret_source = arena_copy(&s->im->a, text, (size_t)(colon - text));
	*ret_target = arena_copy(&s->im->a, colon + 1, strcspn(colon + 1, ":"));
	return *ret_source != NULL && *ret_target != NULL;
}

/* A relative path begins at the compose file. */
static const char *located(struct service *s, const char *source)
{
	const char *path = source;

	if (source[0] != '.' || s->im->dir == NULL)
		return source;
	while (strncmp(path, "./", 2) == 0)
		path += 2 + strspn(path + 2, "/");
	path = arena_printf(&s->im->a, "%s/%s", s->im->dir, path);
	return path != NULL ? path : source;
}

static bool is_path(const char *source)
{
	return source[0] == '/' || source[0] == '.' || source[0] == '~';
}

/* "/storage", "/storage2" to "/storage99". */
static bool number_of(const char *target, unsigned *ret)
{
	const char *digits = target + 8;
	uint64_t n = 1;

	if (strncmp(target, "/storage", 8) != 0 ||
	    (*digits != '\0' && (scalar_uint(digits, &n) != SCALAR_OK || n < 2 || n > 99)))
		return false;
	*ret = (unsigned)n;
	return true;
}

static void take_volume(struct service *s, const struct node *n)
{
	const char *source, *target;
	unsigned number = 1;

	if (!pair(s, n, &source, &target))
		return;
	if (number_of(target, &number)) {
		if (!is_path(source))
			import_lost(s->im, source,
				    "`docker volume inspect` says where it lies; put its path into "
				    "the manifest");
		if (number == 1)
			s->storage = source;
		add_data(s, located(s, source), number);
	} else if (strlen(target) > 4 && strcmp(target + strlen(target) - 4, ".iso") == 0) {
		json_t *disk = add_disk(s, located(s, source), "raw");

		(void)json_object_set_new(disk, "readonly", json_true());
		import_lost(
			s->im, source,
			"Sill has no CD-ROM drive: it becomes a disk that can only be read, from "
			"which Setup of Windows does not start");
	} else {
		import_lost(s->im, source, "Sill has no shared directories yet");
	}
}

static void take_device(struct service *s, const struct node *n)
{
	const char *text = scalar(n), *source, *target;

	if (text == NULL || one_of(" /dev/kvm /dev/net/tun /dev/vhost-net ", text))
		return;
	if (strchr(text, ':') != NULL && pair(s, n, &source, &target) &&
	    strncmp(target, "/disk", 5) == 0)
		(void)add_disk(s, source, "raw");
	else if (strncmp(text, "/dev/kvm:", 9) != 0 && strncmp(text, "/dev/net/tun:", 13) != 0)
		import_lost(s->im, text, "Sill has no devices of the host for the guest yet");
}

/* ---- network ---- */

/* "[ADDRESS:]PORT:PORT[/tcp]"; a port of a container is one of all addresses. */
static void take_port(struct service *s, const struct node *n)
{
	const char *text = scalar(n);
	char copy[96], *first, *last, *slash;

	if (n->type == NODE_MAP && at(n, "published") != NULL && at(n, "target") != NULL)
		(void)snprintf(copy, sizeof(copy), "%.20s:%.20s/%.8s", at(n, "published"),
			       at(n, "target"),
			       at(n, "protocol") != NULL ? at(n, "protocol") : "tcp");
	else
		(void)snprintf(copy, sizeof(copy), "%s", text != NULL ? text : "");
	text = arena_copy(&s->im->a, copy, strlen(copy));
	slash = strchr(copy, '/');
	if (slash != NULL)
		*slash = '\0';
	last = strrchr(copy, ':');
	first = strchr(copy, ':');
	if (text == NULL)
		return;
	if (last != NULL && strcmp(last, ":8006") == 0) {
		import_lost(s->im, text,
			    "Sill has no display yet; the guest's output is on serial and console");
	} else if (slash != NULL && strcmp(slash + 1, "tcp") != 0) {
		import_lost(s->im, text, "Sill forwards ports of TCP only");
	} else if (last == NULL || strchr(copy, '-') != NULL) {
		import_lost(s->im, text, "each port is forwarded by itself, to one that is named");
	} else {
		if (json_object_get(s->card, "forward") == NULL)
			(void)json_object_set_new(s->card, "forward", json_array());
		(void)json_array_append_new(
			json_object_get(s->card, "forward"),
			json_sprintf("%s%s", first == last ? "0.0.0.0:" : "", copy));
	}
}

static void set_network(struct service *s)
{
	const char *kind = env(s, "NETWORK");

	s->card = import_entry(s->m, "net");
	import_text(s->card, "mac", env(s, "MAC"));
	if (one_of(" user slirp passt ", kind)) {
		(void)json_object_set_new(s->card, "user", json_true());
	} else if (says_no(kind)) {
		(void)json_object_set_new(s->card, "none", json_true());
	} else {
		import_text(s->card, "tap", "");
		(void)json_object_set_new(s->card, "nat", json_true());
	}
	if (env(s, "DHCP") != NULL && !says_no(env(s, "DHCP")))
		import_lost(s->im, "DHCP",
			    "'macvtap: INTERFACE' puts the card on the host's own network");
}

/* ---- services ---- */

static void each(struct service *s, const struct node *list,
		 void (*take)(struct service *s, const struct node *n))
{
	for (size_t i = 0; list != NULL && list->type == NODE_LIST && i < list->count; i++)
		take(s, list->items[i]);
}

/* What a container is and a VM need not be told. */
static const char quiet[] =
	" image container_name environment devices cap_add ports volumes stop_grace_period "
	"hostname "
	"<< privileged labels build pull_policy tty stdin_open init security_opt logging ";

static void set_restart(struct service *s, const char *word)
{
	if (one_of(" always unless-stopped ", word))
		import_text(s->m, "restart", "always");
	else if (word != NULL && strncmp(word, "on-failure", 10) == 0)
		import_text(s->m, "restart", "on-failure");
}

static void tell_others(struct service *s, const struct node *n)
{
	for (size_t i = 0; i < n->count; i++) {
		const char *key = scalar(n->keys[i]);

		if (key == NULL || one_of(quiet, key))
			continue;
		if (strcmp(key, "restart") == 0)
			set_restart(s, scalar(n->items[i]));
		else
			import_lost(s->im, key, "Sill has nothing of the kind");
	}
}

static int take_service(struct import *im, const char *key, const struct node *n)
{
	struct service s = { .im = im };
	const char *name = at(n, "container_name");

	s.m = import_vm(im, name != NULL && strchr(name, '$') == NULL ? name : key);
	if (s.m == NULL)
		return -1;
	s.env = find(n, "environment");
	set_machine(&s);
	set_network(&s);
	each(&s, find(n, "volumes"), take_volume);
	each(&s, find(n, "devices"), take_device);
	each(&s, find(n, "ports"), take_port);
	if (s.storage == NULL)
		import_lost(im, "/storage", "no volume holds it: the disk was in the container");
	tell_rest(&s);
	tell_others(&s, n);
	return 0;
}

static bool is_windows(const struct node *service)
{
	const char *image = at(service, "image");

	return image != NULL && strstr(image, "dockur") != NULL && strstr(image, "windows") != NULL;
}

static int take_all(struct import *im, const struct node *services)
{
	size_t count = 0;

	for (size_t i = 0; services != NULL && services->type == NODE_MAP && i < services->count;
	     i++) {
		const char *key = scalar(services->keys[i]);

		if (key == NULL || services->items[i]->type != NODE_MAP)
			continue;
		if (!is_windows(services->items[i])) {
			import_note(im, key, "no VM: its image is not dockur/windows");
			continue;
		}
		if (take_service(im, key, services->items[i]) < 0)
			return -1;
		count++;
	}
	return count > 0
		       ? 0
		       : import_fail(im,
				     "there is no service with the image of dockur/windows in it");
}

int import_compose(struct import *im, const char *text, size_t size)
{
	struct diags d = { 0 };
	struct source *src = arena_alloc(&im->a, sizeof(*src));
	int ret;

	if (src == NULL)
		return import_fail(im, "no memory");
	if (source_set(src, "compose.yaml", text, size, &im->a, &d) < 0 ||
	    source_parse(src, &im->a, &d) < 0 || src->doc_count == 0 ||
	    src->docs[0]->type != NODE_MAP)
		ret = import_fail(im, "line %u: %.200s", d.count > 0 ? d.list[0].at.line : 1,
				  d.count > 0 ? d.list[0].msg : "no compose file");
	else
		ret = take_all(im, node_find(src->docs[0], "services"));
	diags_fini(&d);
	return ret;
}
