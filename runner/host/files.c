/* SPDX-License-Identifier: Apache-2.0 */
/*
 * files.c - from paths to descriptors.
 *
 * validate has looked at the same paths, but that was before: each descriptor
 * is looked at again after it was opened, and nothing is opened that could
 * wait.
 */
#include "runner/host/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "runner/debug/kdnet.h"
#include "runner/host/genid.h"
#include "runner/host/lock.h"
#include "runner/host/memfile.h"
#include "runner/host/overlay.h"
#include "runner/host/pathfd.h"
#include "runner/host/rundir.h"
#include "runner/host/vars.h"
#include "runner/report/text.h"

enum { VSOCK_BACKLOG = 64 }; /* connections that the device has not looked at yet */

static void drop(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

/* Refuse what is neither a file nor a block device (nor a character device, for rng). */
static int check_type(int fd, const char *path, bool devices_too, struct sill_err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return sill_err_sys(e, errno, "'%s'", path);
	if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) || (devices_too && S_ISCHR(st.st_mode)))
		return 0;
	return sill_err_set(e, SILL_ERR_HOST, "'%s' is neither a file nor a device", path);
}

/*
 * Open @path, which must be of a type that @flags make sense for; what is of another is not opened, which
 * alone could do something. The descriptor, or -1.
 */
static int open_file(const char *path, int flags, bool devices_too, struct sill_err *e)
{
	struct stat st;
	int found = pathfd_find(path, &st), fd = -1;

	if (found < 0) {
		(void)sill_err_sys(e, errno, "open '%s'", path);
		return -1;
	}
	if (check_type(found, path, devices_too, e) == 0) {
		fd = pathfd_open(found, path, flags | O_CLOEXEC | O_NOCTTY);
		if (fd < 0)
			(void)sill_err_sys(e, errno, "open '%s'", path);
	}
	(void)close(found);
	return fd;
}

void vmfiles_want(struct chain_want *w, const struct sill_disk_config *d,
		  struct chain_name names[SILL_MAX_LAYERS])
{
	*w = (struct chain_want){
		.top = { .path = d->path,
			 .has_format = true,
			 .format = d->format,
			 .data_file = d->data_file },
		.backing = names,
		.writes = !d->readonly && !sill_disk_ephemeral(d),
		.direct = d->direct,
		.any_head = !d->format_check,
	};
	for (unsigned i = 0; i < d->backing_count; i++) {
		const struct sill_backing *b = &d->backing[i];

		if (strcmp(b->path, "auto") == 0) {
			w->backing_auto = true;
			break;
		}
		names[w->backing_count++] = (struct chain_name){
			.path = b->path,
			.has_format = b->format != SILL_BACKING_AS_SAID,
			.format = b->format == SILL_BACKING_QCOW2 ? SILL_DISK_QCOW2 : SILL_DISK_RAW,
			.data_file = b->data_file,
		};
	}
}

static int open_disk(struct chain *c, const struct sill_disk_config *d, struct sill_err *e)
{
	struct chain_name names[SILL_MAX_LAYERS];
	enum chain_blame blame;
	struct chain_want w;

	vmfiles_want(&w, d, names);
	return chain_open(c, &w, &blame, e);
}

void vmfiles_init(struct vmfiles *f, const struct sill_config *m)
{
	static const struct far_end none = { .in_fd = -1,
					     .out_fd = -1,
					     .listen_fd = -1,
					     .socket = { .dir_fd = -1, .fd = -1 },
					     .log = { .dir_fd = -1 } };

	*f = (struct vmfiles){ .m = m,
			       .code = -1,
			       .vars = -1,
			       .kernel = -1,
			       .initramfs = -1,
			       .rng = -1,
			       .vsock = -1,
			       .vsock_name = { .dir_fd = -1, .fd = -1 } };
	for (size_t p = 0; p < SILL_PORTS; p++)
		f->port[p] = none;
	for (size_t i = 0; i < SILL_MAX_DISKS; i++) {
		chain_init(&f->disks[i]);
		f->overlays[i] = -1;
	}
	for (size_t i = 0; i < SILL_MAX_ZONES; i++)
		f->zones[i] = -1;
	cables_init(&f->cables);
}

/* Open an optional read-only file. */
static int open_if(int *fd, const char *path, struct sill_err *e)
{
	if (path == NULL)
		return 0;
	*fd = open_file(path, O_RDONLY, false, e);
	return *fd < 0 ? -1 : 0;
}

static int open_vars(struct vmfiles *f, struct sill_err *e)
{
	f->vars = open_file(f->m->firmware.vars, O_RDWR, false, e);
	if (f->vars < 0)
		return -1;
	if (lock_image(f->vars, true, f->m->firmware.vars, e) < 0)
		return -1;
	return vars_check(f->vars, f->m->firmware.vars, e);
}

