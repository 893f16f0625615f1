/* SPDX-License-Identifier: Apache-2.0
 * forja pull, and MODELs of the hub for every other command: fetched with a bar, or found in the cache. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/print.h"
#include "train/config.h"

typedef struct settings {
    fj_common common;
    const char *model;
} settings;

static const fj_option options[] = {
    { "MODEL", NULL, FJ_OPT_ARG, offsetof(settings, model), NULL,
      "hf:org/name[@revision][:file], or a name that forja models lists", 0, 0, 0 },
    { 0 },
};

static void show(void *context, double done, double total)
{
    fj_progress *bar = context;
    if (bar->total != total) /* small files first, then what their index names */
        *bar = (fj_progress){ .title = bar->title, .unit = bar->unit, .is_quiet = bar->is_quiet };
    bar->total = total;
    fj_progress_show(bar, done, NULL);
}

/* Every command's settings begin with the common ones. */
static bool is_quiet(const fj_call *call)
{
    return ((const fj_common *)call->settings)->quiet;
}

fj_status fj_call_fetch(const fj_call *call, const char *model, char **path, fj_err *err)
{
    fj_progress bar = { .title = "fetch", .unit = "B", .is_quiet = is_quiet(call) };
    fj_fetch how = { .log = call->rt->log,
                     .cancel = call->rt->cancel,
                     .progress = show,
                     .context = &bar,
                     .spares_weights = call->command->spares_weights };
    fj_status st = fj_model_fetch(model, &how, path, err);
    fj_progress_end(&bar);
    return st;
}

fj_status fj_call_fetch_base(const fj_call *call, const char *file, const fj_list *overrides, fj_err *err)
{
    fj_train_config c;
    char *path = NULL, *adapter = NULL;
    fj_arena *arena = fj_arena_new();
    fj_status st = arena ? fj_train_config_load(file, overrides->items, overrides->n, arena, NULL, &c, err)
                         : fj_fail(err, FJ_ERR_MEMORY, "no memory for the configuration");
    if (!st && fj_model_is_remote(c.model_name_or_path))
        st = fj_call_fetch(call, c.model_name_or_path, &path, err);
    if (!st && c.adapter_name_or_path && fj_model_is_remote(c.adapter_name_or_path))
        st = fj_call_fetch(call, c.adapter_name_or_path, &adapter, err);
    free(path);
    free(adapter);
    fj_arena_free(arena);
    return st;
}

static fj_json *to_json(const fj_pulled *p)
{
    fj_json *v = fj_json_new_object(), *files = fj_json_new_array();
    bool ok = v && files;
    for (size_t i = 0; i < p->n_files && ok; i++)
        ok = fj_json_add(files, fj_json_new_text(p->files[i], strlen(p->files[i])));
    ok = ok && fj_json_set(v, "path", fj_json_new_text(p->path, strlen(p->path))) &&
         fj_json_set(v, "commit", fj_json_new_text(p->commit, strlen(p->commit))) &&
         fj_json_set(v, "files", fj_json_share(files)) && fj_json_set(v, "bytes", fj_json_new_int((int64_t)p->bytes)) &&
         fj_json_set(v, "fetched_bytes", fj_json_new_int((int64_t)p->fetched_bytes));
    fj_json_free(files);
    if (ok)
        return v;
    fj_json_free(v);
    return NULL;
}

static fj_status run(const fj_call *call, fj_err *err)
{
    const settings *s = call->settings;
    fj_progress bar = { .title = "fetch", .unit = "B", .is_quiet = is_quiet(call) };
    fj_fetch how = { .log = call->rt->log, .cancel = call->rt->cancel, .progress = show, .context = &bar };
    fj_pulled pulled = { 0 };
    char all[24], fetched[24];
    if (!fj_model_is_remote(s->model)) {
        (void)fj_fail(err, FJ_ERR_USAGE, "'%s' is no name of the hub", s->model);
        return fj_hint(err, "the hub's models are named hf:org/name[@revision][:file]; forja models lists short names");
    }
    fj_status st = fj_pull(s->model, &how, &pulled, err);
    fj_progress_end(&bar);
    if (!st && s->common.json) {
        st = fj_print_json(to_json(&pulled), 0, err);
    } else if (!st) {
        fj_note(call->rt->log, "%zu files, %s, of which %s were fetched now", pulled.n_files,
                fj_format_bytes(pulled.bytes, all), fj_format_bytes(pulled.fetched_bytes, fetched));
        (void)printf("%s\n", pulled.path);
    }
    fj_pulled_free(&pulled);
    return st;
}

const fj_command fj_command_pull = {
    .name = "pull",
    .summary = "Fetch a model from the hub, or what is missing of it.",
    .about = "The cache is the one of Python's tools (HF_HOME, HF_HUB_CACHE): what they fetched is there, and what is "
             "fetched here they "
             "find. Of a repository come the small files and one kind of weights, safetensors before "
             "pytorch_model.bin; with :file that "
             "file alone. HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE count.",
    .options = options,
    .settings_size = sizeof(settings),
    .run = run,
    .keeps_names = true,
};
