/* SPDX-License-Identifier: Apache-2.0
 * The number formats as layouts. Ids and block sizes: the GGUF specification. */
#include "tensor/dtype.h"

#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "base/err.h"

const fj_dtype fj_f32 = { "F32", "F32", 0, 1, 4, .is_float = true };
const fj_dtype fj_f16 = { "F16", "F16", 1, 1, 2, .is_float = true };
const fj_dtype fj_bf16 = { "BF16", "BF16", 30, 1, 2, .is_float = true };
const fj_dtype fj_f64 = { "F64", "F64", 28, 1, 8 };
const fj_dtype fj_i8 = { "I8", "I8", 24, 1, 1 };
const fj_dtype fj_i16 = { "I16", "I16", 25, 1, 2 };
const fj_dtype fj_i32 = { "I32", "I32", 26, 1, 4 };
const fj_dtype fj_i64 = { "I64", "I64", 27, 1, 8 };
const fj_dtype fj_u8 = { "U8", "U8", -1, 1, 1 };
const fj_dtype fj_u16 = { "U16", "U16", -1, 1, 2 };
const fj_dtype fj_u32 = { "U32", "U32", -1, 1, 4 };
const fj_dtype fj_u64 = { "U64", "U64", -1, 1, 8 };
const fj_dtype fj_bool = { "BOOL", "BOOL", -1, 1, 1 };
const fj_dtype fj_q8_0 = { "Q8_0", NULL, 8, 32, 34, .is_quantized = true };
const fj_dtype fj_q4_0 = { "Q4_0", NULL, 2, 32, 18, .is_quantized = true };
const fj_dtype fj_q4_1 = { "Q4_1", NULL, 3, 32, 20, .is_quantized = true };
const fj_dtype fj_q5_0 = { "Q5_0", NULL, 6, 32, 22, .is_quantized = true };
const fj_dtype fj_q5_1 = { "Q5_1", NULL, 7, 32, 24, .is_quantized = true };
const fj_dtype fj_q2_k = { "Q2_K", NULL, 10, 256, 84, .is_quantized = true };
const fj_dtype fj_q3_k = { "Q3_K", NULL, 11, 256, 110, .is_quantized = true };
const fj_dtype fj_q4_k = { "Q4_K", NULL, 12, 256, 144, .is_quantized = true };
const fj_dtype fj_q5_k = { "Q5_K", NULL, 13, 256, 176, .is_quantized = true };
const fj_dtype fj_q6_k = { "Q6_K", NULL, 14, 256, 210, .is_quantized = true };
const fj_dtype fj_iq2_xxs = { "IQ2_XXS", NULL, 16, 256, 66, .is_quantized = true };
const fj_dtype fj_iq2_xs = { "IQ2_XS", NULL, 17, 256, 74, .is_quantized = true };
const fj_dtype fj_iq3_xxs = { "IQ3_XXS", NULL, 18, 256, 98, .is_quantized = true };
const fj_dtype fj_iq1_s = { "IQ1_S", NULL, 19, 256, 50, .is_quantized = true };
const fj_dtype fj_iq4_nl = { "IQ4_NL", NULL, 20, 32, 18, .is_quantized = true };
const fj_dtype fj_iq3_s = { "IQ3_S", NULL, 21, 256, 110, .is_quantized = true };
const fj_dtype fj_iq2_s = { "IQ2_S", NULL, 22, 256, 82, .is_quantized = true };
const fj_dtype fj_iq4_xs = { "IQ4_XS", NULL, 23, 256, 136, .is_quantized = true };
const fj_dtype fj_iq1_m = { "IQ1_M", NULL, 29, 256, 56, .is_quantized = true };
const fj_dtype fj_tq1_0 = { "TQ1_0", NULL, 34, 256, 54, .is_quantized = true };
const fj_dtype fj_tq2_0 = { "TQ2_0", NULL, 35, 256, 66, .is_quantized = true };
const fj_dtype fj_mxfp4 = { "MXFP4", NULL, 39, 32, 17, .is_quantized = true };
const fj_dtype fj_nf4 = { "NF4", NULL, -1, 64, 36, .is_quantized = true };
const fj_dtype fj_fp4 = { "FP4", NULL, -1, 64, 36, .is_quantized = true };
const fj_dtype fj_int8 = { "INT8", NULL, -1, 64, 68, .is_quantized = true };
const fj_dtype fj_u8_128 = { "U8_128", NULL, -1, 128, 132, .is_quantized = true };
const fj_dtype fj_u8_32 = { "U8_32", NULL, -1, 32, 36, .is_quantized = true };
const fj_dtype fj_u4_128 = { "U4_128", NULL, -1, 128, 68, .is_quantized = true };
const fj_dtype fj_u4_32 = { "U4_32", NULL, -1, 32, 20, .is_quantized = true };
const fj_dtype fj_u3_32 = { "U3_32", NULL, -1, 32, 16, .is_quantized = true };
const fj_dtype fj_u2_32 = { "U2_32", NULL, -1, 32, 12, .is_quantized = true };

