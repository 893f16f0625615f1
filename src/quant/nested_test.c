/* SPDX-License-Identifier: Apache-2.0 */

#include "quant/block_test.h"
#include "quant/nf4.h"
#include "quant/quant_internal.h"
#include "tests/test.h"

enum { SCALES = 600, RUNS = 3 };

typedef struct nested_case {
    golden g;
    float *scales, *offset, *run_scale, *values;
    uint8_t *codes;
} nested_case;

static bool open_case(nested_case *c)
{
    size_t n;
    bool is_open = golden_open_file(&c->g, "quant/bitsandbytes.safetensors");
    c->scales = golden_take(&c->g, NULL, "scales", &n);
    c->offset = golden_take(&c->g, "scales", "offset", &n);
    c->run_scale = golden_take(&c->g, "scales", "run_scale", &n);
    c->codes = golden_take(&c->g, "scales", "codes", &n);
    c->values = golden_take(&c->g, "scales", "values", &n);
    return is_open && c->scales && c->offset && c->run_scale && c->codes && c->values;
}

static void close_case(nested_case *c)
{
    free(c->scales);
    free(c->offset);
    free(c->run_scale);
    free(c->codes);
    free(c->values);
    golden_close(&c->g);
}

TEST(scales_get_the_codes_of_bitsandbytes)
{
    nested_case c;
    uint8_t codes[SCALES];
    int n_off = 0;
    CHECK(open_case(&c));
    float offset = fj_nested_offset(c.scales, SCALES);
    CHECK_NEAR(&offset, c.offset, 1, 1e-6); /* its sum is one of floats */
    for (int64_t at = 0; at < SCALES; at += FJ_NESTED_RUN) {
        int64_t n = FJ_MIN((int64_t)FJ_NESTED_RUN, SCALES - at);
        CHECK(fj_nested_run(c.scales + at, n, *c.offset, codes + at) == c.run_scale[at / FJ_NESTED_RUN]);
    }
    for (int i = 0; i < SCALES; i++) { /* its CPU library misses the nearest by one code now and then */
        CHECK(abs(codes[i] - c.codes[i]) <= 1);
        n_off += codes[i] != c.codes[i];
    }
    CHECK(n_off <= 4);
    close_case(&c);
}

TEST(blocks_with_coded_scales_become_blocks_with_the_scales_of_bitsandbytes)
{
    nested_case c;
    uint8_t in[SCALES * 33], out[SCALES * 36];
    CHECK(open_case(&c));
    for (int i = 0; i < SCALES; i++) {
        memset(in + i * 33 + 1, i & 255, 32);
        in[i * 33] = c.codes[i];
    }
    fj_nested_expand(c.run_scale, *c.offset, in + 100 * 33, 100, SCALES - 100, out); /* from the middle of a run */
    for (int i = 100; i < SCALES; i++) {
        const uint8_t *block = out + (i - 100) * 36;
        CHECK(memcmp(block, &c.values[i], 4) == 0);
        CHECK(block[4] == (i & 255) && block[35] == (i & 255));
    }
    close_case(&c);
}

TEST(every_code_of_a_scale_is_the_nearest)
{
    float scales[256];
    uint8_t codes[256];
    memcpy(scales, fj_dynamic_map, sizeof scales);
    CHECK(fj_nested_run(scales, 256, 0, codes) == 1);
    for (int i = 0; i < 256; i++)
        CHECK(codes[i] == i && (i == 0 || fj_dynamic_map[i] > fj_dynamic_map[i - 1]));
}

TEST(scales_that_are_all_the_same_survive)
{
    float scales[2] = { 0.25f, 0.25f };
    uint8_t codes[2];
    float offset = fj_nested_offset(scales, 2), run = fj_nested_run(scales, 2, offset, codes);
    CHECK(offset == 0.25f && run == 0 && fj_dynamic_map[codes[0]] * run + offset == 0.25f);
}

TEST(coded_scales_go_with_the_types_that_have_them)
{
    CHECK(fj_nested_full(fj_nested_of(&fj_nf4)) == &fj_nf4 && fj_nested_full(fj_nested_of(&fj_fp4)) == &fj_fp4);
    CHECK(!fj_nested_full(&fj_nf4) && !fj_nested_of(&fj_int8));
}
