/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cardwords.h - a network card in words, "tap=,nat=on,forward=3389:3389", as an entry of the manifest: for what
 * Cloud Hypervisor's cards have no keys for.
 */
#ifndef RUNNER_CMD_CARDWORDS_H
#define RUNNER_CMD_CARDWORDS_H

#include <jansson.h>
#include <stdbool.h>

/* Is there a key in @words that is the manifest's alone? */
bool cardwords_are_own(char *const *words, int count);
/* The entry; keys that come again make lists. Writes into @words. NULL: a word is wrong, which was said. */
json_t *cardwords_entry(char **words, int count);

#endif
