/* SPDX-License-Identifier: Apache-2.0
 * UTF-8: repaired text is whole, forms and cases of whole text are whole, and a stream never shows half a character. */
#include <string.h>

#include "base/err.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    fj_str whole = { 0 }, made = { 0 };
    size_t shown = fj_utf8_whole(text, size);
    fj_assert(shown <= size && size - shown < 4);
    fj_utf8_repair(text, size, &whole);
    fj_assert(fj_utf8_valid(whole.data ? whole.data : "", whole.len));
    fj_assert((whole.len == size) == fj_utf8_valid(text, size) || !fj_utf8_valid(text, size));
    fj_assert(fj_utf8_whole(whole.data ? whole.data : "", whole.len) == whole.len);
    for (fj_normal_form form = FJ_NFC; form <= FJ_NFKD; form++) {
        fj_str_clear(&made);
        fj_assert(fj_utf8_normalize(whole.data ? whole.data : "", whole.len, form, &made));
        fj_assert(fj_utf8_valid(made.data ? made.data : "", made.len));
    }
    fj_str_clear(&made);
    fj_utf8_lower(whole.data, whole.len, &made);
    fj_utf8_upper(whole.data, whole.len, &made);
    fj_assert(fj_utf8_valid(made.data ? made.data : "", made.len));
    fj_str_free(&whole);
    fj_str_free(&made);
    return 0;
}
