/* SPDX-License-Identifier: Apache-2.0
 * See hash.h. */
#include "base/hash.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fj_digest {
    EVP_MD_CTX *context;
};

static fj_digest *new_digest(const EVP_MD *kind)
{
    fj_digest *h = malloc(sizeof *h);
    if (!h)
        return NULL;
    h->context = EVP_MD_CTX_new();
    if (h->context && EVP_DigestInit_ex(h->context, kind, NULL) == 1)
        return h;
    EVP_MD_CTX_free(h->context);
    free(h);
    return NULL;
}

fj_digest *fj_sha256_new(void)
{
    return new_digest(EVP_sha256());
}

fj_digest *fj_git_blob_new(uint64_t len)
{
    char header[32];
    int n = snprintf(header, sizeof header, "blob %llu", (unsigned long long)len);
    fj_digest *h = new_digest(EVP_sha1());
    if (h)
        fj_digest_add(h, header, (size_t)n + 1); /* with its NUL */
    return h;
}

void fj_digest_add(fj_digest *h, const void *data, size_t len)
{
    if (len)
        (void)EVP_DigestUpdate(h->context, data, len);
}

void fj_digest_end(fj_digest *h, char hex[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE] = { 0 };
    unsigned len = 0;
    (void)EVP_DigestFinal_ex(h->context, digest, &len);
    EVP_MD_CTX_free(h->context);
    free(h);
    for (unsigned i = 0; i < len; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

void fj_sha256_of(const void *data, size_t len, char hex[65])
{
    fj_digest *h = fj_sha256_new();
    memset(hex, 0, 65);
    if (!h)
        return;
    fj_digest_add(h, data, len);
    fj_digest_end(h, hex);
}

/* Eight bytes at a time through a multiply-and-fold; the constants are odd and random-looking, nothing more. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 p = (unsigned __int128)a * b;
    return (uint64_t)p ^ (uint64_t)(p >> 64);
}

uint64_t fj_hash64(const void *data, size_t len, uint64_t seed)
{
    const unsigned char *p = data;
    uint64_t h = fold(seed ^ 0x9e3779b97f4a7c15u, 0x589965cc75374cc3u),
             word; /* else a seed is a change of the first bytes */
    size_t left = len;
    for (; left >= 8; p += 8, left -= 8) {
        memcpy(&word, p, 8);
        h = fold(h ^ word, 0xa0761d6478bd642fu);
    }
    word = 0;
    if (left)
        memcpy(&word, p, left);
    h = fold(h ^ word, 0xe7037ed1a0b428dbu);
    return fold(h ^ len, 0x8ebc6af09c88c6e3u);
}
