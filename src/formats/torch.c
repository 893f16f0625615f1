/* SPDX-License-Identifier: Apache-2.0
 * PyTorch's files (pytorch_model.bin, *.pt, *.pth): a pickle of a state dict, whose tensors are views of storages beside it.
 *
 *   since 1.6   a zip archive: ROOT/data.pkl, ROOT/byteorder, ROOT/data/KEY, all stored
 *   before      pickles one behind the other: magic number, version, machine, state dict, keys; then u64 values | bytes for each key
 *
 * Source: torch/serialization.py (_save, _legacy_save), torch/_utils.py (_rebuild_tensor_v2 and its kin). */
#include <inttypes.h>
#include <string.h>

#include "formats/formats.h"
#include "formats/pickle.h"
#include "formats/recognize.h"
#include "formats/shards.h"
#include "formats/zip.h"

enum { LEGACY_VERSION = 1001 };
#define MAGIC   "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19" /* behind LONG1 and its length */
#define ORDERED "collections.OrderedDict"
#define REBUILD "torch._utils._rebuild_tensor"

static const struct {
    const char *global;
    const fj_dtype *dtype; /* NULL: a storage of bytes, whose tensors say their type */
} types[] = {
    { "torch.FloatStorage", &fj_f32 },  { "torch.HalfStorage", &fj_f16 }, { "torch.BFloat16Storage", &fj_bf16 },
    { "torch.DoubleStorage", &fj_f64 }, { "torch.LongStorage", &fj_i64 }, { "torch.IntStorage", &fj_i32 },
    { "torch.ShortStorage", &fj_i16 },  { "torch.CharStorage", &fj_i8 },  { "torch.ByteStorage", &fj_u8 },
    { "torch.BoolStorage", &fj_bool },  { "torch.UntypedStorage", NULL }, { "torch.storage.UntypedStorage", NULL },
    { "torch.float32", &fj_f32 },       { "torch.float16", &fj_f16 },     { "torch.bfloat16", &fj_bf16 },
    { "torch.float64", &fj_f64 },       { "torch.int64", &fj_i64 },       { "torch.int32", &fj_i32 },
    { "torch.int16", &fj_i16 },         { "torch.int8", &fj_i8 },         { "torch.uint8", &fj_u8 },
    { "torch.uint16", &fj_u16 },        { "torch.uint32", &fj_u32 },      { "torch.uint64", &fj_u64 },
    { "torch.bool", &fj_bool },
};

/* What makes tensors of them. */
static const char *const makers[] = { ORDERED,
                                      REBUILD,
                                      REBUILD "_v2",
                                      REBUILD "_v3",
                                      "torch._utils._rebuild_parameter",
                                      "torch._utils._rebuild_parameter_with_state",
                                      "torch._tensor._rebuild_from_type_v2",
                                      "torch.Tensor",
                                      "torch.nn.parameter.Parameter" };

/* Everything that a state dict may name. */
static bool is_allowed(const char *global)
{
    bool found = false;
    for (size_t i = 0; i < FJ_LEN(makers); i++)
        found |= !strcmp(makers[i], global);
    for (size_t i = 0; i < FJ_LEN(types); i++)
        found |= !strcmp(types[i].global, global);
    return found;
}

typedef struct file {
    const fj_shard *shard;
    fj_arena *arena;
    const fj_pickle *state; /* the dict of tensors */
    fj_index storages;      /* by key; one dimension; dtype is U8 for storages of bytes */
    size_t copied;          /* bytes of tensors that no part of the file is */
    fj_err *err;
} file;

static fj_status broken(const file *f, const char *what)
{
    return fj_fail(f->err, FJ_ERR_FORMAT, "%s: %s", f->shard->name, what);
}

static fj_status no_memory(const file *f)
{
    return fj_fail(f->err, FJ_ERR_MEMORY, "no memory to open %s", f->shard->name);
}

static bool type_of(const fj_pickle *global, const fj_dtype **out)
{
    for (size_t i = 0; global && global->kind == FJ_PICKLE_GLOBAL && i < FJ_LEN(types); i++)
        if (fj_text_is(global->text, types[i].global)) {
            *out = types[i].dtype ? types[i].dtype : &fj_u8;
            return true;
        }
    return false;
}

/* A count: a whole number from 0. */
static bool count_of(const fj_pickle *v, int64_t *out)
{
    *out = v && v->kind == FJ_PICKLE_INT ? v->number : -1;
    return *out >= 0;
}

