/* SPDX-License-Identifier: Apache-2.0
 * Checkpoints: what exact continuation needs. The tensors lie in the trainer's own order and form, so nothing is converted. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/formats.h"
#include "train/save.h"

enum { VERSION = 1, PARTS = 3 };
#define KIND   "forja training checkpoint"
#define PREFIX "checkpoint-"

static const char *const part_names[PARTS] = { "data", "m", "v" };

/* One of a parameter's tensors as a file has it. */
static fj_tensor part_of(const fj_trained *p, int part)
{
    fj_tensor t = { .dtype = part == 0 ? p->dtype : p->moment_dtype, .shape = p->shape };
    t.data = part == 0 ? p->data : part == 1 ? p->m : p->v;
    t.bytes = (size_t)(fj_shape_count(&p->shape) * t.dtype->block_bytes);
    return t;
}

/* "17.lora_a.m": index, what it is, which part. */
static char *tensor_name(fj_arena *arena, const fj_trained *p, int index, int part)
{
    const char *kind = p->parameter->weight ? "weight" : p->parameter->is_b ? "lora_b" : "lora_a";
    return fj_arena_printf(arena, "%d.%s.%s", index, kind, part_names[part]);
}

static fj_status save_tensors(const fj_trainer *t, const char *folder, fj_err *err)
{
    int n = fj_trainer_count(t);
    fj_arena *arena = fj_arena_new();
    fj_tensor *list = arena ? fj_arena_array(arena, PARTS * (size_t)n, sizeof *list) : NULL;
    char *path = fj_path_join(folder, "state.safetensors");
    fj_status st = list && path ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to save a checkpoint");
    for (int i = 0; !st && i < PARTS * n; i++) {
        fj_trained p = fj_trainer_at(t, i / PARTS);
        list[i] = part_of(&p, i % PARTS);
        list[i].name = tensor_name(arena, &p, i / PARTS, i % PARTS);
        if (!list[i].name)
            st = fj_fail(err, FJ_ERR_MEMORY, "no memory to save a checkpoint");
    }
    if (!st)
        st = fj_safetensors_write(path, list, PARTS * (size_t)n, NULL, err);
    free(path);
    fj_arena_free(arena);
    return st;
}

static fj_status save_state(int64_t step, const fj_json *state, const char *folder, fj_err *err)
{
    fj_json *all = fj_json_new_object();
    fj_str text = { 0 };
    char *path = fj_path_join(folder, "state.json");
    bool ok = all && path && fj_json_set(all, "kind", fj_json_new_text(KIND, strlen(KIND))) &&
              fj_json_set(all, "version", fj_json_new_int(VERSION)) &&
              fj_json_set(all, "step", fj_json_new_int(step)) &&
              fj_json_set(all, "run", fj_json_share((fj_json *)(uintptr_t)state)) && fj_json_write(all, 2, 17, &text);
    fj_status st = ok ? fj_file_write(path, text.data, text.len, err)
                      : fj_fail(err, FJ_ERR_MEMORY, "no memory to save a checkpoint");
    fj_json_free(all);
    fj_str_free(&text);
    free(path);
    return st;
}

fj_status fj_checkpoint_save(const fj_trainer *t, int64_t step, const fj_json *state, bool only_model,
                             const char *output_dir, fj_save_files *files, void *context, fj_err *err)
{
    fj_str temporary = { 0 }, final = { 0 };
    fj_str_printf(&temporary, "%s/." PREFIX "%" PRId64 ".part", output_dir, step);
    fj_str_printf(&final, "%s/" PREFIX "%" PRId64, output_dir, step);
    fj_status st = temporary.failed || final.failed ? fj_fail(err, FJ_ERR_MEMORY, "no memory to save a checkpoint")
                                                    : FJ_OK;
    if (!st)
        st = fj_remove_tree(temporary.data, err);
    if (!st)
        st = fj_make_dirs(temporary.data, err);
    if (!st && files)
        st = files(context, temporary.data, err);
    if (!st && !only_model)
        st = save_tensors(t, temporary.data, err);
    if (!st && !only_model)
        st = save_state(step, state, temporary.data, err);
    if (!st)
        st = fj_remove_tree(final.data, err);
    if (!st && rename(temporary.data, final.data))
        st = fj_fail(err, FJ_ERR_FAILED, "%s: cannot rename the finished checkpoint: %s", final.data, strerror(errno));
    fj_str_free(&temporary);
    fj_str_free(&final);
    return st;
}

