/* SPDX-License-Identifier: Apache-2.0
 * The texts that travel in the program, for measuring models: see examples/texts. */
#ifndef FJ_TASKS_TEXTS_H
#define FJ_TASKS_TEXTS_H

#include "base/embed.h"
#include "base/str.h"

extern const fj_embedded fj_embedded_texts[]; /* en.txt, es.txt */

static inline fj_text fj_text_en(void)
{
    return fj_text_of(fj_embedded_texts[0].text);
}

static inline fj_text fj_text_es(void)
{
    return fj_text_of(fj_embedded_texts[1].text);
}

#endif
