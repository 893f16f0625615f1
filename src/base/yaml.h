/* SPDX-License-Identifier: Apache-2.0
 * YAML 1.2 (core schema, anchors, merge keys) read into JSON, over libyaml (included by yaml.c alone). */
#ifndef FJ_BASE_YAML_H
#define FJ_BASE_YAML_H

#include <stddef.h>

#include "base/json.h"

/* Parses one document; name is for messages. `1e-5` and `1.0e-5` are numbers, `no` is a string. Fails with FJ_ERR_USAGE and
 * file:line:column. *lines, when not NULL, becomes an object of the top level's keys and their line numbers (from 1).
 * Duplicate keys are an error. */
fj_status fj_yaml_parse(const char *text, size_t len, const char *name, fj_json **out, fj_json **lines, fj_err *err);

#endif
