/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <unistd.h>

#include "base/map.h"
#include "hub/remote_internal.h"
#include "hub/test_env.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"

static void check_cache(const char *wanted)
{
    fj_err err = { 0 };
    fj_hub_env env;
    CHECK_OK(fj_hub_env_open(&env, &err));
    CHECK_TEXT(env.cache, wanted);
    fj_hub_env_close(&env);
}

static void check_env_refused(const char *name, const char *value, const char *message)
{
    fj_err err = { 0 };
    fj_hub_env env;
    set_env(name, value);
    CHECK(fj_hub_env_open(&env, &err) == FJ_ERR_USAGE);
    CHECK_TEXT(err.message, message);
    CHECK(!env.cache && !env.token);
    (void)unsetenv(name);
}

TEST(hub_cache_lies_where_python_tools_look_for_it)
{
    const char *was = getenv("HOME");
    char *home = was ? strdup(was) : NULL;
    clear_hub_env();
    set_env("HOME", "/h");
    check_cache("/h/.cache/huggingface/hub");
    set_env("XDG_CACHE_HOME", "/x");
    check_cache("/x/huggingface/hub");
    set_env("HF_HOME", "~/own");
    check_cache("/h/own/hub");
    set_env("HUGGINGFACE_HUB_CACHE", "/old");
    check_cache("/old");
    set_env("HF_HUB_CACHE", "/c");
    check_cache("/c");
    set_env("HF_HUB_CACHE", "");
    check_cache("/old");
    clear_hub_env();
    (void)unsetenv("HOME");
    check_env_refused("HF_TOKEN", "a", "no place for the hub's models: HF_HOME and HOME are not set");
    set_env("HF_HUB_CACHE", "/c");
    check_cache("/c");
    if (home)
        set_env("HOME", home);
    else
        (void)unsetenv("HOME");
    free(home);
    clear_hub_env();
}

TEST(hub_settings_of_the_environment_are_checked)
{
    fj_err err = { 0 };
    fj_hub_env env;
    char home[600], file[700];
    clear_hub_env();
    (void)snprintf(home, sizeof home, "%s", test_temporary("env"));
    CHECK_OK(fj_make_dirs(home, &err));
    set_env("HF_HOME", home);
    CHECK_OK(fj_hub_env_open(&env, &err));
    CHECK(!env.token && !env.is_offline && env.stall_seconds == 10);
    CHECK_TEXT(env.endpoint, "https://huggingface.co");
    fj_hub_env_close(&env);
    (void)snprintf(file, sizeof file, "%s/token", home);
    CHECK_OK(fj_file_write(file, " hf_abc\n", 8, &err));
    set_env("HF_ENDPOINT", "http://localhost:81//");
    set_env("HF_HUB_OFFLINE", "yes");
    set_env("HF_HUB_DOWNLOAD_TIMEOUT", "30");
    CHECK_OK(fj_hub_env_open(&env, &err));
    CHECK(env.is_offline && env.stall_seconds == 30);
    CHECK_TEXT(env.token, "hf_abc");
    CHECK_TEXT(env.endpoint, "http://localhost:81");
    fj_hub_env_close(&env);
    set_env("HF_TOKEN", "mine");
    CHECK_OK(fj_hub_env_open(&env, &err));
    CHECK_TEXT(env.token, "mine");
    fj_hub_env_close(&env);
    check_env_refused("HF_TOKEN", "a\r\nX: y", "HF_TOKEN holds characters that no token has");
    check_env_refused("HF_ENDPOINT", "ftp://a", "HF_ENDPOINT: 'ftp://a' is no http(s):// address");
    check_env_refused("HF_HUB_DOWNLOAD_TIMEOUT", "soon",
                      "HF_HUB_DOWNLOAD_TIMEOUT: 'soon' is not a number of seconds from 1 to 3600");
    clear_hub_env();
}

/* ---- lookups ------------------------------------------------------------------------------------------------------------------------ */

static char folder[700];

static void put(const char *name, const char *text)
{
    fj_err err = { 0 };
    char path[1200], parent[1200];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    (void)snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(path, '/') - path), path);
    CHECK_OK(fj_make_dirs(parent, &err));
    CHECK_OK(fj_file_write(path, text, strlen(text), &err));
}

static void put_in(const char *name, const char *text)
{
    char path[400];
    (void)snprintf(path, sizeof path, "snapshots/" COMMIT "/%s", name);
    put(path, text);
}

/* An empty cache with a repository o/n of which nothing is known. */
static void new_cache(void)
{
    fj_err err = { 0 };
    char cache[600];
    clear_hub_env();
    (void)snprintf(cache, sizeof cache, "%s", test_temporary("cache"));
    CHECK_OK(fj_remove_tree(cache, &err));
    set_env("HF_HUB_CACHE", cache);
    (void)snprintf(folder, sizeof folder, "%s/models--o--n", cache);
}

