/* SPDX-License-Identifier: Apache-2.0 */
/* test_cmd_files.c - what run opens, locks, creates and leaves behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/host/files.h"
#include "runner/host/lock.h"
#include "runner/host/overlay.h"
#include "sill/error.h"
#include "sill/hyperv.h"
#include "sill/image.h"

enum { STORE = 8192 };

static char dir[] = "/tmp/sill-test-XXXXXX";

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(dir) != NULL && chdir(dir) == 0 ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static int tear_down(void **state)
{
	(void)state;
	return chdir("/") == 0 && nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0 ? 0 : -1;
}

static void make_file(const char *path, off_t size)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	(void)close(fd);
}

static void make_store(const char *path)
{
	unsigned char head[48] = { [33] = STORE >> 8 };
	int fd;

	make_file(path, STORE);
	memcpy(head + 40, "_FVH", 4);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, head, sizeof(head)), sizeof(head));
	(void)close(fd);
}

static bool exists(const char *path)
{
	return access(path, F_OK) == 0;
}

static bool is_locked(const char *path)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(path, O_RDWR | O_CLOEXEC), ret;

	assert_true(fd >= 0);
	ret = fcntl(fd, F_OFD_SETLK, &lock);
	(void)close(fd);
	return ret < 0;
}

static char a_img[] = "a.img", b_img[] = "b.img", code_fd[] = "X_CODE.fd", vars_fd[] = "my.vars.fd",
	    missing[] = "missing", log_path[] = "out.log", sock_path[] = "out.sock";

static void vmfiles_open__locks_disks_and_creates_nothing(void **state)
{
	struct sill_disk_config disks[2] = { { .path = a_img },
					     { .path = b_img, .readonly = true } };
	struct sill_config m = { .firmware = { .code = code_fd, .vars = vars_fd },
				 .disk = disks,
				 .disk_count = 2,
				 .serial = { SILL_CHAR_FILE, log_path } };
	struct sill_err e = { 0 };
	struct vmfiles f;

	(void)state;
	make_file(a_img, 4096);
	make_file(b_img, 4096);
	make_file(code_fd, 4096);
	make_store("X_VARS.fd");
	vmfiles_init(&f, &m);
	assert_int_equal(vmfiles_open(&f, &e), 0);
	assert_true(is_locked(a_img));
	assert_true(is_locked(b_img));
	assert_int_equal(fcntl(f.disks[0].layer[0].fd, F_GETFL) & O_ACCMODE, O_RDWR);
	assert_int_equal(fcntl(f.disks[1].layer[0].fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_true((fcntl(f.disks[0].layer[0].fd, F_GETFD) & FD_CLOEXEC) != 0);
	assert_false(exists(vars_fd) || exists(log_path));

	assert_int_equal(vmfiles_create(&f, &e), 0);
	assert_true(exists(vars_fd) && exists(log_path));
	assert_true(is_locked(vars_fd));
	vmfiles_fini(&f);
	assert_false(is_locked(a_img));
	assert_false(is_locked(vars_fd));
	(void)unlink(vars_fd);
	(void)unlink(log_path);
}

static void vmfiles_open__fails_without_leaving_locks(void **state)
{
	struct sill_disk_config disks[2] = { { .path = a_img }, { .path = missing } };
	struct sill_config m = { .disk = disks, .disk_count = 2 };
	struct sill_err e = { 0 };
	struct vmfiles f;

	(void)state;
	make_file(a_img, 4096);
	vmfiles_init(&f, &m);
	assert_int_equal(vmfiles_open(&f, &e), -1);
	assert_int_equal(e.sys, ENOENT);
	vmfiles_fini(&f);
	assert_false(is_locked(a_img));
}

static unsigned names_here(void)
{
	DIR *d = opendir(".");
	unsigned n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n;
}

static void vmfiles_create__puts_a_layer_without_a_name_on_an_ephemeral_disk(void **state)
{
	static char ram[] = "on", here[] = "./", file[] = "./layer", taken[] = "./b.img",
		    id[] = "d";
	char *const places[] = { ram, here, file };
	struct sill_disk_config disk = { .path = a_img, .id = id, .ephemeral_limit = 1 << 30 };
	struct sill_config m = { .disk = &disk, .disk_count = 1 };
	struct sill_err e = { 0 };
	struct vmfiles f, again;

	(void)state;
	make_file(a_img, 1 << 20);
	make_file(b_img, 4096);
	for (size_t i = 0; i < 3; i++) {
		const unsigned before = names_here();
		struct sill_image_info h;

		disk.ephemeral = places[i];
		vmfiles_init(&f, &m);
		vmfiles_init(&again, &m);
		assert_int_equal(vmfiles_open(&f, &e), 0);
		assert_int_equal(fcntl(f.disks[0].layer[0].fd, F_GETFL) & O_ACCMODE, O_RDONLY);
		assert_int_equal(vmfiles_create(&f, &e), 0);
		assert_int_equal(f.disks[0].count, 1);
		assert_int_equal(sill_image_head(f.overlays[0], "layer", SILL_DISK_QCOW2, &h, &e),
				 0);
		assert_int_equal(h.size, 1 << 20);
		assert_int_equal(names_here(), before);
		/* The image is shared, and nobody writes to it. */
		assert_int_equal(vmfiles_open(&again, &e), 0);
		assert_true(is_locked(a_img));
		vmfiles_fini(&again);
		vmfiles_fini(&f);
		assert_int_equal(names_here(), before);
	}
	disk.ephemeral = taken;
	vmfiles_init(&f, &m);
	assert_int_equal(vmfiles_open(&f, &e), 0);
	assert_int_equal(vmfiles_create(&f, &e), -1);
	assert_int_equal(e.sys, EEXIST);
	assert_true(exists(b_img));
	vmfiles_fini(&f);
}

