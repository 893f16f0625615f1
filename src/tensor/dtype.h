/* SPDX-License-Identifier: Apache-2.0
 * Number formats as data layouts. What the numbers mean (encode, decode) is quant/quant.h. */
#ifndef FJ_TENSOR_DTYPE_H
#define FJ_TENSOR_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One format. A row is a whole number of blocks; blocks never cross rows. Plain types have block_len 1.
 * Compared by address: there is one constant of each, below. */
typedef struct fj_dtype {
    const char *name;        /* as users write it: F32, BF16, Q4_K; read in either case */
    const char *safetensors; /* its name there, or NULL */
    int         gguf;        /* ggml type id, or -1 */
    int         block_len;   /* values a block */
    int         block_bytes;
    bool        is_float;    /* F32 F16 BF16 (not F64) */
    bool        is_quantized;
} fj_dtype;

extern const fj_dtype fj_f32, fj_f16, fj_bf16, fj_f64, fj_i8, fj_i16, fj_i32, fj_i64, fj_u8, fj_u16, fj_u32, fj_u64, fj_bool;
extern const fj_dtype fj_q8_0, fj_q4_0, fj_q4_1, fj_q5_0, fj_q5_1, fj_q2_k, fj_q3_k, fj_q4_k, fj_q5_k, fj_q6_k;
extern const fj_dtype fj_iq4_nl, fj_iq4_xs, fj_iq3_s, fj_iq3_xxs, fj_iq2_s, fj_iq2_xs, fj_iq2_xxs, fj_iq1_m, fj_iq1_s;
extern const fj_dtype fj_tq1_0, fj_tq2_0, fj_mxfp4;
extern const fj_dtype fj_nf4, fj_fp4, fj_int8;                                         /* bitsandbytes' */
extern const fj_dtype fj_u8_128, fj_u8_32, fj_u4_128, fj_u4_32, fj_u3_32, fj_u2_32; /* GPTQ's and AWQ's */

/* All of them in a fixed order, NULL at the end. */
extern const fj_dtype *const fj_dtypes[];

const fj_dtype *fj_dtype_by_name(const char *name);      /* any case; NULL when unknown */
const fj_dtype *fj_dtype_by_safetensors(const char *name); /* NULL when unknown */
const fj_dtype *fj_dtype_by_gguf(uint32_t id);           /* NULL when unknown or retired */
const char     *fj_gguf_type_note(uint32_t id);          /* for a message: "Q4_2, retired in 2023", "NVFP4, not supported", "unknown" */

/* Bytes of n values (a row, or whole rows). false when n is no multiple of block_len or the size overflows. */
bool fj_dtype_bytes(const fj_dtype *dtype, int64_t n, size_t *out);

#endif
