/* SPDX-License-Identifier: Apache-2.0
 * See resume.h. */
#include "train/resume.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "train/save.h"

/* Keys that may differ: where results go and when, what is compared by its contents (model, rows), and the length of the run. */
static const char *const free_keys[] = {
    "adapter_name_or_path",
    "create_new_adapter",
    "dataset",
    "dataset_dir",
    "eval_dataset",
    "eval_steps",
    "eval_strategy",
    "logging_steps",
    "max_steps",
    "model_name_or_path",
    "num_train_epochs",
    "output_dir",
    "overwrite_output_dir",
    "per_device_eval_batch_size",
    "plot_loss",
    "resume_from_checkpoint",
    "save_only_model",
    "save_steps",
    "save_strategy",
    "save_total_limit",
};

fj_json *fj_train_state(const fj_train_run *r, const fj_train_place *place)
{
    fj_json *v = fj_json_new_object();
    bool ok = v && fj_json_set(v, "step", fj_json_new_int(place->step)) &&
              fj_json_set(v, "updates", fj_json_new_int(place->updates)) &&
              fj_json_set(v, "steps_of_the_run", fj_json_new_int(r->n_steps)) &&
              fj_json_set(v, "data", fj_json_new_text(r->data->hash, strlen(r->data->hash))) &&
              fj_json_set(v, "model", fj_json_new_text(r->model_hash, strlen(r->model_hash))) &&
              fj_json_set(v, "config", fj_json_new_text(r->config.canonical, strlen(r->config.canonical)));
    if (ok)
        return v;
    fj_json_free(v);
    return NULL;
}

/* The line of a canonical text that begins with "key "; empty when there is none. */
static fj_text line_of(const char *canonical, fj_text key)
{
    for (const char *at = canonical; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        size_t len = strcspn(at, "\n");
        if (len > key.len && at[key.len] == ' ' && !memcmp(at, key.data, key.len))
            return (fj_text){ at, len };
    }
    return (fj_text){ 0 };
}

static bool is_free(fj_text key)
{
    for (size_t i = 0; i < FJ_LEN(free_keys); i++)
        if (fj_text_is(key, free_keys[i]))
            return true;
    return false;
}

static fj_status compare_configs(const char *now, const char *then, const char *folder, fj_err *err)
{
    for (const char *at = now; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        fj_text line = { at, strcspn(at, "\n") }, key = { at, strcspn(at, " ") };
        fj_text other = line_of(then, key);
        if (is_free(key) || (line.len == other.len && !memcmp(line.data, other.data, line.len)))
            continue;
        (void)fj_fail(err, FJ_ERR_USAGE, "%s: made with %.*s: %.*s, the run says %.*s", folder, (int)key.len, key.data,
                      other.len > key.len ? (int)(other.len - key.len - 1) : 7,
                      other.len > key.len ? other.data + key.len + 1 : "nothing", (int)(line.len - key.len - 1),
                      line.data + key.len + 1);
        return fj_hint(err, "set it back, or start again with overwrite_output_dir: true");
    }
    return FJ_OK;
}

static fj_status compare(const fj_train_run *r, const fj_json *state, const char *folder, fj_err *err)
{
    fj_status st = compare_configs(r->config.canonical, fj_json_string(fj_json_get(state, "config"), ""), folder, err);
    if (st)
        return st;
    const char *differs = NULL;
    if (strcmp(fj_json_string(fj_json_get(state, "data"), ""), r->data->hash) != 0)
        differs = "other rows";
    if (strcmp(fj_json_string(fj_json_get(state, "model"), ""), r->model_hash) != 0)
        differs = "another model";
    if (!differs)
        return FJ_OK;
    (void)fj_fail(err, FJ_ERR_USAGE, "%s: made with %s than this run's", folder, differs);
    return fj_hint(err, "start again with overwrite_output_dir: true");
}

static char *checkpoint_of(const fj_train_config *c)
{
    if (!strcmp(c->resume_from_checkpoint, "true"))
        return fj_checkpoint_newest(c->output_dir);
    return strdup(c->resume_from_checkpoint);
}

fj_status fj_train_resume(const fj_train_run *r, fj_trainer *t, fj_log *log, fj_train_place *place, fj_err *err)
{
    fj_json *state = NULL;
    *place = (fj_train_place){ 0 };
    if (!r->config.resume_from_checkpoint)
        return FJ_OK;
    char *folder = checkpoint_of(&r->config);
    if (!folder) {
        fj_note(log, "no checkpoint in %s yet: starting at the beginning", r->config.output_dir);
        return FJ_OK;
    }
    fj_status st = fj_checkpoint_load(t, folder, &state, err);
    if (!st)
        st = compare(r, state, folder, err);
    if (!st) {
        place->step = fj_json_int(fj_json_get(state, "step"), -1);
        place->updates = fj_json_int(fj_json_get(state, "updates"), -1);
        if (place->step < 0 || place->updates < 0 || place->updates > place->step)
            st = fj_fail(err, FJ_ERR_FORMAT, "%s/state.json: step %lld with %lld updates", folder,
                         (long long)place->step, (long long)place->updates);
    }
    int64_t n_steps = fj_json_int(fj_json_get(state, "steps_of_the_run"), r->n_steps);
    if (!st && n_steps != r->n_steps)
        fj_warn(log, "%s is of a run of %lld steps, this one has %lld: the learning rate follows the new length",
                folder, (long long)n_steps, (long long)r->n_steps);
    if (!st)
        fj_note(log, "going on from %s", folder);
    fj_json_free(state);
    free(folder);
    return st;
}
