/* SPDX-License-Identifier: Apache-2.0 */
/* machine_id.c - see machine_id.h. */
#include "runner/host/machine_id.h"

#include <stdio.h>

void machine_id(char ret[MACHINE_ID_MAX])
{
	FILE *f = fopen("/etc/machine-id", "re");

	if (f == NULL || fgets(ret, MACHINE_ID_MAX, f) == NULL)
		ret[0] = '\0';
	if (f != NULL)
		(void)fclose(f);
}
