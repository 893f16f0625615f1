/* SPDX-License-Identifier: Apache-2.0 */
#include "tensor/dtype.h"

#include "tests/test.h"

TEST(dtypes_are_found_by_each_of_their_names)
{
    for (const fj_dtype *const *d = fj_dtypes; *d; d++) {
        CHECK(fj_dtype_by_name((*d)->name) == *d);
        if ((*d)->safetensors)
            CHECK(fj_dtype_by_safetensors((*d)->safetensors) == *d);
        if ((*d)->gguf >= 0)
            CHECK(fj_dtype_by_gguf((uint32_t)(*d)->gguf) == *d);
        bool is_of_gguf = *d != &fj_nf4 && *d != &fj_fp4 && *d != &fj_int8 && (*d)->name[0] != 'U';
        CHECK(!(*d)->is_quantized || (!(*d)->safetensors && (*d)->block_len > 1 && ((*d)->gguf >= 0) == is_of_gguf));
        CHECK(!(*d)->is_float || !(*d)->is_quantized);
    }
    CHECK(fj_dtype_by_name("q4_k") == &fj_q4_k && fj_dtype_by_name("Bf16") == &fj_bf16);
    CHECK(fj_dtype_by_name("Q4_K_M") == NULL && fj_dtype_by_name("") == NULL);
    CHECK(fj_dtype_by_safetensors("f32") == NULL && fj_dtype_by_safetensors("Q8_0") == NULL);
}

/* Bits a value: 8.5, 4.5, 5, 5.5, 6, 4.5, 5.5, 6.5625 (the GGUF specification). */
TEST(blocks_have_the_sizes_and_ids_of_the_gguf_specification)
{
    static const struct {
        const fj_dtype *type;
        int id, len, bytes;
    } known[] = { { &fj_f32, 0, 1, 4 },         { &fj_f16, 1, 1, 2 },         { &fj_bf16, 30, 1, 2 },
                  { &fj_q4_0, 2, 32, 18 },      { &fj_q4_1, 3, 32, 20 },      { &fj_q5_0, 6, 32, 22 },
                  { &fj_q5_1, 7, 32, 24 },      { &fj_q8_0, 8, 32, 34 },      { &fj_q4_k, 12, 256, 144 },
                  { &fj_q5_k, 13, 256, 176 },   { &fj_q6_k, 14, 256, 210 },   { &fj_f64, 28, 1, 8 },
                  { &fj_i8, 24, 1, 1 },         { &fj_i16, 25, 1, 2 },        { &fj_i32, 26, 1, 4 },
                  { &fj_i64, 27, 1, 8 },        { &fj_q2_k, 10, 256, 84 },    { &fj_q3_k, 11, 256, 110 },
                  { &fj_iq2_xxs, 16, 256, 66 }, { &fj_iq2_xs, 17, 256, 74 },  { &fj_iq3_xxs, 18, 256, 98 },
                  { &fj_iq1_s, 19, 256, 50 },   { &fj_iq4_nl, 20, 32, 18 },   { &fj_iq3_s, 21, 256, 110 },
                  { &fj_iq2_s, 22, 256, 82 },   { &fj_iq4_xs, 23, 256, 136 }, { &fj_iq1_m, 29, 256, 56 },
                  { &fj_tq1_0, 34, 256, 54 },   { &fj_tq2_0, 35, 256, 66 },   { &fj_mxfp4, 39, 32, 17 } };
    for (size_t i = 0; i < FJ_LEN(known); i++) {
        CHECK(known[i].type->gguf == known[i].id);
        CHECK(known[i].type->block_len == known[i].len && known[i].type->block_bytes == known[i].bytes);
    }
}

TEST(unknown_gguf_types_are_named_where_they_have_a_name)
{
    CHECK(fj_dtype_by_gguf(4) == NULL && fj_dtype_by_gguf(40) == NULL && fj_dtype_by_gguf(UINT32_MAX) == NULL);
    CHECK_TEXT(fj_gguf_type_note(4), "Q4_2, retired in 2023");
    CHECK_TEXT(fj_gguf_type_note(36), "IQ4_NL_4_4, retired in 2024");
    CHECK_TEXT(fj_gguf_type_note(40), "NVFP4, not supported");
    CHECK_TEXT(fj_gguf_type_note(1000), "unknown");
    CHECK_TEXT(fj_gguf_type_note(UINT32_MAX), "unknown");
    for (uint32_t id = 0; id < 43; id++) /* either we read it or we say what it is */
        CHECK(fj_dtype_by_gguf(id) || strcmp(fj_gguf_type_note(id), "unknown"));
}

TEST(rows_are_whole_blocks_and_sizes_do_not_wrap)
{
    size_t bytes = 1;
    CHECK(fj_dtype_bytes(&fj_q4_k, 512, &bytes) && bytes == 288);
    CHECK(fj_dtype_bytes(&fj_f32, 0, &bytes) && bytes == 0);
    CHECK(!fj_dtype_bytes(&fj_q8_0, 33, &bytes) && !fj_dtype_bytes(&fj_f32, -1, &bytes));
    CHECK(!fj_dtype_bytes(&fj_f64, INT64_MAX, &bytes) && bytes == 0);
}
