/* SPDX-License-Identifier: Apache-2.0
 * YAML through libfyaml: the document is resolved (anchors, merge keys), written as JSON text and read by json.c. */
#include "base/yaml.h"

#include <libfyaml.h>
#include <stdlib.h>
#include <string.h>

/* Lines of the top level's keys. */
static bool note_lines(struct fy_document *doc, fj_json *lines)
{
    struct fy_node *root = fy_document_root(doc);
    void *iterator = NULL;
    struct fy_node_pair *pair;
    bool ok = true;
    while (ok && root && fy_node_is_mapping(root) && (pair = fy_node_mapping_iterate(root, &iterator)) != NULL) {
        struct fy_node *key = fy_node_pair_key(pair);
        struct fy_token *token = key && fy_node_is_scalar(key) ? fy_node_get_scalar_token(key) : NULL;
        const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;
        const char *text = key ? fy_node_get_scalar0(key) : NULL;
        if (mark && text)
            ok = fj_json_set(lines, text, fj_json_new_int(mark->line + 1));
    }
    return ok;
}

/* libfyaml collects what it has to say; the first line of it becomes the message. */
static fj_status broken(struct fy_diag *diag, const char *name, fj_err *err)
{
    void *iterator = NULL;
    struct fy_diag_error *e = diag ? fy_diag_errors_iterate(diag, &iterator) : NULL;
    if (!e)
        return fj_fail(err, FJ_ERR_USAGE, "%s: not YAML", name);
    return fj_fail(err, FJ_ERR_USAGE, "%s:%d:%d: not YAML: %s", name, e->line, e->column, e->msg);
}

fj_status fj_yaml_parse(const char *text, size_t len, const char *name, fj_json **out, fj_json **lines, fj_err *err)
{
    struct fy_diag_cfg diag_cfg;
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL;
    struct fy_diag *diag = fy_diag_create(&diag_cfg);
    fj_status st = FJ_OK;
    char *json = NULL;
    *out = NULL;
    if (lines)
        *lines = NULL;
    if (!diag)
        return fj_fail(err, FJ_ERR_MEMORY, "%s: no memory to read YAML", name);
    fy_diag_set_collect_errors(diag, true);
    struct fy_parse_cfg cfg = { .flags = FYPCF_QUIET | FYPCF_RESOLVE_DOCUMENT, .diag = diag };
    struct fy_document *doc = fy_document_build_from_string(&cfg, text, len);
    if (!doc)
        st = broken(diag, name, err);
    if (!st && fy_document_root(doc)) {
        json = fy_emit_document_to_string(doc, FYECF_MODE_JSON_ONELINE);
        st = json ? fj_json_parse(json, strlen(json), name, false, out, err) : broken(diag, name, err);
        if (st)
            err->status = st = FJ_ERR_USAGE;
    } else if (!st) {
        *out = fj_json_new_object();
    }
    if (!st && lines) {
        *lines = fj_json_new_object();
        if (!*lines || !note_lines(doc, *lines))
            st = fj_fail(err, FJ_ERR_MEMORY, "%s: no memory to read YAML", name);
    }
    free(json);
    fy_document_destroy(doc);
    fy_diag_destroy(diag);
    return st;
}