const fj_dtype *const fj_dtypes[] = {
    &fj_f32,    &fj_f16,   &fj_bf16,   &fj_f64,    &fj_i8,     &fj_i16,     &fj_i32,    &fj_i64,     &fj_u8,
    &fj_u16,    &fj_u32,   &fj_u64,    &fj_bool,   &fj_q8_0,   &fj_q4_0,    &fj_q4_1,   &fj_q5_0,    &fj_q5_1,
    &fj_q2_k,   &fj_q3_k,  &fj_q4_k,   &fj_q5_k,   &fj_q6_k,   &fj_iq2_xxs, &fj_iq2_xs, &fj_iq3_xxs, &fj_iq1_s,
    &fj_iq4_nl, &fj_iq3_s, &fj_iq2_s,  &fj_iq4_xs, &fj_iq1_m,  &fj_tq1_0,   &fj_tq2_0,  &fj_mxfp4,   &fj_nf4,
    &fj_fp4,    &fj_int8,  &fj_u8_128, &fj_u8_32,  &fj_u4_128, &fj_u4_32,   &fj_u3_32,  &fj_u2_32,   NULL
};

const fj_dtype *fj_dtype_by_name(const char *name)
{
    for (const fj_dtype *const *d = fj_dtypes; *d; d++)
        if (!strcasecmp((*d)->name, name))
            return *d;
    return NULL;
}

const fj_dtype *fj_dtype_by_safetensors(const char *name)
{
    for (const fj_dtype *const *d = fj_dtypes; *d; d++)
        if ((*d)->safetensors && !strcmp((*d)->safetensors, name))
            return *d;
    return NULL;
}

const fj_dtype *fj_dtype_by_gguf(uint32_t id)
{
    for (const fj_dtype *const *d = fj_dtypes; *d; d++)
        if ((*d)->gguf >= 0 && (uint32_t)(*d)->gguf == id)
            return *d;
    return NULL;
}

const char *fj_gguf_type_note(uint32_t id)
{
    static const char *const notes[] = {
        [4] = "Q4_2, retired in 2023",        [5] = "Q4_3, retired in 2023",
        [9] = "Q8_1, not a type of files",    [15] = "Q8_K, not a type of files",
        [31] = "Q4_0_4_4, retired in 2024",   [32] = "Q4_0_4_8, retired in 2024",
        [33] = "Q4_0_8_8, retired in 2024",   [36] = "IQ4_NL_4_4, retired in 2024",
        [37] = "IQ4_NL_4_8, retired in 2024", [38] = "IQ4_NL_8_8, retired in 2024",
        [40] = "NVFP4, not supported",        [41] = "Q1_0, not supported",
        [42] = "Q2_0, not supported",
    };
    return id < FJ_LEN(notes) && notes[id] ? notes[id] : "unknown";
}

bool fj_dtype_bytes(const fj_dtype *dtype, int64_t n, size_t *out)
{
    if (n < 0 || n % dtype->block_len)
        return false;
    return fj_mul_size((size_t)(n / dtype->block_len), (size_t)dtype->block_bytes, out);
}
