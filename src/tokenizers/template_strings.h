/* SPDX-License-Identifier: Apache-2.0
 * What filters and methods on texts share. Every result keeps the origin of its bytes. */
#ifndef FJ_TOKENIZERS_TEMPLATE_STRINGS_H
#define FJ_TOKENIZERS_TEMPLATE_STRINGS_H

#include "tokenizers/template_internal.h"

typedef enum tpl_case {
    TPL_UPPER,
    TPL_LOWER,
    TPL_CAPITALIZE,  /* the first character upper, the rest lower */
    TPL_TITLE,       /* str.title: a letter behind what is no letter is upper */
    TPL_TITLE_WORDS, /* the filter: words are split at white space and - ( { [ < */
} tpl_case;

bool   fj_tpl_case(tpl_run *run, const tpl_text *s, tpl_case mode, tpl_value *out);
bool   fj_tpl_strip(tpl_run *run, const tpl_text *s, tpl_value chars, bool left, bool right, tpl_value *out);
bool   fj_tpl_replace(tpl_run *run, const tpl_text *s, const tpl_text *old, const tpl_text *new, int64_t count, tpl_value *out);
bool   fj_tpl_split(tpl_run *run, const tpl_text *s, const tpl_text *separator, int64_t most, bool from_right, tpl_value *out);
size_t fj_tpl_search(const tpl_text *s, size_t from, const tpl_text *what);      /* SIZE_MAX when absent */
size_t fj_tpl_search_last(const tpl_text *s, size_t to, const tpl_text *what);   /* the last that ends at or before `to` */
bool   fj_tpl_name_of(tpl_run *run, tpl_value v, char **out);                    /* a text value ending in NUL */

#endif
