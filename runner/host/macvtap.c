/* SPDX-License-Identifier: Apache-2.0 */
/*
 * macvtap.c - an interface of its own on another one's network (tap.h).
 *
 * Its queues are opens of /dev/tapN, N its index. No descriptor keeps it or takes it away: before it is
 * made, a file (leftover.h) says that it will be, with the MAC address by which it is known again.
 *
 * All groups' frames are let through: the guest's own list does not reach the interface, and IPv6 finds
 * nobody without them. The host's IPv6 is off on it: it would speak under the guest's address.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "runner/host/link.h"
#include "runner/host/subnet.h"
#include "runner/host/tap.h"

enum { NAMES = 1000, MAC_TEXT = 18 };

static const char kind[] = "macvtap";

static int cannot_make(const struct sill_net_config *n, struct sill_err *e)
{
	const int err = errno;

	(void)sill_err_sys(e, err, "make a macvtap on '%s'", n->macvtap);
	switch (err) {
	case EPERM:
		return sill_err_hint(e, "that takes CAP_NET_ADMIN");
	case EOPNOTSUPP:
		return sill_err_hint(e, "load the module: `modprobe macvtap`");
	case EBUSY:
		return sill_err_hint(e,
				     "it is a bridge's port, or has a macvtap in mode passthru: "
				     "`ip -d link show %s`",
				     n->macvtap);
	case EINVAL:
		return sill_err_hint(e,
				     "is it Ethernet? With passthru there may be no other: "
				     "`ip -d link show %s`",
				     n->macvtap);
	default:
		return -1;
	}
}

/* The file first, then the interface. 1: made; 0: the name is somebody's; -1 and @e. */
static int try_name(struct tap *t, const struct sill_net_config *n, const char *dir,
		    const struct link_macvtap *m, struct sill_err *e)
{
	if (if_nametoindex(m->name) != 0 || !leftover_path(t->leftover_path, dir, kind, m->name) ||
	    access(t->leftover_path, F_OK) == 0)
		return 0;
	t->leftover = leftover_make(dir, t->leftover_path, e);
	if (t->leftover < 0)
		return -1;
	if (pwrite(t->leftover, n->mac, strlen(n->mac), 0) < 0 || fsync(t->leftover) < 0)
		return sill_err_sys(e, errno, "'%s'", t->leftover_path);
	if (link_make_macvtap(m) == 0)
		return 1;
	if (errno != EEXIST)
		return cannot_make(n, e);
	(void)unlink(t->leftover_path);
	(void)close(t->leftover);
	t->leftover = -1;
	return 0;
}

static int make(struct tap *t, const struct sill_net_config *n, const char *dir, struct sill_err *e)
{
	struct link_macvtap m = { .name = t->name,
				  .lower = if_nametoindex(n->macvtap),
				  .mode = n->macvtap_mode,
				  .mtu = n->mtu };
	int made = 0;

	if (m.lower == 0) {
		(void)sill_err_set(e, SILL_ERR_HOST, "there is no interface '%s'", n->macvtap);
		return sill_err_hint(e, "`ip link` lists them");
	}
	if (sill_mac_read(n->mac, m.mac) < 0)
		return sill_err_set(e, SILL_ERR_INTERNAL, "macvtap: no address");
	for (unsigned i = 0; made == 0 && i < NAMES; i++) {
		(void)snprintf(t->name, sizeof(t->name), "vmtap%u", i);
		made = try_name(t, n, dir, &m, e);
	}
	if (made == 0)
		return sill_err_set(e, SILL_ERR_HOST, "vmtap0 to vmtap%d are all taken", NAMES - 1);
	if (made < 0)
		return -1;
	t->macvtap = if_nametoindex(t->name);
	t->made = true;
	return 0;
}

static int cannot_open(const char *path, struct sill_err *e)
{
	const int err = errno;

	(void)sill_err_sys(e, err, "open '%s'", path);
	if (err == EACCES || err == EPERM)
		return sill_err_hint(e,
				     "that takes root, or a udev rule that gives you such devices");
	if (err == ENOENT)
		return sill_err_hint(e,
				     "this /dev does not have the host's devices (a container?); "
				     "'bridge' needs none");
	return -1;
}

/* /dev is one, namespaces are many: another's interface may have this index. */
static int open_queue(struct tap *t, unsigned queue, struct sill_err *e)
{
	struct ifreq ifr = { .ifr_flags = (short)(IFF_TAP | IFF_NO_PI | IFF_VNET_HDR |
						  (t->count > 1 ? IFF_MULTI_QUEUE : 0)) };
	char path[32];

	(void)snprintf(path, sizeof(path), "/dev/tap%u", t->macvtap);
	t->fd[queue] = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (t->fd[queue] < 0)
		return cannot_open(path, e);
	if (ioctl(t->fd[queue], TUNSETIFF, &ifr) < 0 || ioctl(t->fd[queue], TUNGETIFF, &ifr) < 0)
		return sill_err_sys(e, errno, "'%s'", path);
	if (strncmp(ifr.ifr_name, t->name, sizeof(ifr.ifr_name)) == 0)
		return 0;
	return sill_err_set(e, SILL_ERR_HOST, "'%s' leads to '%.15s', in another network namespace",
			    path, ifr.ifr_name);
}

int macvtap_open(struct tap *t, const struct sill_net_config *n, const char *dir,
		 struct sill_err *e)
{
	struct link l;
	int lock, ret;

	if (leftover_dir(dir, e) < 0)
		return -1;
	lock = networks_lock(e);
	if (lock < 0)
		return -1;
	ret = make(t, n, dir, e);
	(void)close(lock);
	if (ret < 0)
		return -1;
	link_no_ipv6(t->name);
	if (link_up(t->name, true) < 0)
		return sill_err_sys(e, errno, "'%s': up", t->name);
	for (unsigned i = 0; i < t->count; i++)
		if (open_queue(t, i, e) < 0)
			return -1;
	ret = link_find(t->name, &l, e);
	if (ret < 0)
		return -1;
	if (ret == 0)
		return sill_err_set(e, SILL_ERR_HOST, "'%s' is gone", t->name);
	t->mtu = l.mtu < UINT16_MAX ? (uint16_t)l.mtu : UINT16_MAX;
	return 0;
}

void macvtap_close(struct tap *t)
{
	int lock;

	if (t->leftover < 0)
		return;
	lock = networks_lock_to_clean();
	/* Without the right to, any more: the file stays for who has it. */
	if (t->macvtap == 0 || link_remove(t->macvtap) == 0 || errno == ENODEV)
		(void)unlink(t->leftover_path);
	(void)close(t->leftover);
	t->leftover = -1;
	if (lock >= 0)
		(void)close(lock);
}

/* Under that name may be somebody else's by now. */
static bool remove_one(int fd, const char *path, const char *interface)
{
	char text[MAC_TEXT] = "";
	uint8_t mac[6];
	struct link l;
	const ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	const int found = link_find(interface, &l, &(struct sill_err){ 0 });

	if (found < 0)
		return false;
	if (found == 1 && n > 0 && sill_mac_read(text, mac) == 0 && strcmp(l.kind, kind) == 0 &&
	    memcmp(mac, l.mac, sizeof(mac)) == 0 && link_remove(l.index) < 0)
		return false;
	(void)unlink(path);
	return true;
}

void macvtap_clean(const char *dir, leftover_told *fn, void *ctx)
{
	leftover_each(dir, &(struct leftover_kind){ kind, remove_one, fn, ctx });
}