static void overlay_limit__is_there_in_ram(void **state)
{
	static char ram[] = "ram", path[] = "/tmp", none[] = "off";
	struct sill_disk_config d = { .ephemeral = none };

	(void)state;
	assert_int_equal(overlay_limit(&d), 0);
	d.ephemeral = ram;
	assert_true(overlay_limit(&d) > 1 << 20);
	d.ephemeral = path;
	assert_int_equal(overlay_limit(&d), 0);
	d.ephemeral_limit = 4096;
	assert_int_equal(overlay_limit(&d), 4096);
}

/* What has no name is made first: a layer for which there is no room leaves nothing behind. */
static void vmfiles_create__makes_no_variable_store_for_a_layer_without_room(void **state)
{
	static char here[] = "./", id[] = "d";
	struct sill_disk_config disk = { .path = a_img, .id = id, .ephemeral = here };
	struct sill_config m = { .disk = &disk,
				 .disk_count = 1,
				 .firmware = { .code = code_fd, .vars = vars_fd } };
	struct rlimit before, none;
	struct sill_err e = { 0 };
	struct vmfiles f;
	int ret;

	(void)state;
	make_file(a_img, 1 << 20);
	make_file(code_fd, STORE);
	make_store("X_VARS.fd");
	(void)unlink(vars_fd);
	vmfiles_init(&f, &m);
	assert_int_equal(vmfiles_open(&f, &e), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	ret = vmfiles_create(&f, &e);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	(void)signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(ret, -1);
	assert_non_null(strstr(e.msg, "d: its ephemeral layer in './': "));
	assert_false(exists(vars_fd));
	vmfiles_fini(&f);
}

static void lock_refuse_image__knows_one_in_use(void **state)
{
	struct sill_err e = { 0 };
	int disk, log;

	(void)state;
	make_file(a_img, 4096);
	disk = open(a_img, O_RDONLY | O_CLOEXEC);
	log = open(a_img, O_WRONLY | O_APPEND | O_CLOEXEC);
	assert_true(disk >= 0 && log >= 0);
	assert_int_equal(lock_refuse_image(log, a_img, &e), 0);
	assert_int_equal(lock_image(disk, false, a_img, &e), 0);
	assert_int_equal(lock_refuse_image(log, a_img, &e), -1);
	assert_string_equal(e.msg, "'a.img' is an image that a VM uses");
	(void)close(disk);
	assert_int_equal(lock_refuse_image(log, a_img, &e), 0);
	(void)close(log);
}

static void vmfiles_raise_limit__takes_all_there_is(void **state)
{
	struct rlimit before, low, after;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	low = before;
	low.rlim_cur = 64;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	vmfiles_raise_limit();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_true(after.rlim_cur == before.rlim_max);
}

static void vmfiles_open__does_not_wait_for_a_fifo(void **state)
{
	struct sill_disk_config disk = { .path = missing };
	struct sill_config m = { .disk = &disk, .disk_count = 1 };
	struct sill_err e = { 0 };
	struct vmfiles f;

	(void)state;
	assert_int_equal(mkfifo(missing, 0600), 0);
	vmfiles_init(&f, &m);
	assert_int_equal(vmfiles_open(&f, &e), -1);
	assert_non_null(strstr(e.msg, "neither a file nor a block device"));
	vmfiles_fini(&f);
	(void)unlink(missing);
}

static void lock_image__names_who_has_it(void **state)
{
	struct sill_err e = { 0 };
	int ready[2], fd;
	char want[32];
	pid_t pid;

	(void)state;
	make_file(a_img, 4096);
	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		fd = open(a_img, O_RDWR | O_CLOEXEC);
		if (lock_image(fd, true, a_img, &e) == 0)
			(void)!write(ready[1], "x", 1);
		for (;;)
			(void)pause();
	}
	assert_int_equal(read(ready[0], want, 1), 1);
	fd = open(a_img, O_RDWR | O_CLOEXEC);
	assert_int_equal(lock_image(fd, true, a_img, &e), -1);
	(void)snprintf(want, sizeof(want), "process %d (", (int)pid);
	if (strstr(e.msg, want) == NULL)
		fail_msg("%s", e.msg);
	(void)kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	e = (struct sill_err){ 0 };
	assert_int_equal(lock_image(fd, true, a_img, &e), 0);
	(void)close(fd);
	(void)close(ready[0]);
	(void)close(ready[1]);
}

