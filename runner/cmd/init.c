/* SPDX-License-Identifier: Apache-2.0 */
/*
 * init.c - sill init: a manifest to start from, with comments.
 *
 * What it writes is a manifest that is right: what is missing is only the
 * disk, and what makes one is said.
 */
#include "runner/cmd/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/report/text.h"
#include "sill/image.h"

enum { NAME_MAX_BYTES = 63 };

static const char *const guests[] = { "windows", "linux", "other" };

/* Where distributions keep the firmware that pairs with a variable store. The first is Debian's. */
static const char *const firmware[] = {
	"/usr/share/OVMF/OVMF_CODE_4M.fd",
	"/usr/share/edk2/x64/OVMF_CODE.4m.fd",
	"/usr/share/edk2/ovmf/OVMF_CODE.fd",
	"/usr/share/OVMF/OVMF_CODE.fd",
};

struct start {
	const char *guest, *name, *disk, *format, *code;
	const char *file; /* NULL: standard output */
	const char *
		disk_at; /* @disk as this process finds it: the manifest's is relative to the manifest */
};

static const char *find_firmware(void)
{
	for (size_t i = 0; i < sizeof(firmware) / sizeof(firmware[0]); i++)
		if (access(firmware[i], R_OK) == 0)
			return firmware[i];
	return firmware[0];
}

/* A scalar that YAML 1.1 or 1.2 takes for a switch, a number or nothing. */
static bool is_special(const char *s)
{
	static const char *const words[] = { "y", "n",    "yes",   "no",   "on",   "off",
					     "~", "true", "false", "null", "NULL", ".nan" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcasecmp(s, words[i]) == 0)
			return true;
	return s[strspn(s, "0123456789abcdefABCDEFxXoO_.+-")] == '\0';
}

/* Plain where nothing in it can be taken for anything else, single-quoted otherwise. */
static void put_text(FILE *f, const char *s)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_-./";

	if (s[strspn(s, plain)] == '\0' && s[0] != '-' && !is_special(s)) {
		(void)fputs(s, f);
		return;
	}
	(void)fputc('\'', f);
	for (; *s != '\0'; s++) {
		if (*s == '\'')
			(void)fputc('\'', f);
		(void)fputc(*s, f);
	}
	(void)fputc('\'', f);
}

static void put_key(FILE *f, const char *key, const char *value, const char *comment)
{
	(void)fprintf(f, "%s: ", key);
	put_text(f, value);
	if (comment != NULL)
		(void)fprintf(f, "   # %s", comment);
	(void)fputc('\n', f);
}

