/* SPDX-License-Identifier: Apache-2.0 */
/* systemd.c - a unit: systemd.service(5), systemd.exec(5), systemd.resource-control(5). */
#include "runner/export/export.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "runner/report/text.h"

/* Such a line has no quotes: only what needs none. */
static bool is_plain(const char *s)
{
	for (; *s != '\0'; s++)
		if (*s <= ' ' || *s == 0x7f || *s == '%')
			return false;
	return true;
}

static bool begins(const char *path, const char *with)
{
	const size_t n = strlen(with);

	return strncmp(path, with, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* Does a file of the VM lie below @dir? */
static bool lies_in(const struct export_vm *vm, const struct export_needs *n, const char *dir)
{
	bool in = begins(vm->file, dir);

	for (unsigned i = 0; i < n->dirs; i++)
		in |= begins(n->dir[i], dir);
	return in;
}

static void put_rights(FILE *f, const struct export_vm *vm, const struct export_needs *n)
{
	(void)fputs("DevicePolicy=closed\nDeviceAllow=/dev/kvm rw\n", f);
	if (n->tun)
		(void)fputs("DeviceAllow=/dev/net/tun rw\n", f);
	if (n->vhost)
		(void)fputs("DeviceAllow=/dev/vhost-net rw\n", f);
	for (unsigned i = 0; i < n->devices; i++) {
		if (is_plain(n->device[i]))
			(void)fprintf(f, "DeviceAllow=%s rw\n", n->device[i]);
		else
			text_say(vm->notes, "'%s' is a device that the unit has to be allowed",
				 n->device[i]);
	}
	/* dnsmasq becomes somebody else, whom the VM ends. */
	(void)fprintf(f,
		      "CapabilityBoundingSet=%sCAP_DAC_OVERRIDE CAP_SETUID CAP_SETGID CAP_CHOWN "
		      "CAP_FOWNER%s\n",
		      n->net_admin ? "CAP_NET_ADMIN " : "",
		      n->dnsmasq ? " CAP_NET_BIND_SERVICE CAP_KILL" : "");
	/* "full" has /etc read-only, where a manifest may have the firmware's variables beside it. */
	(void)fprintf(f, "NoNewPrivileges=yes\nProtectSystem=%s\nPrivateTmp=%s\n",
		      lies_in(vm, n, "/etc") ? "yes" : "full",
		      lies_in(vm, n, "/tmp") || lies_in(vm, n, "/var/tmp") ? "no" : "yes");
}

char *export_systemd(const struct export_vm *vm)
{
	const struct sill_config *v = vm->mf->docs[vm->doc].m;
	static const char *const restarts[] = { [SILL_RESTART_NO] = "no",
						[SILL_RESTART_ON_FAILURE] = "on-failure",
						[SILL_RESTART_ALWAYS] = "always" };
	struct export_needs n;
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		return NULL;
	export_needs_get(&n, vm, false);
	(void)fprintf(f,
		      "[Unit]\nDescription=VM "
		      "%s\nWants=network-online.target\nAfter=network-online.target\n\n"
		      "[Service]\nType=notify\nEnvironment=SILL_UNIT=%%n\n"
		      "Environment=\"SILL_MANIFEST=",
		      v->name);
	/* `sill apply` of another file says so in a drop-in of the unit, as for sill@.service. */
	text_unit_value(f, vm->file);
	(void)fprintf(f, "\"\nExecStart=/usr/bin/sill up --foreground --name %s ${SILL_MANIFEST}",
		      v->name);
	/* The power button first; a guest that stays is ended by the signal. The signs in `ready` have their own time. */
	(void)fprintf(f,
		      "\nExecStop=/usr/bin/sill down %s\nTimeoutStartSec=infinity\n"
		      "TimeoutStopSec=150\nWatchdogSec=60\nKillMode=mixed\n"
		      "SyslogIdentifier=sill\nLogExtraFields=SILL_VM=%s\n",
		      v->name, v->name);
	(void)fprintf(f,
		      "Restart=%s\nRestartSec=5\nRestartPreventExitStatus=2\nStandardInput=null\n",
		      restarts[v->restart]);
	(void)fprintf(f, "MemoryMax=%" PRIu64 "\nLimitNOFILE=524288\nLimitMEMLOCK=infinity\n",
		      n.memory);
	put_rights(f, vm, &n);
	(void)fputs("\n[Install]\nWantedBy=multi-user.target\n", f);
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}
