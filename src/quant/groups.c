/* SPDX-License-Identifier: Apache-2.0
 * U8_128 U8_32 U4_128 U4_32 U3_32 U2_32: unsigned codes of 8, 4, 3, 2 bits, a scale and a zero for 128 or 32 columns; 8.25, 9, 4.25, 5,
 * 4 and 3 bits a value. Forms in memory of GPTQ's and AWQ's weights, whose files have them column by column.
 *   scale  2 bytes, half
 *   zero   2 bytes: the code that stands for 0
 *   codes, of 32 values after the other: 8 bits: a byte each; 4 bits: 16 bytes, byte j holds value j in its low nibble and value
 *   16 + j in its high one; 2 bits: 8 bytes, byte j has values j, 8 + j, 16 + j, 24 + j at shifts 0, 2, 4, 6; 3 bits: the same of the
 *   low two bits, then 4 bytes whose bit i is the top bit of value i
 * value = (q - zero) * scale: of a file's zeros and scales exact in float. Read only: who encodes has better types. */
#include "quant/groups.h"

#include "quant/quant_internal.h"

enum { RUN = 32, HEAD = 4 };

static int bits_of(const fj_dtype *dtype)
{
    return (dtype->block_bytes - HEAD) * 8 / dtype->block_len;
}

static unsigned code_of(const uint8_t *codes, int bits, int i)
{
    switch (bits) {
    case 8: return codes[i];
    case 4: return codes[i % 16] >> i / 16 * 4 & 15;
    case 3: return (codes[i % 8] >> i / 8 * 2 & 3) | (unsigned)(codes[8 + i / 8] >> i % 8 & 1) << 2;
    default: return codes[i % 8] >> i / 8 * 2 & 3;
    }
}

static void put_codes(const uint8_t *from, int bits, uint8_t *codes)
{
    memset(codes, 0, (size_t)(RUN / 8 * bits));
    for (int i = 0; i < RUN; i++) {
        if (bits == 8)
            codes[i] = from[i];
        else if (bits == 4)
            codes[i % 16] |= (uint8_t)((from[i] & 15) << i / 16 * 4);
        else
            codes[i % 8] |= (uint8_t)((from[i] & 3) << i / 8 * 2);
        if (bits == 3)
            codes[8 + i / 8] |= (uint8_t)((from[i] >> 2 & 1) << i % 8);
    }
}

static void decode(const fj_dtype *dtype, const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    int bits = bits_of(dtype);
    for (; n > 0; n -= dtype->block_len, block += dtype->block_bytes) {
        uint16_t zero;
        float scale = fj_half_load(block);
        memcpy(&zero, block + 2, sizeof zero);
        for (int at = 0; at < dtype->block_len; at += RUN)
            for (int i = 0; i < RUN; i++)
                *dst++ = ((float)code_of(block + HEAD + at / 8 * bits, bits, i) - (float)zero) * scale;
    }
}

const fj_dtype *fj_groups_type(int bits, int64_t group)
{
    if (group % 128 == 0 && (bits == 4 || bits == 8))
        return bits == 4 ? &fj_u4_128 : &fj_u8_128;
    if (group % RUN != 0)
        return NULL;
    return bits == 8 ? &fj_u8_32 : bits == 4 ? &fj_u4_32 : bits == 3 ? &fj_u3_32 : &fj_u2_32;
}

void fj_groups_put(const fj_dtype *dtype, uint16_t scale, uint16_t zero, const uint8_t *codes, void *block)
{
    uint8_t *to = block;
    int bits = bits_of(dtype);
    fj_half_store(to, scale);
    fj_half_store(to + 2, zero);
    for (int at = 0; at < dtype->block_len; at += RUN)
        put_codes(codes + at, bits, to + HEAD + at / 8 * bits);
}

static void decode_u8_128(const void *src, float *dst, int64_t n)
{
    decode(&fj_u8_128, src, dst, n);
}

static void decode_u8_32(const void *src, float *dst, int64_t n)
{
    decode(&fj_u8_32, src, dst, n);
}

static void decode_u4_128(const void *src, float *dst, int64_t n)
{
    decode(&fj_u4_128, src, dst, n);
}

static void decode_u4_32(const void *src, float *dst, int64_t n)
{
    decode(&fj_u4_32, src, dst, n);
}

static void decode_u3_32(const void *src, float *dst, int64_t n)
{
    decode(&fj_u3_32, src, dst, n);
}

static void decode_u2_32(const void *src, float *dst, int64_t n)
{
    decode(&fj_u2_32, src, dst, n);
}

const fj_quant fj_quant_u8_128 = { .dtype = &fj_u8_128,
                                   .decode = decode_u8_128,
                                   .about = "8.25 bits, 128 values share a scale and a zero" };
const fj_quant fj_quant_u8_32 = { .dtype = &fj_u8_32,
                                  .decode = decode_u8_32,
                                  .about = "9 bits, 32 values share a scale and a zero" };
const fj_quant fj_quant_u4_128 = { .dtype = &fj_u4_128,
                                   .decode = decode_u4_128,
                                   .about = "4.25 bits, 128 values share a scale and a zero; of GPTQ and AWQ" };
const fj_quant fj_quant_u4_32 = { .dtype = &fj_u4_32,
                                  .decode = decode_u4_32,
                                  .about = "5 bits, 32 values share a scale and a zero" };
const fj_quant fj_quant_u3_32 = { .dtype = &fj_u3_32,
                                  .decode = decode_u3_32,
                                  .about = "4 bits: 3 and a scale and a zero for 32 values" };
const fj_quant fj_quant_u2_32 = { .dtype = &fj_u2_32,
                                  .decode = decode_u2_32,
                                  .about = "3 bits: 2 and a scale and a zero for 32 values" };
