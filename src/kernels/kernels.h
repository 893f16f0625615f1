/* SPDX-License-Identifier: Apache-2.0
 * Inner loops over plain rows: no tensor, no thread, no allocation, no error. One table, chosen once at start by CPU features,
 * worst to best: ref (scalar, the oracle, sums in double), avx2, avx512 (with VNNI and BF16 rows where the CPU has them); on arm64
 * ref, neon (with SDOT, SMMLA and BFDOT rows where the CPU has them).
 *
 * The promise that everything above stands on: THE BITS OF A RESULT DEPEND ON ITS OWN INPUTS ALONE. For one build and ISA, row i
 * of a product has the same bits whatever m is, whatever n is, wherever it stands. So every kernel states its order of summation.
 * Pointers may be unaligned (files are mapped) unless said; rows may have any length, tails are masked, nothing is written past
 * a row. Leading dimensions (ld…) count elements unless called bytes. */
#ifndef FJ_KERNELS_KERNELS_H
#define FJ_KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "quant/quant.h"

/* ---- int8 products ----------------------------------------------------------------------------------------------
 * Activations are quantized once per product, a row at a time, in blocks of 32 along k: scale = amax / 127, q = round to nearest
 * even (x * (127 / amax)). The packed row of k values (k a multiple of 32) is, per block, an fj_q8_block (aligned to 4). A block
 * below 2^-100 is zeros; one that holds an inf or NaN gets scale NaN, so that every product with it is NaN. */
typedef struct fj_q8_block {
    float   scale;
    int16_t sum[2]; /* sum of q[0…15] and of q[16…31]: for the offsets of unsigned weights */
    int8_t  q[32];
} fj_q8_block;

/* Weights of one type, repacked: 16 rows (outputs) make a tile, in the order the kernels of all ISAs read. A matrix is
 * ceil(n/16) tiles one after the other; missing rows of the last tile are zero. The layout is stated in tile_internal.h and is
 * the same for every ISA, so that residence (repacked, or packed on the fly from mapped rows) never changes a bit. */
typedef struct fj_pack {
    const fj_dtype *dtype;
    /* Bytes of a tile of 16 rows of k values. k is a multiple of the type's block. */
    size_t (*tile_bytes)(int64_t k);
    /* rows: n_rows (1…16) rows in the file's layout, one after the other, row_bytes apart. Writes the whole tile, 64-byte aligned. */
    void (*pack)(const void *rows, size_t row_bytes, int n_rows, int64_t k, void *tile);
    /* Row r (0…15) of a tile as exact f32 values: for embeddings, for training, for writing the file again. */
    void (*unpack_row)(const void *tile, int64_t k, int r, float *dst);
} fj_pack;

/* The packing of a type, NULL when it has none: plain types, and those whose levels are real numbers (NF4, FP4). */
const fj_pack *fj_pack_of(const fj_dtype *dtype);

/* Product of m quantized rows with the packed tiles of n outputs (n <= 16 * tiles):
 *   y[i*ldy + j] = sum over blocks b in order of fma chain (scale_x * scale_w) * exact integer sum - offsets, stated per type
 * in tile_internal.h; all levels give the same bits.
 * x: m rows of fj_q8_block, x_bytes apart. Only columns j < n are written. */
typedef void fj_gemm_q_fn(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n, int64_t k);

enum { FJ_PACK_TYPES = 29 }; /* every quantized type but nf4 and fp4, index = fj_pack_index */
int fj_pack_index(const fj_dtype *dtype); /* -1 when there is no packing */

enum { FJ_DECODE_TYPES = FJ_PACK_TYPES + 2 };  /* every quantized type; those with a packing have its index here too */
int fj_decode_index(const fj_dtype *dtype);    /* -1 for types that are not quantized */

enum { FJ_KEY_COLUMNS = 64 }; /* of a tile of keys that pack_keys_… writes */

