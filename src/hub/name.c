/* SPDX-License-Identifier: Apache-2.0
 * Names of the hub, and what may be a path. Source: huggingface_hub, utils/_validators.py (validate_repo_id). */
#include <stdio.h>
#include <string.h>

#include "hub/catalogue.h"
#include "hub/remote_internal.h"

#define FORM "the hub's models are named hf:org/name[@revision][:file]"

/* "smollm:135m" of the catalogue as a name of the hub; false for any other. */
static bool from_catalogue(const char *model, fj_hub_ref *out)
{
    fj_catalogue c;
    fj_err err = { 0 };
    if (!*model || strchr(model, '/') || fj_catalogue_open(&c, &err))
        return false;
    const fj_catalogue_row *row = fj_catalogue_find(&c, model);
    if (row) {
        (void)snprintf(out->repo, sizeof out->repo, "%s", row->hub);
        (void)snprintf(out->file, sizeof out->file, "%s", row->file ? row->file : "");
    }
    fj_catalogue_close(&c);
    return row != NULL;
}

bool fj_model_is_remote(const char *model)
{
    fj_hub_ref ref;
    return !strncmp(model, "hf:", 3) || from_catalogue(model, &ref);
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* One of the two halves of "org/name". */
static bool is_repo_part(fj_text t)
{
    if (!t.len || t.len > 96 || t.data[0] == '-' || t.data[0] == '.' || t.data[t.len - 1] == '-' ||
        t.data[t.len - 1] == '.')
        return false;
    for (size_t i = 0; i < t.len; i++) {
        char c = t.data[i];
        if (!is_alnum(c) && c != '-' && c != '_' && c != '.')
            return false;
        if (i && (c == '-' || c == '.') && t.data[i - 1] == c)
            return false;
    }
    return true;
}

static bool is_repo(fj_text t)
{
    const char *slash = memchr(t.data, '/', t.len);
    if (!slash)
        return is_repo_part(t);
    size_t n = (size_t)(slash - t.data);
    return is_repo_part((fj_text){ t.data, n }) && is_repo_part((fj_text){ slash + 1, t.len - n - 1 });
}

bool fj_hub_is_safe_path(fj_text path)
{
    size_t start = 0;
    if (!path.len || path.len > FJ_MAX_FILE_NAME)
        return false;
    for (size_t i = 0; i <= path.len; i++) {
        if (i < path.len && path.data[i] != '/') {
            if ((unsigned char)path.data[i] < 0x20 || path.data[i] == 0x7f || path.data[i] == '\\')
                return false;
            continue;
        }
        fj_text part = { path.data + start, i - start };
        if (!part.len || part.len > 255 || fj_text_is(part, ".") || fj_text_is(part, ".."))
            return false;
        start = i + 1;
    }
    return true;
}

bool fj_hub_is_hex(fj_text text, size_t digits)
{
    for (size_t i = 0; i < text.len; i++)
        if (!((text.data[i] >= '0' && text.data[i] <= '9') || (text.data[i] >= 'a' && text.data[i] <= 'f')))
            return false;
    return text.len == digits;
}

void fj_url_escape(const char *text, bool keeps_slash, fj_str *out)
{
    for (; *text; text++) {
        if (is_alnum(*text) || strchr("-._~", *text) || (*text == '/' && keeps_slash))
            fj_str_add_char(out, *text);
        else
            fj_str_printf(out, "%%%02X", (unsigned)(unsigned char)*text);
    }
}

/* Copies a part into its field; false when it is empty or too long. */
static bool take(char *field, size_t size, fj_text part)
{
    if (!part.len || part.len >= size)
        return false;
    memcpy(field, part.data, part.len);
    field[part.len] = '\0';
    return true;
}

static fj_status wrong(const char *model, const char *what, fj_err *err)
{
    (void)fj_fail(err, FJ_ERR_USAGE, "'%.300s': %s", model, what);
    return fj_hint(err, FORM);
}

fj_status fj_hub_ref_of(const char *model, fj_hub_ref *out, fj_err *err)
{
    *out = (fj_hub_ref){ .model = model, .revision = "main" };
    if (strncmp(model, "hf:", 3) != 0)
        return from_catalogue(model, out) ? FJ_OK : wrong(model, "no name of the hub", err);
    const char *repo = model + 3, *end = repo + strcspn(repo, "@:");
    fj_text name = { repo, (size_t)(end - repo) };
    if (!is_repo(name) || !take(out->repo, sizeof out->repo, name))
        return wrong(model, "no name of a repository", err);
    if (*end == '@') {
        const char *revision = end + 1;
        end = revision + strcspn(revision, ":");
        fj_text text = { revision, (size_t)(end - revision) };
        if (!take(out->revision, sizeof out->revision, text) || !fj_hub_is_safe_path(text))
            return wrong(model, "no name of a revision", err);
    }
    if (*end == ':' &&
        (!take(out->file, sizeof out->file, fj_text_of(end + 1)) || !fj_hub_is_safe_path(fj_text_of(end + 1))))
        return wrong(model, "no name of a file", err);
    return FJ_OK;
}

const char *fj_model_public_name(const char *model, char out[200])
{
    fj_err err = { 0 };
    fj_hub_ref ref;
    if (!fj_model_is_remote(model) || fj_hub_ref_of(model, &ref, &err))
        return model;
    memcpy(out, ref.repo, sizeof ref.repo);
    return out;
}
