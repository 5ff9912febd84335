/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.h - what a service says first, and how to tell that it is that service.
 *
 * Pure: bytes in, a verdict out. What answers may be anybody: it is believed nothing but what it
 * has to say by its protocol, and no more than SERVICE_MAX bytes of it are looked at.
 *
 *   RDP    MS-RDPBCGR 2.2.1.1, 2.2.1.2: an X.224 connection confirm; a refusal of the way to log in is one
 *   SSH    RFC 4253 4.2: the line of its version, which other lines may precede
 *   WinRM  WS-Management over HTTP: Identify, which needs no login
 *   TCP    that somebody takes the connection
 */
#ifndef RUNNER_NET_SERVICE_H
#define RUNNER_NET_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum service { SERVICE_TCP, SERVICE_RDP, SERVICE_SSH, SERVICE_WINRM };

enum { SERVICE_MAX = 16384, SERVICE_REQUEST = 1024, SERVICE_WHAT = 96 };

enum service_verdict { SERVICE_MORE, SERVICE_THERE, SERVICE_NOT };

/* "tcp", "rdp" ... */
const char *service_name(enum service s);

/* What to send first to a server at @host, as its address is written. Returns the number of bytes, maybe 0. */
size_t service_request(enum service s, const char *host, char ret[SERVICE_REQUEST]);

/* What to send once it is there, for the sake of its log. Maybe 0 bytes. */
size_t service_goodbye(enum service s, char ret[SERVICE_REQUEST]);

/*
 * What the first @n bytes of the answer, at most SERVICE_MAX, tell; @ended: no more will come. Unless MORE, @ret_what
 * is what it is, or what is wrong with it, printable, maybe "".
 */
enum service_verdict service_judge(enum service s, const uint8_t *data, size_t n, bool ended,
				   char ret_what[SERVICE_WHAT]);

#endif
