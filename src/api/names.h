/* SPDX-License-Identifier: Apache-2.0 */
/* Rules for names, as schema_text_check functions: NULL when the text will do, else what is wrong. */
#ifndef FAIRWAY_API_NAMES_H
#define FAIRWAY_API_NAMES_H

#include "base/str.h"

const char *name_check_dns_label(struct str text);    /* a-z 0-9 and inner '-', at most 63 */
const char *name_check_label_key(struct str text);    /* name, or DNS subdomain '/' name */
const char *name_check_env_variable(struct str text); /* A-Z a-z 0-9 '_', no leading digit */
const char *name_check_model_alias(struct str text);  /* what clients may send as "model" */
const char *name_check_sha256(struct str text);       /* "sha256:" and 64 hexadecimal digits */
const char *name_check_path(struct str text);         /* from / */

#endif