/* A text of the pickle as C has it; NULL for anything else, and for one with a NUL in it. */
static const char *text_of(const file *f, const fj_pickle *v)
{
    if (!v || v->kind != FJ_PICKLE_TEXT || memchr(v->text.data, 0, v->text.len))
        return NULL;
    return fj_arena_text(f->arena, v->text.data, v->text.len);
}

/* ---- storages -------------------------------------------------------------------------------------------------------------------- */

/* ("storage", type, key, device, values, [view of another storage: of 2016, never since]). */
static fj_status add_storage(file *f, const fj_pickle *id)
{
    fj_tensor s = { 0 };
    const fj_pickle *view = fj_pickle_at(id, 5), *kind = fj_pickle_at(id, 0);
    s.name = text_of(f, fj_pickle_at(id, 2));
    s.shape.rank = 1;
    bool is_storage = kind && kind->kind == FJ_PICKLE_TEXT && fj_text_is(kind->text, "storage");
    if (!is_storage || !s.name || !type_of(fj_pickle_at(id, 1), &s.dtype) ||
        !count_of(fj_pickle_at(id, 4), &s.shape.dim[0]) || (view && view->kind != FJ_PICKLE_NONE))
        return broken(f, "a persistent id that names no storage");
    if (!fj_dtype_bytes(s.dtype, s.shape.dim[0], &s.bytes))
        return fj_fail(f->err, FJ_ERR_FORMAT, "%s: storage '%.100s' has more bytes than can be counted", f->shard->name,
                       s.name);
    if (fj_index_add(&f->storages, &s))
        return FJ_OK;
    const fj_tensor *known = fj_index_find(&f->storages, s.name);
    if (known->dtype != s.dtype || known->bytes != s.bytes)
        return fj_fail(f->err, FJ_ERR_FORMAT,
                       "%s: storage '%.100s' is %zu bytes of type %s, and elsewhere %zu of type %s", f->shard->name,
                       s.name, known->bytes, known->dtype->name, s.bytes, s.dtype->name);
    return FJ_OK;
}

static fj_status list_storages(file *f, const fj_pickle_doc *doc)
{
    fj_status st = fj_index_init(&f->storages, f->arena, doc->n_ids) ? FJ_OK : no_memory(f);
    for (size_t i = 0; !st && i < doc->n_ids; i++)
        st = add_storage(f, doc->ids[i]->items[0]);
    return st;
}

static fj_status place(const file *f, fj_tensor *s, const void *data, size_t bytes)
{
    if (bytes != s->bytes)
        return fj_fail(f->err, FJ_ERR_FORMAT,
                       "%s: storage '%.100s' has %zu bytes, %" PRId64 " values of type %s have %zu", f->shard->name,
                       s->name, bytes, s->shape.dim[0], s->dtype->name, s->bytes);
    s->data = data;
    return FJ_OK;
}

/* ---- the two forms --------------------------------------------------------------------------------------------------------------- */

static const fj_tensor *entry(const file *f, const fj_index *zip, const char *root, const char *name)
{
    const char *path = fj_arena_printf(f->arena, "%s%s", root, name);
    return path ? fj_index_find(zip, path) : NULL;
}

/* The folder that all entries lie in, with its '/'; NULL without data.pkl. */
static const char *root_of(const file *f, const fj_index *zip)
{
    static const char name[] = "/data.pkl";
    for (size_t i = 0; i < zip->n; i++) {
        const char *path = zip->tensors[i].name;
        size_t len = strlen(path), k = sizeof name - 1;
        if (len > k && !strcmp(path + len - k, name))
            return fj_arena_text(f->arena, path, len - k + 1);
    }
    return NULL;
}

static fj_status place_entries(file *f, const fj_index *zip, const char *root)
{
    fj_status st = FJ_OK;
    for (size_t i = 0; !st && i < f->storages.n; i++) {
        fj_tensor *s = &f->storages.tensors[i];
        const char *path = fj_arena_printf(f->arena, "%sdata/%s", root, s->name);
        const fj_tensor *e = path ? fj_index_find(zip, path) : NULL;
        if (e && e->data)
            st = place(f, s, e->data, e->bytes);
        else
            st = fj_fail(f->err, FJ_ERR_FORMAT, "%s: storage '%.100s' %s", f->shard->name, s->name,
                         e ? "is compressed; PyTorch stores, save the model with it again" : "is not in the archive");
    }
    return st;
}