static int open_zones(struct vmfiles *f, struct sill_err *e)
{
	const struct sill_memory_config *m = &f->m->memory;

	for (unsigned i = 0; i < m->zones_count; i++) {
		if (m->zones[i].file == NULL)
			continue;
		f->zones[i] = memfile_open(&m->zones[i], e);
		if (f->zones[i] < 0) {
			sill_err_wrap(e, "memory zone %s", m->zones[i].id);
			return -1;
		}
	}
	return 0;
}

int vmfiles_open(struct vmfiles *f, struct sill_err *e)
{
	const struct sill_config *m = f->m;

	if (open_if(&f->code, m->firmware.code, e) < 0 || open_if(&f->kernel, m->kernel, e) < 0 ||
	    open_if(&f->initramfs, m->initramfs, e) < 0)
		return -1;
	for (unsigned i = 0; i < m->disk_count; i++) {
		if (open_disk(&f->disks[i], &m->disk[i], e) < 0)
			return -1;
	}
	if (m->firmware.vars != NULL && access(m->firmware.vars, F_OK) == 0 && open_vars(f, e) < 0)
		return -1;
	if (open_zones(f, e) < 0)
		return -1;
	if (sill_rng_wanted(&m->rng)) {
		f->rng = open_file(m->rng.src, O_RDONLY, true, e);
		if (f->rng < 0)
			return -1;
	}
	return 0;
}

static int create_vars(struct vmfiles *f, struct sill_err *e)
{
	char template[PATH_MAX];

	if (!vars_template(f->m->firmware.code, template, sizeof(template))) {
		(void)sill_err_set(e, SILL_ERR_HOST, "no template for '%s'", f->m->firmware.vars);
		return sill_err_hint(e, "looked for '%.120s'", template);
	}
	if (vars_create(f->m->firmware.vars, template, e) < 0)
		return -1;
	return open_vars(f, e);
}

static int create_tty(struct far_end *end, struct sill_err *e)
{
	end->in_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	end->out_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	if (end->in_fd < 0 || end->out_fd < 0)
		return sill_err_sys(e, errno, "standard input and output");
	return 0;
}

static int create_pty(struct far_end *end, struct sill_err *e)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return sill_err_sys(e, errno, "open a pty");
	end->in_fd = fd;
	if (grantpt(fd) < 0 || unlockpt(fd) < 0 || ptsname_r(fd, end->pty, sizeof(end->pty)) != 0)
		return sill_err_sys(e, errno, "open a pty");
	return 0;
}

static int next_file(void *ctx)
{
	return rotate_next(ctx, O_NOCTTY | O_NONBLOCK);
}

/* Emptied only when it is no disk: that of another VM may be meant by mistake. */
static int create_file(struct far_end *end, const struct sill_char_config *c, const char *path,
		       struct sill_err *e)
{
	end->out_fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
	if (end->out_fd < 0) {
		(void)sill_err_sys(e, errno, "create '%s'", path);
		return errno == ENXIO ? sill_err_hint(e, "nobody reads from this FIFO yet") : -1;
	}
	if (lock_refuse_image(end->out_fd, path, e) < 0)
		return -1;
	if (ftruncate(end->out_fd, 0) < 0 && errno != EINVAL)
		return sill_err_sys(e, errno, "empty '%s'", path);
	return c->limit == 0 ? 0 : rotate_init(&end->log, end->out_fd, path, e);
}

static int create_tcp(struct far_end *end, const struct sill_char_config *c, struct sill_err *e)
{
	struct endpoint at;

	if (c->listen == NULL)
		return endpoint_resolve(c->connect, &end->peer, e);
	if (endpoint_read_listen(c->listen, &at, e) < 0)
		return -1;
	end->listen_fd = endpoint_listen(&at, c->listen, e);
	return end->listen_fd < 0 ? -1 : 0;
}

static int dial(void *ctx)
{
	return endpoint_dial_next(ctx);
}

static int create_end(struct far_end *end, const struct sill_char_config *c, struct sill_err *e)
{
	switch (c->mode) {
	case SILL_CHAR_TTY:
		return create_tty(end, e);
	case SILL_CHAR_PTY:
		return create_pty(end, e);
	case SILL_CHAR_FILE:
		return create_file(end, c, c->path, e);
	case SILL_CHAR_SOCKET:
		end->listen_fd = socket_listen(c->path, &end->socket, e);
		if (end->listen_fd < 0)
			return -1;
		return c->log != NULL ? create_file(end, c, c->log, e) : 0;
	case SILL_CHAR_TCP:
		return create_tcp(end, c, e);
	case SILL_CHAR_OFF:
	case SILL_CHAR_NULL:
		break;
	}
	return 0;
}