/* Random, version 4 (RFC 9562, 5.4). */
static void put_uuid(FILE *f)
{
	uint8_t u[16];

	if (getrandom(u, sizeof(u), 0) != (ssize_t)sizeof(u))
		return;
	u[6] = (uint8_t)((u[6] & 0x0f) | 0x40);
	u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
	(void)fputs("platform:\n  uuid: ", f);
	for (size_t i = 0; i < sizeof(u); i++)
		(void)fprintf(f, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", u[i]);
	(void)fputs("   # this VM's own; activation may be bound to it\n", f);
}

static void put_disk(FILE *f, const struct start *s, bool windows)
{
	(void)fputs("disk:\n", f);
	put_key(f, "  - path", s->disk, "relative to this file");
	(void)fprintf(f, "    format: %s   # " SILL_IMAGE_FORMATS "; never guessed\n", s->format);
	if (windows)
		(void)fputs("    serial: system   # Windows takes two disks with one serial number "
			    "offline\n",
			    f);
}

static int put_manifest(FILE *f, const struct start *s)
{
	const bool windows = strcmp(s->guest, "windows") == 0;
	char vars[NAME_MAX_BYTES + sizeof(".vars.fd")];

	(void)snprintf(vars, sizeof(vars), "%s.vars.fd", s->name);
	(void)fputs("# A VM for `sill run`. `sill explain KEY` tells what a key means, and\n"
		    "# `sill show --effective` prints this with every default filled in.\n"
		    "sill: 1   # version of the manifest's language\n",
		    f);
	put_key(f, "name", s->name, NULL);
	put_key(f, "guest", s->guest,
		windows ? "Hyper-V enlightenments, a clock that keeps local time" : NULL);
	(void)fputs("firmware:\n", f);
	put_key(f, "  code", s->code, NULL);
	put_key(f, "  vars", vars, "the VM's own UEFI variables; made on the first run");
	(void)fputs("cpus:\n  boot: 2\n", f);
	if (windows)
		(void)fputs("  topology: {cores_per_die: 2}   # one socket: client editions use no "
			    "more than two\n",
			    f);
	(void)fprintf(f, "memory:\n  size: %s\n", windows ? "4G" : "1G");
	put_disk(f, s, windows);
	(void)fprintf(f, "serial:\n  mode: tty   # %s; Ctrl-A x quits, Ctrl-A h helps\n",
		      windows ? "the emergency console (SAC)" : "the guest's console");
	if (windows)
		put_uuid(f);
	return fflush(f) == 0 && ferror(f) == 0 ? 0 : -1;
}

/* A file that was not there before; what cannot be written whole is gone again. */
static int write_file(const struct start *s)
{
	char clean[256];
	int fd = open(s->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
	int err = errno, failed;

	(void)text_clean(clean, sizeof(clean), s->file, strlen(s->file));
	if (f == NULL) {
		if (fd >= 0)
			(void)close(fd);
		(void)fprintf(stderr, "sill init: '%s': %s\n", clean, strerrordesc_np(err));
		if (err == EEXIST)
			(void)fputs("   hint: nothing is written over; give another name, or '-' "
				    "for standard output\n",
				    stderr);
		return err == EEXIST ? CMD_FAILED : CMD_HOST;
	}
	failed = put_manifest(f, s) < 0 || fsync(fd) < 0;
	err = errno;
	failed |= fclose(f) != 0;
	if (failed) {
		(void)unlink(s->file);
		(void)fprintf(stderr, "sill init: '%s': %s\n", clean, strerrordesc_np(err));
		return CMD_HOST;
	}
	return CMD_DONE;
}

static void say_what_comes_next(const struct start *s)
{
	const bool windows = strcmp(s->guest, "windows") == 0;
	char file[256], disk[256];

	(void)text_clean(file, sizeof(file), s->file, strlen(s->file));
	(void)text_clean(disk, sizeof(disk), s->disk_at, strlen(s->disk_at));
	(void)printf("'%s' is written. ", file);
	if (access(s->disk_at, F_OK) < 0)
		(void)printf("Its disk is not there yet: put an image with %s at\n'%s', or make an "
			     "empty one:\n\n    sill image create -f %s %s 32G\n\n",
			     windows ? "Windows and its virtio drivers" : "a system on it", disk,
			     s->format, disk);
	else
		(void)fputs("Then:\n\n", stdout);
	(void)printf("    sill validate %s\n    sill run %s\n", file, file);
}

/* The name that a file's name gives: without directory and ending. NULL: none that a VM may have. */
static const char *name_of(const char *file, char *buf, size_t size)
{
	const char *base = strrchr(file, '/') != NULL ? strrchr(file, '/') + 1 : file;
	size_t n = strcspn(base, ".");

	if (n == 0 || n >= size)
		return NULL;
	(void)snprintf(buf, size, "%.*s", (int)n, base);
	return buf;
}

/* The rules of the manifest's own `name`. */
static bool name_is_good(const char *s)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_.-";

	return s[0] != '\0' && s[0] != '.' && s[0] != '-' && strlen(s) <= NAME_MAX_BYTES &&
	       s[strspn(s, letters)] == '\0';
}

/* What the disk that is there already is; the format of one that is not is qcow2. */
static const char *format_of(const char *disk)
{
	enum sill_disk_format format = SILL_DISK_QCOW2;
	struct sill_err e = { 0 };
	struct stat st;
	int fd;

	/* What is opened must be a file or a disk: to open something else may do something. */
	if (stat(disk, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)))
		return sill_image_format_name(format);
	fd = open(disk, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd >= 0 && sill_image_tell(fd, &format, &e) < 0)
		format = SILL_DISK_QCOW2;
	if (fd >= 0)
		(void)close(fd);
	return sill_image_format_name(format);
}