static void lock_image__readers_share(void **state)
{
	struct sill_err e = { 0 };
	int a, b, c;

	(void)state;
	make_file(a_img, 4096);
	a = open(a_img, O_RDONLY | O_CLOEXEC);
	b = open(a_img, O_RDONLY | O_CLOEXEC);
	c = open(a_img, O_RDWR | O_CLOEXEC);
	assert_int_equal(lock_image(a, false, a_img, &e), 0);
	assert_int_equal(lock_image(b, false, a_img, &e), 0);
	assert_int_equal(lock_image(c, true, a_img, &e), -1);
	(void)close(a);
	(void)close(b);
	(void)close(c);
}

static void vmfiles_create__makes_files_that_only_we_can_read(void **state)
{
	struct sill_config m = { .serial = { SILL_CHAR_FILE, log_path },
				 .console = { SILL_CHAR_SOCKET, sock_path } };
	struct sill_err e = { 0 };
	struct vmfiles f;
	struct stat st;

	(void)state;
	make_file(log_path, 100);
	(void)unlink(log_path);
	vmfiles_init(&f, &m);
	assert_int_equal(vmfiles_create(&f, &e), 0);
	assert_int_equal(stat(log_path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(sock_path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	vmfiles_fini(&f);
	assert_true(exists(log_path));
	assert_false(exists(sock_path));
}

static void vmfiles_create__empties_the_log_of_the_last_run(void **state)
{
	struct sill_config m = { .serial = { SILL_CHAR_FILE, log_path } };
	struct sill_err e = { 0 };
	struct vmfiles f;
	struct stat st;

	(void)state;
	make_file(log_path, 100);
	vmfiles_init(&f, &m);
	assert_int_equal(vmfiles_create(&f, &e), 0);
	assert_int_equal(stat(log_path, &st), 0);
	assert_int_equal(st.st_size, 0);
	vmfiles_fini(&f);
}

static void vmfiles_create__empties_no_disk_that_is_in_use(void **state)
{
	struct sill_config m = { .serial = { SILL_CHAR_FILE, a_img } };
	struct sill_err e = { 0 };
	struct vmfiles f;
	struct stat st;
	int disk;

	(void)state;
	make_file(a_img, 4096);
	disk = open(a_img, O_RDWR | O_CLOEXEC);
	assert_true(disk >= 0);
	assert_int_equal(lock_image(disk, true, a_img, &e), 0);
	vmfiles_init(&f, &m);
	assert_int_equal(vmfiles_create(&f, &e), -1);
	vmfiles_fini(&f);
	assert_string_equal(e.msg, "serial: 'a.img' is an image that a VM uses");
	assert_int_equal(fstat(disk, &st), 0);
	assert_int_equal(st.st_size, 4096);
	(void)close(disk);
}

static int listen_at(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(fd, 1), 0);
	return fd;
}

static void vmfiles_create__takes_over_only_a_stale_socket(void **state)
{
	struct sill_config m = { .serial = { SILL_CHAR_SOCKET, sock_path } };
	struct sill_err e = { 0 };
	int other = listen_at(sock_path);
	struct vmfiles f;

	(void)state;
	vmfiles_init(&f, &m);
	assert_int_equal(vmfiles_create(&f, &e), -1);
	assert_non_null(strstr(e.msg, "is in use"));
	vmfiles_fini(&f);
	assert_true(exists(sock_path)); /* it is not ours to remove */

	(void)close(other);
	e = (struct sill_err){ 0 };
	vmfiles_init(&f, &m);
	assert_int_equal(vmfiles_create(&f, &e), 0);
	vmfiles_fini(&f);
	assert_false(exists(sock_path));
}

static void vmfiles_create__never_removes_a_file(void **state)
{
	struct sill_config m = { .serial = { SILL_CHAR_SOCKET, a_img } };
	struct sill_err e = { 0 };
	struct vmfiles f;

	(void)state;
	make_file(a_img, 4096);
	vmfiles_init(&f, &m);
	assert_int_equal(vmfiles_create(&f, &e), -1);
	vmfiles_fini(&f);
	assert_true(exists(a_img));
}

static void vmfiles_create__opens_a_pty_and_says_where(void **state)
{
	struct sill_config m = { .serial = { .mode = SILL_CHAR_PTY } };
	struct sill_err e = { 0 };
	struct vmfiles f;
	int fd;

	(void)state;
	vmfiles_init(&f, &m);
	assert_int_equal(vmfiles_create(&f, &e), 0);
	assert_true(f.port[SILL_PORT_SERIAL].in_fd >= 0);
	fd = open(f.port[SILL_PORT_SERIAL].pty, O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(fd >= 0);
	(void)close(fd);
	vmfiles_fini(&f);
	vmfiles_fini(&f); /* twice does no harm */
}

static void vmfiles_give__hands_over_all(void **state)
{
	struct sill_disk_config disk = { .path = a_img, .id = b_img };
	struct sill_config m = { .disk = &disk, .disk_count = 1, .kernel = code_fd };
	struct sill_files given = { 0 };
	struct sill_err e = { 0 };
	struct vmfiles f;
	int fd;

	(void)state;
	make_file(code_fd, 4096);
	make_file(a_img, 4096);
	vmfiles_init(&f, &m);
	assert_int_equal(vmfiles_open(&f, &e), 0);
	assert_int_equal(vmfiles_give(&f, &given, &e), 0);
	vmfiles_fini(&f);
	fd = sill_files_take(&given, SILL_FILE_DISK, b_img, 0);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	(void)close(fd);
	assert_non_null(sill_files_find(&given, SILL_FILE_KERNEL, NULL, 0));
	assert_null(sill_files_find(&given, SILL_FILE_VARS, NULL, 0));
	assert_int_equal(given.count, 1);
	sill_files_close(&given);
}

/* A value of its own, as run.c has one. */
static void settled(const struct vmfiles *f, const struct sill_config *m, struct sill_config *ret)
{
	struct sill_err e = { 0 };

	assert_int_equal(sill_config_copy(ret, m, &e), 0);
	assert_int_equal(vmfiles_settle(f, ret, &e), 0);
}

static void vmfiles_settle__leaves_nothing_open(void **state)
{
	static char name[] = "vm", id[] = "d", auto_word[] = "auto", off_word[] = "off",
		    ram[] = "ram", below[] = "/base.raw";
	struct sill_backing backing = { .path = auto_word };
	struct sill_disk_config disk = { .path = a_img,
					 .format = SILL_DISK_QCOW2,
					 .id = id,
					 .backing = &backing,
					 .backing_count = 1,
					 .data_file = auto_word };
	struct sill_config m = { .name = name, .disk = &disk, .disk_count = 1 }, own;
	uint8_t uuid[16];
	struct vmfiles f;

	(void)state;
	vmfiles_init(&f, &m);
	f.disks[0].count = 2;
	f.disks[0].layer[0].path = a_img;
	f.disks[0].layer[1] = (struct chain_layer){ -1, -1, below, NULL, SILL_DISK_RAW, false };
	settled(&f, &m, &own);
	assert_int_equal(own.disk[0].backing_count, 1);
	assert_string_equal(own.disk[0].backing[0].path, below);
	assert_int_equal(own.disk[0].backing[0].format, SILL_BACKING_RAW);
	assert_null(own.disk[0].data_file);
	assert_int_equal(own.disk[0].ephemeral_limit, 0);
	assert_null(own.platform.vmgenid);
	sill_config_free(&own);
	/* The generation id: made, as written, or none. */
	m.platform.vmgenid = auto_word;
	disk.ephemeral = ram;
	f.disks[0].count = 1;
	settled(&f, &m, &own);
	assert_int_equal(own.disk[0].backing_count, 0);
	assert_true(own.disk[0].ephemeral_limit > 0);
	assert_int_equal(sill_uuid_read(own.platform.vmgenid, uuid), 0);
	sill_config_free(&own);
	m.platform.vmgenid = off_word;
	settled(&f, &m, &own);
	assert_string_equal(own.platform.vmgenid, "off");
	sill_config_free(&own);
}

static void vmfiles_settle__tells_of_the_hosts_name_servers(void **state)
{
	char name[] = "vm", id[] = "net0", mac[] = "02:00:00:00:00:01", none[] = "", off[] = "off",
	     host[] = "host", given[] = "10.9.9.9";
	char *dns[] = { host };
	struct sill_net_config net = {
		.tap = none, .address = off, .mac = mac, .id = id, .dns = dns, .dns_count = 1
	};
	struct sill_config m = { .name = name, .net = &net, .net_count = 1 }, own;
	struct sill_err e = { 0 };
	struct cable *c = cable_create(id, &e);
	struct vmfiles f;

	(void)state;
	vmfiles_init(&f, &m);
	assert_int_equal(cables_add(&f.cables, c, &e), 0);
	c->tap.made = true;
	c->tap.mtu = 1500;
	(void)snprintf(c->tap.address, sizeof(c->tap.address), "192.168.249.1/24");
	assert_true(cable_lacks_dns(c, &net));
	settled(&f, &m, &own);
	assert_int_equal(own.net[0].dhcp, SILL_DHCP_ON);
	assert_int_equal(own.net[0].dns_count, 1);
	assert_string_equal(own.net[0].dns[0], "off");
	sill_config_free(&own);
	c->proxied = true; /* we ask for it, at the host's side */
	assert_false(cable_lacks_dns(c, &net));
	settled(&f, &m, &own);
	assert_int_equal(own.net[0].dns_count, 1);
	assert_string_equal(own.net[0].dns[0], "192.168.249.1");
	sill_config_free(&own);
	c->proxied = false;
	c->dns = (struct resolvers){ .list = { 0x0a000001, 0xa9fea9fd }, .count = 2 };
	assert_false(cable_lacks_dns(c, &net));
	settled(&f, &m, &own);
	assert_int_equal(own.net[0].dns_count, 2);
	assert_string_equal(own.net[0].dns[0], "10.0.0.1");
	assert_string_equal(own.net[0].dns[1], "169.254.169.253");
	sill_config_free(&own);
	/* Those of IPv6 to a guest that reaches them, and no more than there may be. */
	c->dns.list6[0][0] = c->dns.list6[1][0] = 0xfd;
	c->dns.list6[1][15] = 1;
	c->dns.count6 = 2;
	settled(&f, &m, &own);
	assert_int_equal(own.net[0].dns_count, 2);
	sill_config_free(&own);
	c->routes6 = true;
	settled(&f, &m, &own);
	assert_int_equal(own.net[0].dns_count, 3);
	assert_string_equal(own.net[0].dns[2], "fd00::");
	sill_config_free(&own);
	c->dns.count = 0;
	assert_false(cable_lacks_dns(c, &net));
	settled(&f, &m, &own);
	assert_int_equal(own.net[0].dns_count, 2);
	assert_string_equal(own.net[0].dns[1], "fd00::1");
	sill_config_free(&own);
	c->routes6 = false;
	assert_true(cable_lacks_dns(c, &net));
	dns[0] = given;
	settled(&f, &m, &own);
	assert_int_equal(own.net[0].dns_count, 1);
	assert_string_equal(own.net[0].dns[0], given);
	sill_config_free(&own);
	/* Who gives no address tells of nothing, and so lacks nothing. */
	dns[0] = host;
	c->dns.count = 0;
	c->tap.made = false;
	assert_false(cable_lacks_dns(c, &net));
	vmfiles_fini(&f);
}

static void host_memory_check__says_what_is_missing(void **state)
{
	struct sill_config m = { .memory = { .size = 16ull << 40 } };
	struct sill_err e = { 0 };

	(void)state;
	assert_int_equal(host_memory_check(&m, &e), -1);
	assert_int_equal(e.code, SILL_ERR_HOST);
	assert_true(e.hint[0] != '\0');
	e = (struct sill_err){ 0 };
	m.memory.hugepages = true;
	assert_int_equal(host_memory_check(&m, &e), -1);
	assert_non_null(strstr(e.msg, "huge pages"));
	e = (struct sill_err){ 0 };
	m.memory = (struct sill_memory_config){ .size = 1 << 20 };
	assert_int_equal(host_memory_check(&m, &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vmfiles_open__locks_disks_and_creates_nothing),
		cmocka_unit_test(vmfiles_open__fails_without_leaving_locks),
		cmocka_unit_test(vmfiles_create__puts_a_layer_without_a_name_on_an_ephemeral_disk),
		cmocka_unit_test(vmfiles_create__makes_no_variable_store_for_a_layer_without_room),
		cmocka_unit_test(overlay_limit__is_there_in_ram),
		cmocka_unit_test(vmfiles_raise_limit__takes_all_there_is),
		cmocka_unit_test(vmfiles_open__does_not_wait_for_a_fifo),
		cmocka_unit_test(lock_image__names_who_has_it),
		cmocka_unit_test(lock_image__readers_share),
		cmocka_unit_test(lock_refuse_image__knows_one_in_use),
		cmocka_unit_test(vmfiles_create__makes_files_that_only_we_can_read),
		cmocka_unit_test(vmfiles_create__empties_the_log_of_the_last_run),
		cmocka_unit_test(vmfiles_create__empties_no_disk_that_is_in_use),
		cmocka_unit_test(vmfiles_create__takes_over_only_a_stale_socket),
		cmocka_unit_test(vmfiles_create__never_removes_a_file),
		cmocka_unit_test(vmfiles_create__opens_a_pty_and_says_where),
		cmocka_unit_test(vmfiles_give__hands_over_all),
		cmocka_unit_test(vmfiles_settle__leaves_nothing_open),
		cmocka_unit_test(vmfiles_settle__tells_of_the_hosts_name_servers),
		cmocka_unit_test(host_memory_check__says_what_is_missing),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