static const struct lent_tap *find_lent(const struct vmfiles *f, const char *id)
{
	for (unsigned i = 0; i < f->lent_count; i++)
		if (strcmp(f->lent[i].id, id) == 0)
			return &f->lent[i];
	return NULL;
}

/* All taps are there before the first of the rules, which tell what is near. */
static int open_nets(struct vmfiles *f, struct sill_err *e)
{
	struct cable_want w = { .guest = f->m->guest };
	char dir[RUNDIR_BASE];

	if (rundir_base(dir, e) < 0)
		return -1;
	w.dir = dir;
	forwarding_clean(dir, NULL, NULL);
	macvtap_clean(dir, NULL, NULL);
	for (unsigned i = 0; i < f->m->net_count; i++) {
		struct cable *c = cable_create(f->m->net[i].id, e);

		w.n = &f->m->net[i];
		w.lent = find_lent(f, w.n->id);
		if (c == NULL || cables_add(&f->cables, c, e) < 0 || cable_open(c, &w, e) < 0)
			return -1;
	}
	for (unsigned i = 0; i < f->m->net_count; i++) {
		w.n = &f->m->net[i];
		w.peer = kdnet_peer(f->m, w.n);
		if (cable_guard(cables_at(&f->cables, i), &w, e) < 0)
			return -1;
	}
	return 0;
}

int vmfiles_create(struct vmfiles *f, struct sill_err *e)
{
	/* First what leaves no name behind when it fails. */
	for (unsigned i = 0; i < f->m->disk_count; i++) {
		if (!sill_disk_ephemeral(&f->m->disk[i]))
			continue;
		f->overlays[i] = overlay_make(&f->disks[i], &f->m->disk[i], e);
		if (f->overlays[i] < 0) {
			sill_err_wrap(e, "%s", f->m->disk[i].id);
			return -1;
		}
	}
	if (open_nets(f, e) < 0)
		return -1;
	if (f->m->firmware.vars != NULL && f->vars < 0 && create_vars(f, e) < 0)
		return -1;
	if (f->m->vsock.cid != 0) {
		f->vsock = socket_listen(f->m->vsock.socket, &f->vsock_name, e);
		if (f->vsock < 0) {
			sill_err_wrap(e, "vsock");
			return -1;
		}
		(void)listen(f->vsock, VSOCK_BACKLOG);
	}
	for (unsigned p = 0; p < SILL_PORTS; p++) {
		if (create_end(&f->port[p], sill_port_config(f->m, p), e) < 0) {
			sill_err_wrap(e, "%s", sill_port_name(p));
			return -1;
		}
	}
	return 0;
}

static int settle_backing(struct sill_disk_config *d, const struct chain *c, struct sill_err *e)
{
	const size_t below = c->count > 0 ? c->count - 1 : 0;

	for (unsigned i = 0; i < d->backing_count; i++) {
		free(d->backing[i].path);
		free(d->backing[i].data_file);
	}
	free(d->backing);
	d->backing_count = 0;
	d->backing = below > 0 ? calloc(below, sizeof(*d->backing)) : NULL;
	if (below > 0 && d->backing == NULL)
		return sill_err_sys(e, ENOMEM, "the manifest's files");
	for (size_t i = 0; i < below; i++) {
		const struct chain_layer *l = &c->layer[i + 1];
		struct sill_backing *b = &d->backing[d->backing_count++];

		b->format = l->format == SILL_DISK_QCOW2 ? SILL_BACKING_QCOW2 : SILL_BACKING_RAW;
		if (text_set(&b->path, l->path, e) < 0 ||
		    text_set(&b->data_file, l->data_path, e) < 0)
			return -1;
	}
	return 0;
}

static int settle_vmgenid(const struct vmfiles *f, struct sill_config *m, struct sill_err *e)
{
	int fds[SILL_MAX_DISKS];
	char text[GENID_TEXT];

	if (m->platform.vmgenid == NULL || strcmp(m->platform.vmgenid, "auto") != 0)
		return 0;
	for (unsigned i = 0; i < m->disk_count; i++)
		fds[i] = f->disks[i].layer[0].fd;
	genid_make(m, fds, text);
	return text_set(&m->platform.vmgenid, text, e);
}

int vmfiles_settle(const struct vmfiles *f, struct sill_config *m, struct sill_err *e)
{
	for (unsigned i = 0; i < m->disk_count; i++) {
		struct sill_disk_config *d = &m->disk[i];

		d->ephemeral_limit = overlay_limit(d);
		if (settle_backing(d, &f->disks[i], e) < 0 ||
		    text_set(&d->data_file, f->disks[i].layer[0].data_path, e) < 0)
			return -1;
	}
	for (unsigned i = 0; i < m->net_count; i++)
		if (cable_settle(cables_at(&f->cables, i), &m->net[i], e) < 0)
			return -1;
	return settle_vmgenid(f, m, e);
}