static fj_status load_tensors(fj_trainer *t, const fj_source *s, fj_err *err)
{
    int n = fj_trainer_count(t);
    fj_arena *arena = fj_arena_new();
    fj_status st = arena ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to load a checkpoint");
    for (int i = 0; !st && i < PARTS * n; i++) {
        fj_trained p = fj_trainer_at(t, i / PARTS);
        char *name = tensor_name(arena, &p, i / PARTS, i % PARTS);
        const fj_tensor *x = name ? s->find(s, name) : NULL;
        fj_tensor to = part_of(&p, i % PARTS);
        if (!x || x->dtype != to.dtype || !fj_shape_equal(&x->shape, &to.shape)) {
            st = fj_fail(err, FJ_ERR_FORMAT, "%s: no tensor '%s' of the shape this run trains", s->path,
                         name ? name : "?");
            (void)fj_hint(err, "the checkpoint belongs to another run; start again without resume_from_checkpoint");
        } else {
            memcpy((void *)(uintptr_t)to.data, x->data, x->bytes);
        }
    }
    fj_arena_free(arena);
    return st;
}

static fj_status load_state(const char *folder, fj_json **state, fj_err *err)
{
    char *path = fj_path_join(folder, "state.json");
    fj_json *all = NULL;
    fj_status st = path ? fj_json_load(path, &all, err) : fj_fail(err, FJ_ERR_MEMORY, "no memory to load a checkpoint");
    if (!st &&
        (strcmp(fj_json_string(fj_json_get(all, "kind"), ""), KIND) ||
         fj_json_int(fj_json_get(all, "version"), 0) != VERSION || !fj_json_is_object(fj_json_get(all, "run")))) {
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: not a checkpoint of version %d", path, VERSION);
        (void)fj_hint(err, "it was made by another forja; start again without resume_from_checkpoint");
    }
    if (!st)
        *state = fj_json_share(fj_json_get(all, "run"));
    fj_json_free(all);
    free(path);
    return st;
}

fj_status fj_checkpoint_load(fj_trainer *t, const char *folder, fj_json **state, fj_err *err)
{
    fj_source *s = NULL;
    *state = NULL;
    char *path = fj_path_join(folder, "state.safetensors");
    fj_status st = path ? load_state(folder, state, err)
                        : fj_fail(err, FJ_ERR_MEMORY, "no memory to load a checkpoint");
    if (!st)
        st = fj_safetensors_open_file(path, NULL, &s, err);
    if (!st)
        st = load_tensors(t, s, err);
    if (s)
        s->close(s);
    free(path);
    return st;
}

/* N of "checkpoint-N", -1 for any other name. */
static int64_t step_of(const char *name)
{
    int64_t n;
    if (strncmp(name, PREFIX, strlen(PREFIX)) || !fj_text_i64(fj_text_of(name + strlen(PREFIX)), &n) || n < 0)
        return -1;
    return n;
}

/* The newest step below `below`, -1 for none. */
static int64_t newest_below(const char *output_dir, int64_t below)
{
    int64_t newest = -1;
    DIR *dir = opendir(output_dir);
    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        int64_t step = step_of(e->d_name);
        if (step < below)
            newest = FJ_MAX(newest, step);
    }
    if (dir)
        closedir(dir);
    return newest;
}

static char *path_of(const char *output_dir, int64_t step)
{
    char name[64];
    (void)snprintf(name, sizeof name, PREFIX "%" PRId64, step);
    return fj_path_join(output_dir, name);
}

char *fj_checkpoint_newest(const char *output_dir)
{
    int64_t step = newest_below(output_dir, INT64_MAX);
    return step < 0 ? NULL : path_of(output_dir, step);
}

fj_status fj_checkpoint_prune(const char *output_dir, int64_t keep, fj_err *err)
{
    int64_t below = INT64_MAX;
    for (int64_t i = 0; keep > 0; i++) {
        below = newest_below(output_dir, below);
        if (below < 0)
            break;
        char *path = i >= keep ? path_of(output_dir, below) : NULL;
        fj_status st = path ? fj_remove_tree(path, err) : FJ_OK;
        free(path);
        if (st)
            return st;
    }
    return FJ_OK;
}