static fj_status read_zip(file *f, fj_pickle_doc *doc)
{
    fj_index zip;
    fj_status st = fj_zip_list(f->shard->data, f->shard->len, f->shard->name, f->arena, &zip, f->err);
    if (st)
        return st;
    const char *root = root_of(f, &zip);
    if (!root)
        return broken(f, "a zip archive without data.pkl, so none of PyTorch's models");
    const fj_tensor *pickle = entry(f, &zip, root, "data.pkl"), *order = entry(f, &zip, root, "byteorder");
    if (!pickle || !pickle->data || (order && !order->data))
        return broken(f, "it is compressed; PyTorch stores, save the model with it again");
    if (order && (order->bytes < 6 || memcmp(order->data, "little", 6) != 0))
        return broken(f, "its numbers are big-endian; save the model again on a usual machine");
    fj_cursor c = fj_cursor_over(pickle->data, pickle->bytes);
    st = fj_pickle_read(&c, f->shard->name, is_allowed, f->arena, doc, f->err);
    if (!st)
        st = list_storages(f, doc);
    return st ? st : place_entries(f, &zip, root);
}

static fj_status place_in_order(file *f, fj_cursor *c, const fj_pickle *keys)
{
    fj_status st = FJ_OK;
    for (size_t i = 0; !st && keys && i < keys->n; i++) {
        const char *key = text_of(f, fj_pickle_at(keys, i));
        fj_tensor *s = key ? (fj_tensor *)(uintptr_t)fj_index_find(&f->storages, key) : NULL;
        uint64_t n = fj_cursor_u64(c);
        if (!s || (!c->bad && n != (uint64_t)s->shape.dim[0]))
            return broken(f, "its storages are not those that its pickle names");
        fj_text data = fj_cursor_take(c, s->bytes);
        if (c->bad)
            return broken(f, "it ends within its storages: the download was cut");
        st = place(f, s, data.data, data.len);
    }
    for (size_t i = 0; !st && i < f->storages.n; i++)
        if (!f->storages.tensors[i].data)
            return broken(f, "its storages are not those that its pickle names");
    return st;
}

/* Five pickles, then the storages. */
static fj_status read_legacy(file *f, fj_pickle_doc *doc)
{
    fj_cursor c = fj_cursor_over(f->shard->data, f->shard->len);
    fj_pickle_doc other = { 0 };
    int64_t version = -1;
    fj_status st = FJ_OK;
    for (int i = 0; !st && i < 3; i++) { /* the magic number was looked at */
        st = fj_pickle_read(&c, f->shard->name, is_allowed, f->arena, &other, f->err);
        if (!st && i == 1 && (!count_of(other.root, &version) || version != LEGACY_VERSION))
            return broken(f, "a version of PyTorch's old form that is not known");
    }
    const fj_pickle *little = fj_pickle_get(other.root, "little_endian");
    if (!st && little && !little->number)
        return broken(f, "its numbers are big-endian; save the model again on a usual machine");
    if (!st)
        st = fj_pickle_read(&c, f->shard->name, is_allowed, f->arena, doc, f->err);
    if (!st)
        st = fj_pickle_read(&c, f->shard->name, is_allowed, f->arena, &other, f->err);
    if (!st)
        st = list_storages(f, doc);
    return st ? st : place_in_order(f, &c, other.root);
}

/* ---- tensors --------------------------------------------------------------------------------------------------------------------- */

typedef struct strided {
    int64_t offset;
    int64_t stride[FJ_MAX_RANK];
} strided;

