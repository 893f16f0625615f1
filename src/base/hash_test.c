/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include "tests/test.h"

TEST(sha256_gives_the_published_digests) /* FIPS 180-2, appendix B */
{
    char hex[65];
    fj_sha256_of("", 0, hex);
    CHECK_TEXT(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    fj_sha256_of("abc", 3, hex);
    CHECK_TEXT(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    fj_digest *h = fj_sha256_new();
    for (int i = 0; i < 1000; i++) {
        char piece[1000];
        memset(piece, 'a', sizeof piece);
        fj_digest_add(h, piece, sizeof piece);
    }
    fj_digest_end(h, hex);
    CHECK_TEXT(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(git_names_files_by_their_length_and_bytes) /* git hash-object */
{
    char hex[65];
    fj_digest_end(fj_git_blob_new(0), hex);
    CHECK_TEXT(hex, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    fj_digest *h = fj_git_blob_new(6);
    fj_digest_add(h, "hello\n", 6);
    fj_digest_end(h, hex);
    CHECK_TEXT(hex, "ce013625030ba8dba906f756967f9e9ca394464a");
}

TEST(hash64_depends_on_every_byte_the_length_and_the_seed)
{
    unsigned char bytes[40] = { 0 };
    uint64_t seen[40 + 40 + 2];
    size_t n = 0;
    for (size_t len = 0; len <= 40; len++)
        seen[n++] = fj_hash64(bytes, len, 0);
    for (size_t i = 0; i < 40; i++) {
        bytes[i] = 1;
        seen[n++] = fj_hash64(bytes, 40, 0);
        bytes[i] = 0;
    }
    seen[n++] = fj_hash64(bytes, 40, 1);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            CHECK(seen[i] != seen[j]);
    CHECK(fj_hash64("abc", 3, 5) == fj_hash64("abcd", 3, 5));
}
