/* SPDX-License-Identifier: Apache-2.0 */
/*
 * windows.c - who stands in for a VM with Windows: windows NAME MANIFEST SOCKET.
 *
 * It has the runtime directory of the VM of MANIFEST, and its serial port at SOCKET with the Windows of fake_sac.h.
 * Writes "ready" when it can be asked; until a signal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "backend/serial/chr.h"
#include "core/clock.h"
#include "fake_sac.h"
#include "runner/host/rundir.h"
#include "runner/manifest/manifest.h"

static struct fake_sac windows = {
	.random = 1,
	.nuls = true,
	.stars = true,
	.others = 1,
	.user = "Administrator",
	.password = "Passw0rd",
};
static struct chr *port;

static void speak(void)
{
	const char *said;
	size_t n;

	while ((n = fake_pass(&windows, windows.now, &said)) > 0)
		chr_write(port, said, n);
}

static void on_keys(void *ctx)
{
	char got[64];
	size_t n;

	(void)ctx;
	windows.now = host_now() / 1000000;
	while ((n = chr_read(port, got, sizeof(got))) > 0) {
		fake_hear(&windows, (const uint8_t *)got, n);
		speak();
	}
}

static int listen_at(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	(void)unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(fd, 4) < 0)
		return -1;
	return fd;
}

/* As it is when it runs: whose card answers DHCP is known. 0, or -1. */
static int put_manifest(const char *name, const char *path)
{
	static struct rundir d;
	struct sill_err e = { 0 };
	struct sill_config c = { 0 };
	struct mfile *f = mfile_load(path, NULL);
	int done = -1;

	if (f != NULL && f->count == 1 && f->docs[0].m != NULL &&
	    sill_config_copy(&c, f->docs[0].m, &e) == 0) {
		for (unsigned i = 0; i < c.net_count; i++)
			c.net[i].dhcp = SILL_DHCP_ON;
		done = rundir_open(&d, name, &e) < 0 || rundir_write_manifest(&d, &c, &e) < 0 ? -1
											      : 0;
	}
	sill_config_free(&c);
	mfile_destroy(f);
	return done;
}

int main(int argc, char **argv)
{
	struct chr_config c = {
		.mode = SILL_CHAR_SOCKET, .in_fd = -1, .out_fd = -1, .listen_fd = -1
	};
	const struct chr_user u = { .readable = on_keys };
	struct sill_err e = { 0 };
	struct loop *loop = loop_create(&e);

	if (argc != 4 || loop == NULL || put_manifest(argv[1], argv[2]) < 0)
		return 1;
	c.listen_fd = listen_at(argv[3]);
	if (c.listen_fd < 0)
		return 1;
	port = chr_create("serial", &c, loop, &e);
	if (port == NULL)
		return 1;
	chr_set_user(port, &u);
	fake_boot(&windows);
	speak();
	(void)puts("ready");
	(void)fflush(stdout);
	return loop_run(loop, &e) < 0;
}