static fj_status read_strides(const file *f, const char *name, const fj_pickle *args, fj_tensor *t, strided *s,
                              int64_t *n)
{
    const fj_pickle *sizes = fj_pickle_at(args, 2), *strides = fj_pickle_at(args, 3);
    bool is_whole = count_of(fj_pickle_at(args, 1), &s->offset) && sizes && sizes->kind == FJ_PICKLE_TUPLE && strides &&
                    strides->kind == FJ_PICKLE_TUPLE && sizes->n == strides->n;
    if (is_whole && sizes->n > FJ_MAX_RANK)
        return fj_fail(f->err, FJ_ERR_FORMAT, "%s: '%.100s' has %zu dimensions, at most %d are read", f->shard->name,
                       name, sizes->n, FJ_MAX_RANK);
    t->shape.rank = is_whole ? (int)sizes->n : 0;
    *n = 1;
    for (size_t i = 0; is_whole && i < sizes->n; i++) {
        is_whole = count_of(sizes->items[i], &t->shape.dim[i]) && count_of(strides->items[i], &s->stride[i]);
        if (is_whole && __builtin_mul_overflow(*n, t->shape.dim[i], n))
            return fj_fail(f->err, FJ_ERR_FORMAT, "%s: '%.100s' has more values than can be counted", f->shard->name,
                           name);
    }
    return is_whole
               ? FJ_OK
               : fj_fail(f->err, FJ_ERR_FORMAT, "%s: '%.100s' has no offset, sizes and strides", f->shard->name, name);
}

/* Whether all values lie in a storage of n values. */
static bool is_inside(const fj_tensor *t, const strided *s, int64_t n)
{
    int64_t last = s->offset, step;
    for (int i = 0; i < t->shape.rank; i++)
        if (__builtin_mul_overflow(t->shape.dim[i] - 1, s->stride[i], &step) ||
            __builtin_add_overflow(last, step, &last))
            return false;
    return last < n;
}

static bool is_contiguous(const fj_tensor *t, const strided *s)
{
    int64_t wanted = 1;
    for (int i = t->shape.rank; i-- > 0;) {
        if (t->shape.dim[i] != 1 && s->stride[i] != wanted)
            return false;
        wanted *= t->shape.dim[i];
    }
    return true;
}

/* A transposed tensor, say: a private copy in the order of its dimensions. */
static fj_status copy_in_order(file *f, const fj_tensor *storage, const strided *s, fj_tensor *t, int64_t n)
{
    size_t size = (size_t)t->dtype->block_bytes;
    f->copied += t->bytes; /* a storage of the file is copied once, by one tensor; more is a trick */
    if (t->bytes > storage->bytes || f->copied > f->shard->len)
        return fj_fail(f->err, FJ_ERR_FORMAT, "%s: '%.100s' repeats values of its storage", f->shard->name, t->name);
    unsigned char *copy = fj_arena_take(f->arena, t->bytes);
    if (!copy)
        return no_memory(f);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = s->offset, rest = i;
        for (int d = t->shape.rank; d-- > 0; rest /= t->shape.dim[d])
            at += rest % t->shape.dim[d] * s->stride[d];
        memcpy(copy + (size_t)i * size, (const unsigned char *)storage->data + (size_t)at * size, size);
    }
    t->data = copy;
    return FJ_OK;
}

/* The arguments of what makes a tensor, through what wraps one; NULL when v is no tensor. *has_type: they say a type. */
static const fj_pickle *tensor_args(const fj_pickle *v, bool *has_type)
{
    for (int depth = 0; depth < 4 && v && v->kind == FJ_PICKLE_CALL; depth++) {
        const fj_pickle *args = v->items[1], *function = fj_pickle_at(args, 0);
        *has_type = fj_pickle_calls(v, REBUILD "_v3");
        if (*has_type || fj_pickle_calls(v, REBUILD) || fj_pickle_calls(v, REBUILD "_v2"))
            return args;
        if (fj_pickle_calls(v, "torch._tensor._rebuild_from_type_v2")) { /* function, type, arguments, state */
            *has_type = function && fj_text_is(function->text, REBUILD "_v3");
            return function && fj_text_starts(function->text, REBUILD) ? fj_pickle_at(args, 2) : NULL;
        }
        v = fj_pickle_at(args, 0); /* a parameter: data, requires_grad, hooks */
    }
    return NULL;
}

