/* SPDX-License-Identifier: Apache-2.0 */
/* yaml.h - JSON's values as YAML, for files that people read on. */
#ifndef RUNNER_REPORT_YAML_H
#define RUNNER_REPORT_YAML_H

#include <jansson.h>
#include <stdio.h>

/*
 * A document in block style, without a marker in front; texts of several lines as blocks, all others that YAML
 * could take for something else in quotes. 0, or -1: no memory, or @f failed.
 */
int yaml_print(FILE *f, const json_t *v);

#endif
