/* SPDX-License-Identifier: Apache-2.0 */

#include <math.h>

#include "quant/block_test.h"
#include "quant/quant_internal.h"
#include "tests/test.h"

/* The value of a half by its definition. */
static double half_value(uint16_t h)
{
    int exponent = h >> 10 & 31;
    double fraction = h & 1023, size;
    if (exponent == 31)
        size = fraction > 0 ? NAN : INFINITY;
    else
        size = exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24);
    return h & 0x8000 ? -size : size;
}

TEST(every_half_widens_to_its_value_and_narrows_back)
{
    for (unsigned h = 0; h < 0x10000; h++) {
        float x = fj_f16_to_f32((uint16_t)h);
        double want = half_value((uint16_t)h);
        if (isnan(want)) {
            CHECK(isnan(x) && isnan(fj_f16_to_f32(fj_f32_to_f16(x))));
        } else {
            CHECK((double)x == want && fj_f32_to_f16(x) == h);
        }
    }
}

TEST(between_two_halves_the_nearer_wins_and_a_tie_is_even)
{
    for (unsigned h = 0; h < 0x7bff; h++) {
        float low = fj_f16_to_f32((uint16_t)h), high = fj_f16_to_f32((uint16_t)(h + 1)), middle = (low + high) / 2;
        CHECK(fj_f32_to_f16(middle) == (h + 1) / 2 * 2);
        CHECK(fj_f32_to_f16(nextafterf(middle, -1)) == h && fj_f32_to_f16(nextafterf(middle, 1e9f)) == h + 1);
        CHECK(fj_f32_to_f16(-middle) == ((h + 1) / 2 * 2 | 0x8000));
    }
}

TEST(halves_overflow_to_infinity_from_65520)
{
    CHECK(fj_f32_to_f16(65519.996f) == 0x7bff && fj_f32_to_f16(65520) == 0x7c00);
    CHECK(fj_f32_to_f16(1e30f) == 0x7c00 && fj_f32_to_f16(-INFINITY) == 0xfc00);
    CHECK(fj_f32_to_f16(1e-40f) == 0 && fj_f32_to_f16(-1e-40f) == 0x8000);
}

TEST(saturated_halves_stay_finite)
{
    CHECK(fj_half_saturated(1e30f) == 0x7bff && fj_half_saturated(-INFINITY) == 0xfbff);
    CHECK(fj_half_saturated(NAN) == 0 && fj_half_saturated(1.0f) == 0x3c00);
}

TEST(every_bfloat_widens_to_the_upper_half_of_a_float_and_narrows_back)
{
    for (unsigned h = 0; h < 0x10000; h++) {
        float x = fj_bf16_to_f32((uint16_t)h);
        uint32_t bits;
        memcpy(&bits, &x, sizeof bits);
        CHECK(bits == h << 16);
        CHECK(isnan(x) ? isnan(fj_bf16_to_f32(fj_f32_to_bf16(x))) : fj_f32_to_bf16(x) == h);
    }
}

TEST(between_two_bfloats_the_nearer_wins_and_a_tie_is_even)
{
    for (unsigned h = 0; h < 0x7f7f; h++) {
        float middle, below, above;
        uint32_t bits = h << 16 | 0x8000, less = bits - 1, more = bits + 1;
        memcpy(&middle, &bits, sizeof bits);
        memcpy(&below, &less, sizeof less);
        memcpy(&above, &more, sizeof more);
        CHECK(fj_f32_to_bf16(middle) == (h + 1) / 2 * 2);
        CHECK(fj_f32_to_bf16(below) == h && fj_f32_to_bf16(above) == h + 1);
        CHECK(fj_f32_to_bf16(-middle) == ((h + 1) / 2 * 2 | 0x8000));
    }
    CHECK(fj_f32_to_bf16(FLT_MAX) == 0x7f80);
}

TEST(plain_rows_go_through_odd_addresses)
{
    CHECK(odd_addresses_work(&fj_quant_f32));
    CHECK(odd_addresses_work(&fj_quant_f16));
    CHECK(odd_addresses_work(&fj_quant_bf16));
}

TEST(plain_rows_keep_what_their_bits_can_hold)
{
    float x[64];
    fill_normal(x, 64, 1, 1, 0);
    CHECK(error_of(&fj_quant_f32, x, 64, NULL, NULL) == 0);
    CHECK(error_of(&fj_quant_f16, x, 64, NULL, NULL) < 0x1p-12);
    CHECK(error_of(&fj_quant_bf16, x, 64, NULL, NULL) < 0x1p-9);
}