static fj_status read_tensor(file *f, const char *name, const fj_pickle *args, bool has_type, fj_tensor *t)
{
    const fj_pickle *id = fj_pickle_at(args, 0);
    strided s = { 0 };
    int64_t n = 0, in_storage;
    *t = (fj_tensor){ .name = name };
    if (!id || id->kind != FJ_PICKLE_ID || (has_type && !type_of(fj_pickle_at(args, 6), &t->dtype)))
        return fj_fail(f->err, FJ_ERR_FORMAT, "%s: '%.100s' has no storage, or no type that is read", f->shard->name,
                       name);
    fj_status st = read_strides(f, name, args, t, &s, &n);
    if (st)
        return st;
    const char *key = text_of(f, fj_pickle_at(id->items[0], 2));
    const fj_tensor *storage = key ? fj_index_find(&f->storages, key) : NULL;
    if (!storage)
        return no_memory(f); /* every id was listed */
    t->dtype = has_type ? t->dtype : storage->dtype;
    in_storage = (int64_t)(storage->bytes / (size_t)t->dtype->block_bytes);
    if (n && !is_inside(t, &s, in_storage))
        return fj_fail(f->err, FJ_ERR_FORMAT, "%s: '%.100s' goes beyond the %" PRId64 " values of its storage",
                       f->shard->name, name, in_storage);
    if (!fj_dtype_bytes(t->dtype, n, &t->bytes))
        return fj_fail(f->err, FJ_ERR_FORMAT, "%s: '%.100s' has more bytes than can be counted", f->shard->name, name);
    t->data = storage->data;
    if (!n)
        return FJ_OK;
    if (!is_contiguous(t, &s))
        return copy_in_order(f, storage, &s, t, n);
    t->data = (const unsigned char *)storage->data + (size_t)s.offset * (size_t)t->dtype->block_bytes;
    return FJ_OK;
}

/* The dict of tensors: what training wraps it in is taken off. */
static const fj_pickle *state_dict(const fj_pickle *root)
{
    static const char *const wrappers[] = { "state_dict", "model_state_dict", "model", "module" };
    for (size_t i = 0; i < FJ_LEN(wrappers); i++) {
        const fj_pickle *inner = fj_pickle_get(root, wrappers[i]);
        if (inner && inner->kind == FJ_PICKLE_DICT && inner != root)
            return inner;
    }
    return root;
}

static fj_status read_file(fj_shard *s, fj_arena *arena, fj_err *err)
{
    fj_pickle_doc doc = { 0 };
    file *f = s->header = fj_arena_take(arena, sizeof *f);
    if (!f)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", s->name);
    *f = (file){ .shard = s, .arena = arena, .err = err };
    bool is_legacy = s->len > 14 && !memcmp(s->data, "\x80\2\x8a\n" MAGIC, 14);
    bool is_zip = s->len > 4 && !memcmp(s->data, "PK\3\4", 4);
    if (!is_legacy && !is_zip)
        return fj_wrong_file(s->name, s->data, s->len, "PyTorch's", err);
    fj_status st = is_zip ? read_zip(f, &doc) : read_legacy(f, &doc);
    if (st)
        return st;
    if (doc.root->kind != FJ_PICKLE_DICT)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: the file holds %s, not a state dict", s->name,
                       fj_pickle_kind_name(doc.root->kind));
    f->state = state_dict(doc.root);
    s->n_most = f->state->n / 2;
    return FJ_OK;
}

static fj_status list(const fj_shard *s, fj_arena *arena, fj_index *index, fj_err *err)
{
    (void)arena;
    file *f = s->header;
    size_t first = index->n;
    fj_status st = FJ_OK;
    for (size_t i = 0; !st && i < f->state->n; i += 2) {
        bool has_type = false;
        const fj_pickle *args = tensor_args(f->state->items[i + 1], &has_type);
        const char *name = args ? text_of(f, f->state->items[i]) : NULL;
        fj_tensor t;
        if (!args) /* a count of steps, say */
            continue;
        if (!name)
            return broken(f, "a tensor whose name is no text");
        st = read_tensor(f, name, args, has_type, &t);
        if (!st && !fj_index_add(index, &t))
            st = fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' is there twice", s->name, name);
    }
    if (!st && index->n == first)
        return broken(f, "no tensors in it, nor in its 'state_dict', 'model_state_dict', 'model' or 'module'");
    return st;
}

const fj_shard_kind fj_shard_torch = {
    .one = "pytorch_model.bin",
    .index = "pytorch_model.bin.index.json",
    .suffix = ".bin",
    .read = read_file,
    .list = list,
};

fj_status fj_torch_open_file(const char *path, fj_json *config, fj_source **out, fj_err *err)
{
    return fj_shards_open_file(&fj_shard_torch, path, config, out, err);
}

fj_status fj_torch_open_bytes(const void *data, size_t len, fj_source **out, fj_err *err)
{
    return fj_shards_open_bytes(&fj_shard_torch, data, len, 0, 1, out, err);
}