typedef struct fj_kernels {
    unsigned    cpu;  /* features in use */
    const char *name; /* "ref", "avx2", "avx512", "neon" */

    /* ---- products in dot form: y[i*ldy+j] = sum_k x[i*ldx+k] * w[j*ldw+k], i < m, j < n -------------------------------
     * Order: lane l of 16 sums k = l, l+16, … by FMA in order (masked tail: absent terms leave a lane as it is), then the tree
     * ((l0+l8) + (l4+l12)) … : halves are added: 16 → 8 → 4 → 2 → 1, lane i with lane i + half. AVX2 does the same with two
     * registers and NEON with four, so all give the same bits. ref sums in double. */
    void (*gemm_f32)(float *y, int64_t ldy, const float *x, int64_t ldx, const float *w, int64_t ldw, int64_t m, int64_t n, int64_t k);
    /* the same with weights widened exactly on the way: same bits as gemm_f32 of the widened weights */
    void (*gemm_f32_f16)(float *y, int64_t ldy, const float *x, int64_t ldx, const uint16_t *w, int64_t ldw, int64_t m, int64_t n, int64_t k);
    void (*gemm_f32_bf16)(float *y, int64_t ldy, const float *x, int64_t ldx, const uint16_t *w, int64_t ldw, int64_t m, int64_t n, int64_t k);
    /* both sides bf16, f32 sums: lane l of 16 takes pairs (2l, 2l+1) of each run of 32 as VDPBF16PS or BFDOT does; tail padded with zeros.
     * Without the BF16 feature: widened and summed as gemm_f32 does (other bits, same meaning). */
    void (*gemm_bf16)(float *y, int64_t ldy, const uint16_t *x, int64_t ldx, const uint16_t *w, int64_t ldw, int64_t m, int64_t n, int64_t k);

    /* ---- products in row form: c[i*ldc+j] = (add ? c : 0) + sum_p a[i*a_row + p*a_col] * b[p*ldb+j], p in order by FMA ----
     * with a_row, a_col: dx = dy W (a = dy) and dW = dy^T x (a = dy transposed). */
    void (*gemm_rows_f32)(float *c, int64_t ldc, const float *a, int64_t a_row, int64_t a_col, const float *b, int64_t ldb,
                          int64_t m, int64_t n, int64_t p, bool add);
    /* the same in bf16 with f32 sums: a (m,p) bf16 rows; b packed in pairs by pack_pairs: [ceil(p/2)][n][2], absent = 0 */
    void (*pack_pairs_bf16)(uint16_t *dst, const uint16_t *b, int64_t ldb, int64_t p, int64_t n);
    void (*gemm_pairs_bf16)(float *c, int64_t ldc, const uint16_t *a, int64_t lda, const uint16_t *b_pairs, int64_t m, int64_t n,
                            int64_t p, bool add);

    /* ---- attention in bf16 by gemm_pairs_bf16: rounded to nearest even, what is below 1.2e-38 may be 0; absent values are 0.
     * Only levels with the BF16 feature have more than ref's ------------------------------------------------------------- */
    /* n (at most FJ_KEY_COLUMNS) rows of d values, less those of `less`, as columns: [ceil(d/2)][FJ_KEY_COLUMNS][2] */
    void (*pack_keys_f16)(uint16_t *dst, const uint16_t *k, int64_t ldk, const float *less, int64_t n, int64_t d);
    void (*pack_keys_f32)(uint16_t *dst, const float *k, int64_t ldk, const float *less, int64_t n, int64_t d);
    /* n rows of d values: [ceil(n/2)][d][2] */
    void (*pack_values_f16)(uint16_t *dst, const uint16_t *v, int64_t ldv, int64_t n, int64_t d);
    void (*pack_values_f32)(uint16_t *dst, const float *v, int64_t ldv, int64_t n, int64_t d);
    /* exp_row whose results are rounded; the sum, exp_row's, is of what they were before */
    float (*exp_row_bf16)(uint16_t *y, const float *x, float scale, float max, int64_t n);

    /* ---- int8 -------------------------------------------------------------------------------------------------------- */
    void (*quantize_row_q8)(const float *x, fj_q8_block *out, int64_t k);
    fj_gemm_q_fn *gemm_q[FJ_PACK_TYPES];

    /* ---- conversions of rows ----------------------------------------------------------------------------------------- */
    void (*f16_to_f32_row)(float *y, const uint16_t *x, int64_t n);
    void (*bf16_to_f32_row)(float *y, const uint16_t *x, int64_t n);
    void (*f32_to_f16_row)(uint16_t *y, const float *x, int64_t n);  /* nearest even */
    void (*f32_to_bf16_row)(uint16_t *y, const float *x, int64_t n); /* nearest even; NaN stays NaN */
    /* n values of a quantized type from the file's layout: fj_quant.decode, made fast. NULL entry never: falls back to decode. */
    void (*decode_row[FJ_DECODE_TYPES])(const void *src, float *dst, int64_t n);

    /* ---- rows of activations; sums of a row: the 16-lane order above ---------------------------------------------------- */
    /* rstd = 1/sqrt(mean(x^2)+eps) stored; y = x * rstd * w */
    void (*rms_norm_row)(float *y, float *rstd, const float *x, const float *w, int64_t n, float eps);
    /* dx (+)= rstd*(dy*w) - x*rstd^3/n * sum(dy*w*x) */
    void (*rms_norm_grad_row)(float *dx, const float *dy, const float *x, const float *w, float rstd, int64_t n, bool add);
    /* mean and rstd = 1/sqrt(mean((x-mean)^2)+eps) stored; y = (x-mean) * rstd * w + b; b may be NULL */
    void (*layer_norm_row)(float *y, float *mean, float *rstd, const float *x, const float *w, const float *b, int64_t n, float eps);
    /* dx (+)= rstd * (g - sum(g)/n - xhat * sum(g*xhat)/n), g = dy*w, xhat = (x-mean)*rstd */
    void (*layer_norm_grad_row)(float *dx, const float *dy, const float *x, const float *w, float mean, float rstd, int64_t n,
                                bool add);
    void (*add_row)(float *y, const float *a, const float *b, int64_t n);             /* y = a + b; y may be a or b */
    void (*axpy_row)(float *y, const float *x, float scale, int64_t n);               /* y += scale * x (FMA) */
    void (*scale_row)(float *y, const float *x, float scale, int64_t n);              /* y = scale * x; y may be x */
    void (*mul_row)(float *y, const float *a, const float *b, int64_t n, bool add);   /* y (+)= a * b */
    void (*silu_mul_row)(float *y, const float *gate, const float *up, int64_t n);    /* y = silu(gate) * up */
    /* dgate (+)= dy*up*sig(g)*(1+g*(1-sig(g))), dup (+)= dy*silu(g); either may be NULL */
    void (*silu_mul_grad_row)(float *dgate, float *dup, const float *dy, const float *gate, const float *up, int64_t n, bool add_gate,
                              bool add_up);
    /* one head of r rotated values; cos, sin have r/2 values; half: pairs (j, j+r/2), else (2j, 2j+1). y may be x. add: y += */
    void (*rope_head)(float *y, const float *x, const float *cos, const float *sin, int64_t r, bool half, bool inverse, bool add);
    float (*max_row)(const float *x, int64_t n);                                      /* -inf for n = 0 */
    /* y = exp(scale*x - max) for each, the argument rounded once to f32; returns the sum (16-lane order). y may be x.
     * Relative error < 2e-7; exp(-inf) = 0, and so are results below 1.2e-38 (subnormal ones are slow and of no use). */
    float (*exp_row)(float *y, const float *x, float scale, float max, int64_t n);
    void (*sigmoid_row)(float *y, const float *x, float scale, int64_t n);            /* y = 1/(1+exp(-scale*x)); y may be x */
    void (*tanh_row)(float *y, const float *x, float scale, int64_t n);               /* y = tanh(scale*x), 2e-7; y may be x */
    /* cdf = P(Z < x) of a standard normal Z, to 1.5e-7, and its density, which may be NULL; either may be x */
    void (*normal_row)(float *cdf, float *density, const float *x, int64_t n);
    void (*softplus_row)(float *y, const float *x, int64_t n);                        /* log(1 + exp x), 3e-7 of itself; y may be x */
    /* A step of n channels with m states each, rows of `ld` values a state (Mamba's selective scan):
     *   now[s] = b[s] * u + (exp(dt * a[s]) * before[s])      y += c[s] * now[s], s in order
     * by FMA after the product in brackets. now may be before; y NULL: the states alone. */
    void (*scan_row)(float *now, const float *before, int64_t ld, float *y, const float *dt, const float *u, const float *a, int64_t lda,
                     const float *b, const float *c, int64_t m, int64_t n);
    float (*dot_row)(const float *a, const float *b, int64_t n);                      /* as gemm_f32 of one row and column */
    double (*sum_squares_row)(const float *x, int64_t n);                             /* 8 lanes of double in order, tree */
    /* AdamW (torch): p *= decay, which is 1 - lr*wd; m, v updated; p -= lr_c1 * m / (sqrt(v)/sqrt_c2 + eps), lr_c1 is lr/c1;
     * g is multiplied by clip first. The betas are double because 1 - 0.999f is 1.3e-5 off 0.001. */
    void (*adamw_row)(float *p, const float *g, float *m, float *v, int64_t n, float clip, float lr_c1, float decay, double beta1,
                      double beta2, float sqrt_c2, float eps);
} fj_kernels;

/* Fills the table for the features (fj_cpu_features masked by --isa): ref first, then each level replaces the rows it has. */
void fj_kernels_init(fj_kernels *k, unsigned cpu);

#endif