/* A path of the manifest @file, as this process finds it. */
static char *beside(const char *file, const char *path)
{
	const char *slash = file != NULL ? strrchr(file, '/') : NULL;
	char *ret = NULL;

	if (path[0] == '/' || slash == NULL)
		return strdup(path);
	return asprintf(&ret, "%.*s/%s", (int)(slash - file), file, path) < 0 ? NULL : ret;
}

static int pick_guest(struct start *s)
{
	const size_t count = sizeof(guests) / sizeof(guests[0]);
	char clean[TEXT_SHORT];

	for (size_t i = 0; i < count; i++)
		if (strcmp(s->guest, guests[i]) == 0)
			return 0;
	(void)text_clean(clean, sizeof(clean), s->guest, strlen(s->guest));
	if (cmd_nearest(s->guest, guests, count) != NULL)
		return cmd_usage(&verb_init, "--guest '%s'; did you mean '%s'?", clean,
				 cmd_nearest(s->guest, guests, count));
	return cmd_usage(&verb_init, "--guest '%s' is none of windows, linux, other", clean);
}

static int start(struct start *s)
{
	char *disk_at = beside(s->file, s->disk);
	int ret;

	if (disk_at == NULL) {
		(void)fputs("sill: no memory\n", stderr);
		return CMD_FAILED;
	}
	s->disk_at = disk_at;
	s->format = format_of(disk_at);
	s->code = find_firmware();
	if (s->file == NULL)
		ret = put_manifest(stdout, s) < 0 ? CMD_HOST : CMD_DONE;
	else
		ret = write_file(s);
	if (s->file != NULL && ret == CMD_DONE)
		say_what_comes_next(s);
	free(disk_at);
	return ret;
}

static int run(int argc, char **argv)
{
	struct start s = { .guest = "linux" };
	const struct opt opts[] = {
		{ .name = "guest", .text = &s.guest },
		{ .name = "name", .text = &s.name },
		{ .name = "disk", .text = &s.disk },
	};
	int n = cmd_options(&verb_init, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));
	char name[NAME_MAX_BYTES + 1], file[NAME_MAX_BYTES + sizeof(".yaml")],
		disk[NAME_MAX_BYTES + sizeof(".qcow2")];
	const bool out = n == 1 && strcmp(argv[1], "-") == 0;

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n > 1)
		return cmd_usage(&verb_init, "one file at a time");
	if (pick_guest(&s) != 0)
		return CMD_FAILED;
	if (s.name == NULL)
		s.name = n == 1 && !out ? name_of(argv[1], name, sizeof(name)) : "vm";
	if (s.name == NULL || !name_is_good(s.name))
		return cmd_usage(&verb_init, "a VM's name has letters, digits, '_', '.' and '-', "
					     "1 to 63 of them; give it with --name");
	(void)snprintf(disk, sizeof(disk), "%s.qcow2", s.name);
	(void)snprintf(file, sizeof(file), "%s.yaml", s.name);
	if (s.disk == NULL)
		s.disk = disk;
	if (!out)
		s.file = n == 1 ? argv[1] : file;
	return start(&s);
}

const struct verb verb_init = {
	.name = "init",
	.args = "[--guest windows|linux|other] [--name NAME] [--disk PATH] [FILE | -]",
	.summary = "write a manifest to start from, with comments",
	.help = "FILE is NAME.yaml if not given, and '-' is standard output; NAME is FILE's, or "
		"vm.\n"
		"Nothing is written over. The disk is NAME.qcow2 if not given; of one that is\n"
		"there already the format is looked up and written down.\n",
	.run = run,
};
