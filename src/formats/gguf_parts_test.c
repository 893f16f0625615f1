/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <unistd.h>

#include "base/map.h"
#include "formats/formats.h"
#include "formats/test_files.h"

#define SAME "all parts of one model, called NAME-00001-of-00003.gguf, lie in one folder; get them again"

TEST(gguf_parts_are_told_by_their_names)
{
    int part;
    CHECK(fj_gguf_parts("m-00001-of-00003.gguf", &part) == 3 && part == 1);
    CHECK(fj_gguf_parts("a/m-00012-of-00012.gguf", &part) == 12 && part == 12);
    static const char *const others[] = { "m-00004-of-00003.gguf",
                                          "m-00000-of-00003.gguf",
                                          "m-0x001-of-00003.gguf",
                                          "-00001-of-00003.gguf",
                                          "m-00001-of-00001.gguf",
                                          "m-00001-of-00003.bin",
                                          "m-00001_of-00003.gguf",
                                          "m.gguf",
                                          "" };
    for (size_t i = 0; i < FJ_LEN(others); i++)
        CHECK(fj_gguf_parts(others[i], &part) == 1 && part == 1);
    char *name = fj_gguf_part_name("a/m-00012-of-00012.gguf", 3), *same = fj_gguf_part_name("m.gguf", 3);
    CHECK_TEXT(name, "a/m-00003-of-00012.gguf");
    CHECK_TEXT(same, "m.gguf");
    free(name);
    free(same);
}

/* ---- a model cut in three -------------------------------------------------------------------------------------------------------- */

static void write_part(const fj_source *s, int part, size_t first, size_t end)
{
    char name[40];
    fj_err err = { 0 };
    fj_gguf_writer *w = fj_gguf_writer_new();
    fj_tensor *list = calloc(end - first + 1, sizeof *list);
    CHECK(w && list);
    (void)snprintf(name, sizeof name, "cut-%05d-of-00003.gguf", part);
    for (size_t i = 0; part == 1 && i < fj_gguf_count(s); i++)
        fj_gguf_copy(w, fj_gguf_at(s, i));
    fj_gguf_set_u32(w, "split.no", (uint32_t)part - 1);
    fj_gguf_set_u32(w, "split.count", 3);
    fj_gguf_set_i32s(w, "other", (const int32_t[]){ part }, 1);
    fj_gguf_set_u32(w, "split.tensors.count", (uint32_t)s->count(s));
    for (size_t i = first; i < end; i++)
        list[i - first] = *s->at(s, i);
    CHECK_OK(fj_gguf_create(w, test_temporary(name), list, end - first, &err));
    for (size_t i = first; i < end; i++)
        CHECK_OK(fj_gguf_add(w, s->at(s, i)->data, s->at(s, i)->bytes, &err));
    CHECK_OK(fj_gguf_commit(w, &err));
    free(list);
}

static void check_same(const fj_source *whole, const fj_source *cut)
{
    fj_str a = { 0 }, b = { 0 };
    CHECK(cut->count(cut) == whole->count(whole));
    for (size_t i = 0; i < whole->count(whole); i++) {
        const fj_tensor *x = whole->at(whole, i), *y = cut->at(cut, i);
        CHECK_TEXT(y->name, x->name);
        CHECK(cut->find(cut, x->name) == y && x->dtype == y->dtype && fj_shape_equal(&x->shape, &y->shape));
        cut->give_back(cut, y);
        cut->will_need(cut, y);
        CHECK(x->bytes == y->bytes && !memcmp(x->data, y->data, x->bytes));
    }
    CHECK(fj_json_write(whole->config, 0, 9, &a) && fj_json_write(cut->config, 0, 9, &b));
    CHECK_TEXT(b.data, a.data);
    fj_str_free(&a);
    fj_str_free(&b);
}

TEST(gguf_parts_of_a_model_are_read_as_the_model_whichever_is_given)
{
    fj_err err = { 0 };
    fj_source *whole = NULL;
    CHECK_OK(fj_gguf_open(test_golden("gguf/smollm-tied.gguf"), &whole, &err));
    size_t n = whole->count(whole);
    write_part(whole, 1, 0, 0); /* as gguf-split --no-tensor-first-split does */
    write_part(whole, 2, 0, n / 2);
    write_part(whole, 3, n / 2, n);
    static const char *const names[] = { "cut-00001-of-00003.gguf", "cut-00002-of-00003.gguf",
                                         "cut-00003-of-00003.gguf" };
    for (size_t i = 0; i < 3; i++) {
        fj_source *cut = NULL;
        CHECK_OK(fj_gguf_open(test_temporary(names[i]), &cut, &err));
        CHECK_TEXT(cut->path, test_temporary(names[0]));
        CHECK(fj_gguf_number_at(fj_gguf_find(cut, "other"), 0) == 1);
        check_same(whole, cut);
        cut->close(cut);
    }
    whole->close(whole);
}