static void check_found(const char *model, fj_cached wanted, const char *below)
{
    fj_err err = { 0 };
    fj_hub_env env;
    fj_hub_ref ref;
    fj_cached cached;
    char *path, whole[1200];
    CHECK_OK(fj_hub_env_open(&env, &err));
    CHECK_OK(fj_hub_ref_of(model, &ref, &err));
    CHECK_OK(fj_cache_find(&env, &ref, &cached, &path, &err));
    CHECK(cached == wanted && (path != NULL) == (wanted != FJ_CACHED_NOT));
    (void)snprintf(whole, sizeof whole, "%s/snapshots/" COMMIT "%s", folder, below);
    if (path)
        CHECK_TEXT(path, whole);
    free(path);
    fj_hub_env_close(&env);
}

TEST(hub_cache_knows_what_of_a_model_is_there)
{
    new_cache();
    check_found("hf:o/n", FJ_CACHED_NOT, "");
    put_in("README.md", "");
    check_found("hf:o/n", FJ_CACHED_NOT, ""); /* what main means is not known */
    check_found("hf:o/n@" COMMIT, FJ_CACHED_PART, "");
    put("refs/main", COMMIT);
    check_found("hf:o/n", FJ_CACHED_PART, "");
    check_found("hf:o/n@other", FJ_CACHED_NOT, "");
    put("refs/refs/pr/1", COMMIT "\n");
    check_found("hf:o/n@refs/pr/1", FJ_CACHED_PART, "");
    put("refs/broken", "../../../x");
    check_found("hf:o/n@broken", FJ_CACHED_NOT, "");
    put_in("m.gguf", "");
    put_in("mmproj-m.gguf", "");
    check_found("hf:o/n", FJ_CACHED_WHOLE, "/m.gguf");
    check_found("hf:o/n:m.gguf", FJ_CACHED_WHOLE, "/m.gguf");
    check_found("hf:o/n:other.gguf", FJ_CACHED_NOT, "");
    put_in("m2.gguf", "");
    check_found("hf:o/n", FJ_CACHED_PART, "");
    put_in("q/s-00001-of-00002.gguf", "");
    check_found("hf:o/n:q/s-00001-of-00002.gguf", FJ_CACHED_NOT, "");
    put_in("q/s-00002-of-00002.gguf", "");
    check_found("hf:o/n:q/s-00001-of-00002.gguf", FJ_CACHED_WHOLE, "/q/s-00001-of-00002.gguf");
    put_in("config.json", "{}");
    put_in("model.safetensors.index.json", "{\"weight_map\":{\"a\":\"1.safetensors\",\"b\":\"2.safetensors\"}}");
    put_in("1.safetensors", "");
    check_found("hf:o/n", FJ_CACHED_PART, ""); /* a shard is missing */
    put_in("2.safetensors", "");
    check_found("hf:o/n", FJ_CACHED_PART, ""); /* there may be a tokenizer */
    put(".no_exist/" COMMIT "/tokenizer.json", "");
    check_found("hf:o/n", FJ_CACHED_WHOLE, "");
    CHECK(!unlink(test_temporary("cache/models--o--n/snapshots/" COMMIT "/2.safetensors")));
    check_found("hf:o/n", FJ_CACHED_SMALL, "");
    put_in("2.safetensors", "");
    CHECK(!unlink(test_temporary("cache/models--o--n/.no_exist/" COMMIT "/tokenizer.json")));
    put_in("spiece.model", "");
    check_found("hf:o/n", FJ_CACHED_WHOLE, "");
    clear_hub_env();
}

static void check_link(const char *name, const char *wanted)
{
    char path[1200], target[600];
    (void)snprintf(path, sizeof path, "%s/snapshots/" COMMIT "/%s", folder, name);
    ssize_t n = readlink(path, target, sizeof target - 1);
    CHECK(n > 0);
    target[n] = '\0';
    CHECK_TEXT(target, wanted);
}

TEST(hub_cache_entries_are_links_to_blobs)
{
    fj_err err = { 0 };
    new_cache();
    put("blobs/e1", "one");
    put("blobs/e2", "two");
    CHECK_OK(fj_cache_link(folder, COMMIT, "a.json", "e1", &err));
    check_link("a.json", "../../blobs/e1");
    CHECK_OK(fj_cache_link(folder, COMMIT, "x/y/a.json", "e1", &err));
    check_link("x/y/a.json", "../../../../blobs/e1");
    CHECK(fj_path_exists(test_temporary("cache/models--o--n/snapshots/" COMMIT "/x/y/a.json")));
    CHECK_OK(fj_cache_link(folder, COMMIT, "a.json", "e2", &err)); /* what can be read stays */
    check_link("a.json", "../../blobs/e1");
    CHECK(!unlink(test_temporary("cache/models--o--n/blobs/e1")));
    CHECK_OK(fj_cache_link(folder, COMMIT, "a.json", "e2", &err));
    check_link("a.json", "../../blobs/e2");
    CHECK(fj_cache_link(folder, COMMIT, "a.json/b", "e2", &err) == FJ_ERR_FAILED); /* a file has the folder's name */
    CHECK_OK(fj_cache_set_ref(folder, "main", COMMIT, &err));
    CHECK_OK(fj_cache_set_ref(folder, COMMIT, COMMIT, &err));
    CHECK(fj_path_exists(test_temporary("cache/models--o--n/refs/main")));
    CHECK(!fj_path_exists(test_temporary("cache/models--o--n/refs/" COMMIT)));
    clear_hub_env();
}
