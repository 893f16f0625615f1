/* SPDX-License-Identifier: Apache-2.0 */
#include "hub/remote_internal.h"
#include "tests/test.h"

static void check_parts(const char *model, const char *repo, const char *revision, const char *file)
{
    fj_err err = { 0 };
    fj_hub_ref ref;
    char public_name[200];
    CHECK(fj_model_is_remote(model));
    CHECK_OK(fj_hub_ref_of(model, &ref, &err));
    CHECK_TEXT(ref.repo, repo);
    CHECK_TEXT(ref.revision, revision);
    CHECK_TEXT(ref.file, file);
    CHECK_TEXT(fj_model_public_name(model, public_name), repo);
}

TEST(hub_names_have_a_repository_a_revision_and_a_file)
{
    check_parts("hf:org/name", "org/name", "main", "");
    check_parts("hf:gpt2", "gpt2", "main", "");
    check_parts("hf:org/na.me_2-B@v1.0", "org/na.me_2-B", "v1.0", "");
    check_parts("hf:org/name@refs/pr/1:sub/m.Q4_K_M.gguf", "org/name", "refs/pr/1", "sub/m.Q4_K_M.gguf");
    check_parts("hf:org/name:a b@c:d.gguf", "org/name", "main", "a b@c:d.gguf");
    CHECK(!fj_model_is_remote("org/name") && !fj_model_is_remote("HF:org/name") && !fj_model_is_remote("hf"));
}

TEST(names_of_the_catalogue_are_names_of_the_hub)
{
    check_parts("smollm:135m", "HuggingFaceTB/SmolLM-135M-Instruct", "main", "");
    check_parts("Mixtral:8x7b-q8_0", "TheBloke/Mixtral-8x7B-v0.1-GGUF", "main", "mixtral-8x7b-v0.1.Q8_0.gguf");
    CHECK(!fj_model_is_remote("smollm:999") && !fj_model_is_remote("") && !fj_model_is_remote("a/smollm:135m"));
}

TEST(hub_names_that_cannot_be_are_refused)
{
    static const struct {
        const char *model, *what;
    } cases[] = {
        { "hf:", "no name of a repository" },
        { "hf:/name", "no name of a repository" },
        { "hf:org/", "no name of a repository" },
        { "hf:a/b/c", "no name of a repository" },
        { "hf:../../etc", "no name of a repository" },
        { "hf:org/..", "no name of a repository" },
        { "hf:-org/name", "no name of a repository" },
        { "hf:org/a--b", "no name of a repository" },
        { "hf:org/a..b", "no name of a repository" },
        { "hf:org/na me", "no name of a repository" },
        { "hf:org/n\xc3\xb1", "no name of a repository" },
        { "hf:org/name@", "no name of a revision" },
        { "hf:org/name@../../x", "no name of a revision" },
        { "hf:org/name@a\r\nX: y", "no name of a revision" },
        { "hf:org/name:", "no name of a file" },
        { "hf:org/name:/etc/passwd", "no name of a file" },
        { "hf:org/name@main:a/../../b", "no name of a file" },
    };
    for (size_t i = 0; i < FJ_LEN(cases); i++) {
        fj_err err = { 0 };
        fj_hub_ref ref;
        CHECK(fj_hub_ref_of(cases[i].model, &ref, &err) == FJ_ERR_USAGE);
        CHECK(strstr(err.message, cases[i].what));
        CHECK_TEXT(err.hint, "the hub's models are named hf:org/name[@revision][:file]");
    }
}

TEST(hub_paths_stay_in_their_folder)
{
    static const char *const good[] = { "a", "a/b/c", "..a", "a..", "...", "n\xc3\xb1.json", ".gitattributes" };
    static const char *const bad[] = { "",     "/",    "/a",    "a/",   "a//b", ".",   "..",
                                       "a/..", "../a", "a/./b", "a\nb", "a\\b", "\x7f" };
    char longest[FJ_MAX_FILE_NAME + 2];
    for (size_t i = 0; i < FJ_LEN(good); i++)
        CHECK(fj_hub_is_safe_path(fj_text_of(good[i])));
    for (size_t i = 0; i < FJ_LEN(bad); i++)
        CHECK(!fj_hub_is_safe_path(fj_text_of(bad[i])));
    CHECK(!fj_hub_is_safe_path((fj_text){ "a\0b", 3 }));
    memset(longest, 'a', sizeof longest);
    CHECK(fj_hub_is_safe_path((fj_text){ longest, 255 }));
    CHECK(!fj_hub_is_safe_path((fj_text){ longest, 256 }));
    for (size_t i = 100; i < sizeof longest; i += 101)
        longest[i] = '/';
    CHECK(fj_hub_is_safe_path((fj_text){ longest, FJ_MAX_FILE_NAME }));
    CHECK(!fj_hub_is_safe_path((fj_text){ longest, FJ_MAX_FILE_NAME + 1 }));
}

TEST(hub_addresses_hold_nothing_but_what_addresses_may)
{
    fj_str out = { 0 };
    fj_url_escape("a/b c?d#e%\xc3\xb1\r\n~", true, &out);
    CHECK_TEXT(out.data, "a/b%20c%3Fd%23e%25%C3%B1%0D%0A~");
    fj_str_clear(&out);
    fj_url_escape("refs/pr/1", false, &out);
    CHECK_TEXT(out.data, "refs%2Fpr%2F1");
    fj_str_free(&out);
}

TEST(http_tokens_stay_with_their_origin_and_https_does_not_become_http)
{
    CHECK(fj_http_same_origin("https://hub.co/a", "https://HUB.co:443/b?c"));
    CHECK(!fj_http_same_origin("https://hub.co/a", "https://hub.co:8443/a"));
    CHECK(!fj_http_same_origin("https://hub.co/a", "http://hub.co/a"));
    CHECK(!fj_http_same_origin("https://hub.co/a", "https://hub.co.evil.com/a"));
    CHECK(!fj_http_same_origin("https://hub.co/a", "https://hub.co@evil.com/a"));
    CHECK(!fj_http_same_origin("no address", "no address"));
    CHECK(fj_http_may_follow("https://a.co/", "https://b.co/"));
    CHECK(fj_http_may_follow("http://a.co/", "https://b.co/"));
    CHECK(fj_http_may_follow("http://a.co/", "http://b.co/"));
    CHECK(!fj_http_may_follow("https://a.co/", "http://a.co/"));
    CHECK(!fj_http_may_follow("https://a.co/", "file:///etc/passwd"));
    CHECK(!fj_http_may_follow("http://a.co/", "ftp://a.co/"));
}