/* ---- parts that do not fit ------------------------------------------------------------------------------------------------------- */

typedef struct part {
    const char *name, *arch, *tensor; /* arch NULL: it has none */
    uint16_t number, count;
    int32_t n_tensors;
} part;

/* As llama.cpp's programs write it: two numbers of 16 bits, one of 32. */
static void write_small(const part *p)
{
    fj_err err = { 0 };
    fj_str file = { 0 };
    put_gguf(&file, 3, 1, p->arch ? 4 : 3);
    if (p->arch)
        put_key_text(&file, "general.architecture", p->arch);
    put_key(&file, "split.no", FJ_GGUF_U16);
    fj_str_add(&file, &p->number, 2);
    put_key(&file, "split.count", FJ_GGUF_U16);
    fj_str_add(&file, &p->count, 2);
    put_key(&file, "split.tensors.count", FJ_GGUF_I32);
    put_u32(&file, (uint32_t)p->n_tensors);
    put_tensor(&file, p->tensor, (uint64_t[8]){ 8 }, 0, 0);
    pad_to(&file, 32);
    put_zeros(&file, 32);
    CHECK_OK(fj_file_write(test_temporary(p->name), file.data, file.len, &err));
    fj_str_free(&file);
}

#define A "s-00001-of-00002.gguf"
#define B "s-00002-of-00002.gguf"

TEST(gguf_parts_that_do_not_belong_together_are_refused)
{
    static const struct {
        part a, b;
        const char *message, *hint;
    } cases[] = {
        { { A, "toy", "x", 0, 2, 2 }, { B, NULL, "x", 1, 2, 2 }, "'x' is there twice, also in a part before", SAME },
        { { A, "toy", "x", 0, 2, 2 }, { B, "top", "y", 1, 2, 2 }, "part of another model than ", SAME },
        { { A, "toy", "x", 0, 2, 2 }, { B, NULL, "y", 1, 2, 3 }, "part of another model than ", SAME },
        { { A, "toy", "x", 0, 2, 3 }, { B, NULL, "y", 1, 2, 3 }, "2 tensors in its 2 parts, it says 3", SAME },
        { { A, "toy", "x", 0, 2, 2 },
          { B, NULL, "y", 0, 2, 2 },
          "given as part 2 of 2 of a model, it says that it is 1 of 2",
          SAME },
        { { A, "toy", "x", 0, 2, 2 },
          { B, NULL, "y", 1, 3, 2 },
          "given as part 2 of 2 of a model, it says that it is 2 of 3",
          SAME },
        { { A, "toy", "x", 0, 3, 2 },
          { B, NULL, "y", 1, 2, 2 },
          "part of a model in 3 files, its name says 2",
          "give parts the names that they had, NAME-00001-of-00003.gguf, and keep them in one folder" },
        { { A, "toy", "x", 0, 2, 2 },
          { "elsewhere.gguf", NULL, "y", 1, 2, 2 },
          B ": part 2 of 2 of the model is not there",
          "the download is not complete; get all files of the model" },
    };
    for (size_t i = 0; i < FJ_LEN(cases); i++) {
        fj_err err = { 0 };
        fj_source *s = NULL;
        (void)unlink(test_temporary(B));
        write_small(&cases[i].a);
        write_small(&cases[i].b);
        CHECK(fj_gguf_open(test_temporary(A), &s, &err) == FJ_ERR_FORMAT && !s);
        CHECK(strstr(err.message, cases[i].message));
        CHECK_TEXT(err.hint, cases[i].hint);
    }
    static const part alone = { "alone.gguf", "toy", "x", 0, 0, 2 }; /* what gguf-split joined */
    fj_err err = { 0 };
    fj_source *s = NULL;
    write_small(&alone);
    CHECK_OK(fj_gguf_open(test_temporary("alone.gguf"), &s, &err));
    CHECK(s->count(s) == 1);
    s->close(s);
}
