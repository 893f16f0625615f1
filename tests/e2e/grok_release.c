/* SPDX-License-Identifier: Apache-2.0
 * Writes a Grok-1 of random weights as xAI released it, for runs under a limit of memory. Used by memory.sh, and by hand for large ones.
 *
 * grok_release OUT D_MODEL D_FF LAYERS EXPERTS VOCAB
 *
 * OUT/ckpt-0 has the pickles: int8 matrices (in, out) with a bf16 scale for each column of each, f32 vectors and embeddings. Heads have 128
 * values, all of them share one key head. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *folder;
static int number;
static uint64_t state = 1;

static uint64_t draw(void) /* splitmix64 */
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void die(const char *what)
{
    fprintf(stderr, "grok_release: %s: %s\n", what, strerror(errno));
    exit(2);
}

static FILE *begin(void)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/ckpt-0/tensor%05d_000", folder, number++);
    FILE *f = fopen(path, "wb");
    if (!f)
        die(path);
    fputs("\x80\2", f);
    return f;
}

static void end(FILE *f)
{
    fputc('.', f);
    if (fclose(f))
        die("writing");
}

static void put_u32(FILE *f, uint32_t v)
{
    fwrite(&v, 4, 1, f);
}

/* numpy's ndarray up to its bytes; dims that are 0 are left out. */
static void put_array(FILE *f, const char *type, const long dim[3], uint32_t bytes)
{
    fputs("cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K", f);
    fwrite("\0tC\1btR(K\1(", 1, 11, f);
    for (int i = 0; i < 3; i++)
        if (dim[i]) {
            fputc('J', f);
            put_u32(f, (uint32_t)dim[i]);
        }
    fprintf(f, "tcnumpy\ndtype\n(U%c%sK", (int)strlen(type), type);
    fwrite("\0K\1tR(K\3U\1<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89"
           "B",
           1, 30, f);
    put_u32(f, bytes);
}

static void put_floats(FILE *f, const long dim[3], float scale)
{
    long n = 1;
    for (int i = 0; i < 3; i++)
        n *= dim[i] ? dim[i] : 1;
    put_array(f, "f4", dim, (uint32_t)(4 * n));
    for (long i = 0; i < n; i++) {
        float x = scale * ((float)(draw() >> 40) / (1 << 23) - (dim[1] ? 1 : 0));
        fwrite(&x, 4, 1, f);
    }
    fputs("tb", f);
}

static void floats(long a, long b, float scale)
{
    FILE *f = begin();
    put_floats(f, (const long[]){ a, b, 0 }, scale);
    end(f);
}

/* (e,a,b), or (a,b) where e is 0. */
static void quantized(long e, long a, long b)
{
    FILE *f = begin();
    long n = e ? e : 1, dim[] = { e ? e : a, e ? a : b, e ? b : 0 }, scales[] = { e ? e : 1, e ? 1 : b, e ? b : 0 };
    fputs("c__main__\nQuantizedWeight8bit\n)\x81}(X\6", f);
    fwrite("\0\0\0weight", 1, 9, f);
    put_array(f, "i1", dim, (uint32_t)(n * a * b));
    for (long i = 0; i < n * a * b; i++)
        fputc((int)(draw() & 255), f);
    fputs("tbX\6", f);
    fwrite("\0\0\0scales", 1, 9, f);
    put_array(f, "bfloat16", scales, (uint32_t)(2 * n * b));
    for (long i = 0; i < n * b; i++) {
        uint16_t x = (uint16_t)(0x3a00 + (draw() & 63)); /* 0.0005 to 0.0007 */
        fwrite(&x, 2, 1, f);
    }
    fputs("tbub", f);
    end(f);
}

int main(int argc, char **argv)
{
    long n[6] = { 0 };
    char path[4096];
    for (int i = 2; i < 7 && i < argc; i++)
        n[i - 2] = atol(argv[i]);
    long d = n[0], ff = n[1], layers = n[2], experts = n[3], vocab = n[4];
    if (argc != 7 || d < 128 || d % 128 || ff < 1 || layers < 1 || experts < 2 || vocab < 1) {
        fputs("usage: grok_release OUT D_MODEL D_FF LAYERS EXPERTS VOCAB\n", stderr);
        return 2;
    }
    folder = argv[1];
    snprintf(path, sizeof path, "%s/ckpt-0", folder);
    if ((mkdir(folder, 0777) && errno != EEXIST) || (mkdir(path, 0777) && errno != EEXIST))
        die(path);
    floats(vocab, d, 0.005f); /* small beside what layers add, so that answers do not repeat the prompt */
    floats(d, 0, 1);
    for (long i = 0; i < layers; i++) {
        quantized(experts, d, ff);
        quantized(experts, ff, d);
        quantized(experts, d, ff);
        quantized(0, d, 128);
        quantized(0, d, d);
        quantized(0, d, d);
        quantized(0, d, 128);
        for (int k = 0; k < 4; k++)
            floats(d, 0, 1);
        floats(d, experts, 0.1f);
    }
    return 0;
}
