/* SPDX-License-Identifier: Apache-2.0 */

#include "quant/block_test.h"
#include "quant/quant_internal.h"
#include "tests/test.h"

TEST(each_number_format_is_found_by_its_type_and_complete)
{
    for (const fj_quant *const *q = fj_quants; *q; q++) {
        CHECK(fj_quant_of((*q)->dtype) == *q);
        CHECK((*q)->decode && (*q)->about && (*q)->about[0]);
        const char *name = (*q)->dtype->name;
        bool is_read_only = name[0] == 'U' || (!strncmp(name, "IQ", 2) && name[2] < '4' && *q != &fj_quant_iq2_xs);
        CHECK(((*q)->encode == NULL) == is_read_only);
    }
}

TEST(formats_are_listed_by_falling_bits)
{
    double last = 1e9;
    for (const fj_quant *const *q = fj_quants; *q; q++) {
        double bits = 8.0 * (*q)->dtype->block_bytes / (*q)->dtype->block_len;
        CHECK(bits <= last);
        last = bits;
    }
    CHECK(last == 1.5625);
}

TEST(every_float_or_quantized_type_has_a_format_and_no_other_has)
{
    for (const fj_dtype *const *type = fj_dtypes; *type; type++)
        CHECK((fj_quant_of(*type) != NULL) == ((*type)->is_float || (*type)->is_quantized));
}

/* More bits, less error: each listed format on the same values. Types of equal bits may stand in either order; those for
 * ternary models are apart. */
TEST(fewer_bits_never_lose_less)
{
    float x[2048];
    double last = -1, last_bits = 1e9;
    fill_normal(x, 2048, 21, 0.05, 0);
    for (const fj_quant *const *q = fj_quants; *q; q++) {
        if (!(*q)->encode || (*q)->dtype->name[0] == 'T')
            continue;
        double bits = 8.0 * (*q)->dtype->block_bytes / (*q)->dtype->block_len,
               error = error_of(*q, x, 2048, NULL, NULL);
        CHECK(error < 0.3 * 0.05);
        if (bits < last_bits - 0.6)
            CHECK(error > last);
        last = error;
        last_bits = bits;
    }
}