/* Move *@fd, if there is one, to @ret as @file. */
static int give(int *fd, struct sill_file file, struct sill_files *ret, struct sill_err *e)
{
	file.fd = *fd;
	*fd = -1;
	return file.fd < 0 ? 0 : sill_files_add(ret, &file, e);
}

static int give_disk(struct vmfiles *f, unsigned disk, struct sill_files *ret, struct sill_err *e)
{
	const char *id = f->m->disk[disk].id;
	const struct sill_file overlay = { .role = SILL_FILE_DISK_OVERLAY, .id = id };
	struct chain *c = &f->disks[disk];

	for (unsigned i = 0; i < c->count; i++) {
		struct chain_layer *l = &c->layer[i];
		struct sill_file file = {
			.role = SILL_FILE_DISK, .id = id, .layer = i, .direct = l->direct
		};

		if (give(&l->fd, file, ret, e) < 0)
			return -1;
		file.role = SILL_FILE_DISK_DATA;
		if (give(&l->data_fd, file, ret, e) < 0)
			return -1;
	}
	return give(&f->overlays[disk], overlay, ret, e);
}

static int give_end(struct far_end *end, const char *id, struct sill_files *ret, struct sill_err *e)
{
	const struct sill_file in = { .role = SILL_FILE_IN, .id = id },
			       out = { .role = SILL_FILE_OUT,
				       .id = id,
				       .next = next_file,
				       .ctx = &end->log },
			       listen = { .role = SILL_FILE_LISTEN, .id = id },
			       dialled = { .role = SILL_FILE_DIAL,
					   .id = id,
					   .fd = -1,
					   .next = dial,
					   .ctx = &end->peer };

	if (end->peer.count != 0 && sill_files_add(ret, &dialled, e) < 0)
		return -1;
	return give(&end->in_fd, in, ret, e) < 0 || give(&end->out_fd, out, ret, e) < 0 ||
			       give(&end->listen_fd, listen, ret, e) < 0
		       ? -1
		       : 0;
}

/* The guest wants @port of the host. */
static int reach(void *ctx, uint32_t port)
{
	const struct vmfiles *f = ctx;
	char path[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s_%u", f->m->vsock.socket, port);
	return socket_connect(path);
}

int vmfiles_give(struct vmfiles *f, struct sill_files *ret, struct sill_err *e)
{
	struct {
		int *fd;
		enum sill_file_role role;
	} file[] = { { &f->code, SILL_FILE_CODE },
		     { &f->vars, SILL_FILE_VARS },
		     { &f->kernel, SILL_FILE_KERNEL },
		     { &f->initramfs, SILL_FILE_INITRAMFS },
		     { &f->rng, SILL_FILE_RNG } };
	const struct sill_file vsock = { .role = SILL_FILE_VSOCK, .connect = reach, .ctx = f };

	for (size_t i = 0; i < sizeof(file) / sizeof(file[0]); i++) {
		if (give(file[i].fd, (struct sill_file){ .role = file[i].role }, ret, e) < 0)
			return -1;
	}
	for (unsigned i = 0; i < f->m->disk_count; i++) {
		if (give_disk(f, i, ret, e) < 0)
			return -1;
	}
	for (unsigned i = 0; i < f->m->memory.zones_count; i++) {
		const struct sill_file zone = { .role = SILL_FILE_MEMORY,
						.id = f->m->memory.zones[i].id };

		if (give(&f->zones[i], zone, ret, e) < 0)
			return -1;
	}
	for (unsigned i = 0; i < f->m->net_count; i++) {
		if (tap_give(&cables_at(&f->cables, i)->tap, &f->m->net[i], ret, e) < 0)
			return -1;
	}
	for (unsigned p = 0; p < SILL_PORTS; p++)
		if (give_end(&f->port[p], sill_port_name(p), ret, e) < 0)
			return -1;
	return give(&f->vsock, vsock, ret, e);
}

static void fini_end(struct far_end *end)
{
	drop(&end->in_fd);
	drop(&end->out_fd);
	drop(&end->listen_fd);
	socket_remove(&end->socket);
	rotate_fini(&end->log);
}

void vmfiles_fini(struct vmfiles *f)
{
	drop(&f->code);
	drop(&f->vars);
	drop(&f->kernel);
	drop(&f->initramfs);
	drop(&f->rng);
	for (size_t i = 0; i < SILL_MAX_DISKS; i++) {
		chain_fini(&f->disks[i]);
		drop(&f->overlays[i]);
	}
	for (size_t i = 0; i < SILL_MAX_ZONES; i++)
		drop(&f->zones[i]);
	cables_fini(&f->cables);
	for (size_t p = 0; p < SILL_PORTS; p++)
		fini_end(&f->port[p]);
	drop(&f->vsock);
	socket_remove(&f->vsock_name);
}
