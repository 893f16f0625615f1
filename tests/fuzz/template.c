/* SPDX-License-Identifier: Apache-2.0
 * A hostile chat template over an ordinary conversation: parse, render, walk the spans. */

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "tokenizers/template.h"

static const char messages[] =
    "[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"\\u00bfhola? <|im_end|>\"},"
    "{\"role\":\"assistant\",\"content\":\" a b\\n\",\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":"
    "{\"x\":[1,2.5,null,true,\"\\u00f1\"]}}}]}]";
static const char extra[] = "{\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{"
                            "\"properties\":{\"x\":{}}}}}],\"n\":3}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fj_err err = { 0 };
    fj_template *t = NULL;
    fj_rendering r = { 0 };
    fj_json *m = NULL, *x = NULL;
    if (fj_template_parse((const char *)data, size, &t, &err))
        return 0;
    if (fj_json_parse(messages, sizeof messages - 1, "messages", false, &m, &err) ||
        fj_json_parse(extra, sizeof extra - 1, "extra", false, &x, &err))
        abort();
    fj_template_input input = {
        .messages = m, .extra = x, .bos_token = "<s>", .eos_token = "</s>", .add_generation_prompt = true, .now = 1
    };
    if (!fj_template_render(t, &input, &r, &err)) {
        size_t at = 0;
        for (size_t i = 0; i < r.n_spans; i++) {
            if (r.spans[i].start != at || r.spans[i].len == 0)
                abort();
            at += r.spans[i].len;
        }
        if (at != r.text.len)
            abort();
    }
    fj_rendering_free(&r);
    fj_template_free(t);
    fj_json_free(m);
    fj_json_free(x);
    return 0;
}
