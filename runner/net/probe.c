/* SPDX-License-Identifier: Apache-2.0 */
/* probe.c - sill net probe: is a service of a guest there? For scripts. */
#include <stdio.h>
#include <string.h>

#include "runner/manifest/scalar.h"
#include "runner/net/knock.h"
#include "runner/net/netstate.h"
#include "runner/net/verbs.h"
#include "runner/report/json.h"
#include "runner/report/text.h"

/* A number alone is seconds. 0, or -1. */
static int read_wait(const char *text, uint64_t *ret_ms)
{
	const enum scalar_result r = scalar_span(text, ret_ms);

	return r == SCALAR_OK || r == SCALAR_NO_UNIT ? 0 : -1;
}

static int show_json(const struct knock *k, const struct knock_result *r)
{
	json_t *o = json_pack("{s:o,s:i,s:s,s:b,s:s,s:o,s:o,s:i,s:f}", "host", json_text(k->host),
			      "port", (int)k->port, "service", service_name(k->service), "there",
			      r->end == KNOCK_THERE, "result", knock_word(r->end), "address",
			      json_text(r->address), "detail", json_text(r->what), "tries",
			      (int)r->tries, "seconds", (double)r->ms / 1000);

	return json_print(stdout, o);
}

static void show(const struct knock *k, const struct knock_result *r)
{
	static const char *const why[] = {
		[KNOCK_NAME] = "no such host",      [KNOCK_REFUSED] = "refused",
		[KNOCK_ROUTE] = "no route",         [KNOCK_TIME] = "timed out",
		[KNOCK_WRONG] = "wrong protocol",   [KNOCK_CLOSED] = "closed",
		[KNOCK_SYSTEM] = "this host cannot"
	};
	const char *open = strchr(k->host, ':') != NULL ? "[" : "",
		   *close = open[0] != '\0' ? "]" : "";

	if (r->end == KNOCK_THERE)
		text_say(stdout, "%s%s%s:%u: %s is there%s%s", open, k->host, close, k->port,
			 service_name(k->service), r->what[0] != '\0' ? ": " : "", r->what);
	else
		text_say(stderr, "sill: %s%s%s:%u: %s is not there: %s: %s (tries: %u, %.1f s)",
			 open, k->host, close, k->port, service_name(k->service), why[r->end],
			 r->what, r->tries, (double)r->ms / 1000);
}

struct wish {
	bool tcp, rdp, ssh, winrm, json;
	const char *wait;
};

/* 0, or -1 when the mistake was reported. */
static int read_words(const struct wish *w, char *host, const char *port, struct knock *ret)
{
	static char guest[INET_ADDRSTRLEN];
	const size_t len = strlen(host);
	char clean[TEXT_SHORT];
	uint64_t n;

	if (w->tcp + w->rdp + w->ssh + w->winrm != 1)
		return cmd_usage(&net_verb_probe,
				 "one of --rdp, --ssh, --winrm and --tcp is needed"),
		       -1;
	ret->service = w->rdp     ? SERVICE_RDP
		       : w->ssh   ? SERVICE_SSH
		       : w->winrm ? SERVICE_WINRM
				  : SERVICE_TCP;
	if (scalar_uint(port, &n) != SCALAR_OK || n < 1 || n > 65535)
		return cmd_usage(&net_verb_probe, "'%s' is not a port: 1 to 65535",
				 text_clean(clean, sizeof(clean), port, strlen(port))),
		       -1;
	ret->port = (uint16_t)n;
	if (w->wait != NULL && read_wait(w->wait, &ret->wait_ms) < 0)
		return cmd_usage(&net_verb_probe, "--wait: '%s' is not a time; write 120s or 5m",
				 text_clean(clean, sizeof(clean), w->wait, strlen(w->wait))),
		       -1;
	/* [::1] as in an URL. */
	if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		host++;
	}
	if (host[0] == '\0' || len > 255)
		return cmd_usage(&net_verb_probe, "'%s' is not a host",
				 text_clean(clean, sizeof(clean), host, strlen(host))),
		       -1;
	ret->host = netstate_guest(host, guest) ? guest : host;
	return 0;
}

static int run(int argc, char **argv)
{
	struct wish w = { 0 };
	/* clang-format off */
	const struct opt opts[] = {
		{ .name = "rdp", .flag = &w.rdp },
		{ .name = "ssh", .flag = &w.ssh },
		{ .name = "winrm", .flag = &w.winrm },
		{ .name = "tcp", .flag = &w.tcp },
		{ .name = "wait", .text = &w.wait },
		{ .name = "json", .flag = &w.json },
	};
	/* clang-format on */
	int n = cmd_options(&net_verb_probe, argc, argv, opts, sizeof(opts) / sizeof(opts[0]));
	struct knock k = { 0 };
	struct knock_result r;

	if (n < 0)
		return n == CMD_OPTS_HELP ? CMD_DONE : CMD_FAILED;
	if (n != 2)
		return cmd_usage(&net_verb_probe, "a host and a port are needed");
	if (read_words(&w, argv[1], argv[2], &k) < 0)
		return CMD_FAILED;
	knock(&k, &r);
	if (w.json && show_json(&k, &r) < 0)
		return CMD_FAILED;
	if (!w.json)
		show(&k, &r);
	return r.end == KNOCK_THERE ? CMD_DONE : CMD_FAILED;
}

const struct verb net_verb_probe = {
	.name = "net probe",
	.args = "--rdp|--ssh|--winrm|--tcp [--wait TIME] [--json] HOST|NAME PORT",
	.summary = "tell whether a service is there, and wait for it",
	.help = "The service is asked in its own protocol, without a login. HOST is a name or an\n"
		"address, IPv4 or IPv6; NAME is a VM that runs, whose guest got its address from\n"
		"Sill, and comes before a host of that name.\n"
		"\n"
		"  --rdp        X.224 connection request, as Remote Desktop begins\n"
		"  --ssh        the server's line with its version\n"
		"  --winrm      WS-Management Identify over HTTP: port 5985, not the one with TLS\n"
		"  --tcp        that somebody takes the connection. Says nothing about a guest "
		"when\n"
		"               something in between takes it first, as `forward` does\n"
		"  --wait TIME  ask again until then: 120s, 5m, 500ms. Without it: once\n"
		"  --json       one object: host, port, service, there, result (there, refused,\n"
		"               no-route, timed-out, wrong-protocol, closed, no-name, failed),\n"
		"               address, detail, tries, seconds\n"
		"\n"
		"exit status\n"
		"  0  it is there\n"
		"  1  it is not, or wrong usage\n",
	.run = run,
};
