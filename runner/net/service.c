/* SPDX-License-Identifier: Apache-2.0 */
/* service.c - see service.h. */
#include "runner/net/service.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "runner/report/text.h"

const char *service_name(enum service s)
{
	static const char *const names[] = { "tcp", "rdp", "ssh", "winrm" };

	return names[s];
}

/* TPKT, X.224 connection request, RDP_NEG_REQ: TLS, CredSSP, CredSSP with early authorization. */
static const uint8_t rdp_request[] = { 0x03, 0x00, 0x00, 0x13, 0x0e, 0xe0, 0x00, 0x00, 0x00, 0x00,
				       0x00, 0x01, 0x00, 0x08, 0x00, 0x0b, 0x00, 0x00, 0x00 };

static const char identify[] =
	"<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" "
	"xmlns:i=\"http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd\">"
	"<s:Header/><s:Body><i:Identify/></s:Body></s:Envelope>";

size_t service_request(enum service s, const char *host, char ret[SERVICE_REQUEST])
{
	int n;

	if (s == SERVICE_RDP) {
		memcpy(ret, rdp_request, sizeof(rdp_request));
		return sizeof(rdp_request);
	}
	if (s != SERVICE_WINRM)
		return 0;
	n = snprintf(ret, SERVICE_REQUEST,
		     "POST /wsman HTTP/1.1\r\nHost: %s\r\nUser-Agent: sill\r\n"
		     "Content-Type: application/soap+xml;charset=UTF-8\r\n"
		     "WSMANIDENTIFY: unauthenticated\r\nConnection: close\r\n"
		     "Content-Length: %zu\r\n\r\n%s",
		     host, sizeof(identify) - 1, identify);
	assert(n > 0 && n < SERVICE_REQUEST);
	return (size_t)n;
}

size_t service_goodbye(enum service s, char ret[SERVICE_REQUEST])
{
	static const char ssh[] = "SSH-2.0-sill\r\n";

	if (s != SERVICE_SSH)
		return 0;
	memcpy(ret, ssh, sizeof(ssh) - 1);
	return sizeof(ssh) - 1;
}

static enum service_verdict say(char ret_what[SERVICE_WHAT], enum service_verdict v,
				const char *what)
{
	(void)snprintf(ret_what, SERVICE_WHAT, "%s", what);
	return v;
}

/* Is the answer's beginning, as far as it has come, that of @text? */
static bool begins(const uint8_t *data, size_t n, const char *text)
{
	const size_t len = strlen(text);

	return memcmp(data, text, n < len ? n : len) == 0;
}

static const char *rdp_what(uint8_t type, uint32_t value)
{
	if (type == 3)
		return "refuses to go on without another way to log in";
	if (type != 2)
		return "RDP's own security";
	return value == 0 ? "RDP's own security" : value == 1 ? "TLS" : "CredSSP";
}

static enum service_verdict judge_rdp(const uint8_t *data, size_t n, char ret_what[SERVICE_WHAT])
{
	const size_t size = n >= 4 ? (size_t)data[2] << 8 | data[3] : 0;
	const size_t need = size < 19 ? size : 19;

	if ((n > 0 && data[0] != 3) || (n >= 4 && size < 11) || (n > 5 && data[5] >> 4 != 0xd))
		return say(ret_what, SERVICE_NOT, "no X.224 connection confirm");
	if (n < 11 || n < need)
		return SERVICE_MORE;
	if (size < 19)
		return say(ret_what, SERVICE_THERE, rdp_what(0, 0));
	return say(ret_what, SERVICE_THERE, rdp_what(data[11], data[15] | (uint32_t)data[16] << 8));
}

enum { SSH_LINE = 255 };

static enum service_verdict judge_ssh(const uint8_t *data, size_t n, char ret_what[SERVICE_WHAT])
{
	for (size_t at = 0; at < n;) {
		const uint8_t *line = data + at, *end = memchr(line, '\n', n - at);
		size_t len = end != NULL ? (size_t)(end - line) : n - at;

		for (size_t i = 0; i < len; i++)
			if (line[i] < ' ' && line[i] != '\t' && line[i] != '\r')
				return say(ret_what, SERVICE_NOT, "no SSH version, but bytes");
		if (len > SSH_LINE)
			return say(ret_what, SERVICE_NOT, "no SSH version, but a long line");
		if (end == NULL)
			break;
		at += len + 1;
		len -= len > 0 && line[len - 1] == '\r';
		if (len < 8 || !(begins(line, len, "SSH-2.0-") || begins(line, len, "SSH-1.99-")))
			continue;
		(void)text_clean(ret_what, SERVICE_WHAT, (const char *)line, len);
		return SERVICE_THERE;
	}
	return SERVICE_MORE;
}

static bool has(const uint8_t *data, size_t n, const char *text)
{
	return memmem(data, n, text, strlen(text)) != NULL;
}

static enum service_verdict judge_winrm(const uint8_t *data, size_t n, char ret_what[SERVICE_WHAT])
{
	if (!begins(data, n, "HTTP/1."))
		return say(ret_what, SERVICE_NOT, "no HTTP");
	if (n < sizeof("HTTP/1.1 200") - 1)
		return SERVICE_MORE;
	if (memcmp(data + 8, " 200", 4) == 0) {
		if (!has(data, n, "IdentifyResponse"))
			return SERVICE_MORE;
		return say(ret_what, SERVICE_THERE,
			   has(data, n, "Microsoft Corporation") ? "Microsoft Corporation" : "");
	}
	(void)snprintf(ret_what, SERVICE_WHAT, "HTTP, but no WinRM: status ");
	(void)text_clean(ret_what + strlen(ret_what), 12, (const char *)data + 9, 3);
	return SERVICE_NOT;
}

enum service_verdict service_judge(enum service s, const uint8_t *data, size_t n, bool ended,
				   char ret_what[SERVICE_WHAT])
{
	enum service_verdict v = SERVICE_THERE;

	assert(n <= SERVICE_MAX);
	ret_what[0] = '\0';
	switch (s) {
	case SERVICE_TCP:
		break;
	case SERVICE_RDP:
		v = judge_rdp(data, n, ret_what);
		break;
	case SERVICE_SSH:
		v = judge_ssh(data, n, ret_what);
		break;
	case SERVICE_WINRM:
		v = judge_winrm(data, n, ret_what);
		break;
	}
	if (v != SERVICE_MORE || (!ended && n < SERVICE_MAX))
		return v;
	return say(ret_what, SERVICE_NOT,
		   n == 0            ? "it closes the connection without a word"
		   : n < SERVICE_MAX ? "its answer is cut short"
				     : "its answer does not end");
}
