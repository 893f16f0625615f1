/* SPDX-License-Identifier: Apache-2.0
 * Counters, cutting, splitting, hashing. */

#include <stdlib.h>

#include "data/test_data.h"

static fj_dataset *load(const fj_data_config *c)
{
    fj_err err = { 0 };
    fj_dataset *d = NULL;
    CHECK_OK(fj_dataset_load(c, &d, &err));
    return d;
}

/* read = kept + long_dropped + untrained_dropped - (split_pieces - split_rows) */
static void check_sum(const fj_dataset *d)
{
    const fj_data_counts *c = &d->counts;
    int64_t tokens = 0, targets = 0;
    assert_int_equal(c->read, c->kept + c->long_dropped + c->untrained_dropped - (c->split_pieces - c->split_rows));
    assert_int_equal(c->kept, d->n_rows + d->n_eval);
    for (int64_t i = 0; i < d->n_rows + d->n_eval; i++) {
        const fj_row *row = i < d->n_rows ? &d->rows[i] : &d->eval[i - d->n_rows];
        tokens += row->n;
        targets += row->n_targets;
    }
    assert_int_equal(c->tokens, tokens);
    assert_int_equal(c->targets, targets);
}

TEST(long_rows_are_refused_with_their_number_and_the_way_out)
{
    fj_tokenizer *t = test_tokenizer("</s>");
    fj_data_config c = test_config(t, "tokens.jsonl");
    c.cutoff_len = 3;
    test_refuses(&c, FJ_ERR_DATA,
                 "2 of 4 rows are longer than cutoff_len 3; the longest has 10 tokens (…/tokens.jsonl: row 4)",
                 "cutoff_len: 10 takes them all; on_long_rows: drop leaves them out, on_long_rows: cut shortens them");
    c.on_long_rows = "chop";
    test_refuses(&c, FJ_ERR_USAGE, "on_long_rows is 'chop', expected refuse, drop or cut", NULL);
    c.on_long_rows = "refuse";
    c.cutoff_len = 10;
    fj_dataset_free(load(&c));
    fj_tokenizer_free(t);
}

TEST(long_rows_are_dropped_and_counted)
{
    fj_tokenizer *t = test_tokenizer("</s>");
    fj_data_config c = test_config(t, "tokens.jsonl");
    c.cutoff_len = 3;
    c.on_long_rows = "drop";
    fj_dataset *d = load(&c);
    assert_int_equal(d->n_rows, 1);
    assert_int_equal(d->counts.read, 4);
    assert_int_equal(d->counts.long_rows, 2);
    assert_int_equal(d->counts.long_dropped, 2);
    assert_int_equal(d->counts.long_cut, 0);
    assert_int_equal(d->counts.untrained_dropped, 1);
    assert_int_equal(d->counts.longest, 10);
    assert_int_equal(d->counts.longest_row, 4);
    check_sum(d);
    CHECK(strstr(d->notes, "dropped 2 rows longer than 3 tokens\n"));
    CHECK(strstr(d->notes, "left out 1 rows without any trained token (the first: row 2)\n"));
    CHECK(strstr(d->notes, "1 rows, 2 tokens, 1 of them trained (50.0 %), longest row 10 tokens\n"));
    fj_dataset_free(d);
    c.cutoff_len = 1;
    test_refuses(&c, FJ_ERR_DATA, "none of the 4 rows of 'tokens.jsonl' is left to train on",
                 "4 were too long, 0 had nothing to train");
    fj_tokenizer_free(t);
}

TEST(long_rows_are_cut_by_turns_and_counted)
{
    fj_tokenizer *t = test_tokenizer("</s>");
    fj_data_config c = test_config(t, "tokens.jsonl");
    static const int32_t ids[] = { 1, 2, 3, 7, 8 }, labels[] = { -100, -100, -100, 7, 8 };
    c.cutoff_len = 5; /* source 6 and target 4 share 5 in that proportion: 3 and 2 */
    c.on_long_rows = "cut";
    fj_dataset *d = load(&c);
    assert_int_equal(d->n_rows, 3);
    assert_int_equal(d->counts.long_rows, 1);
    assert_int_equal(d->counts.long_cut, 1);
    assert_int_equal(d->counts.cut_tokens, 5);
    assert_int_equal(d->rows[2].n, 5);
    assert_memory_equal(d->rows[2].ids, ids, sizeof ids);
    assert_memory_equal(d->rows[2].labels, labels, sizeof labels);
    check_sum(d);
    CHECK(strstr(d->notes, "cut 1 rows to 5 tokens, 5 tokens lost\n"));
    fj_dataset_free(d);
    fj_tokenizer_free(t);
}

/* Turns are written as two digits each: tokens of the source, of the answer. */
static void check_cut(const char *turns, int64_t cutoff, bool from_last, const char *wanted)
{
    fj_tokens t = { 0 };
    char got[64] = "";
    int32_t id = 0;
    for (size_t i = 0; turns[i]; i++)
        for (int k = turns[i] - '0'; k > 0; k--, id++)
            CHECK(fj_tokens_add(&t, id, i % 2 ? id : FJ_LABEL_NONE, 0));
    fj_tokens_cut(&t, cutoff, from_last);
    CHECK(t.n <= cutoff);
    for (int64_t i = 0; i < t.n; i++) {
        CHECK(t.labels[i] == FJ_LABEL_NONE || t.labels[i] == t.ids[i]);
        got[i] = (char)((t.labels[i] == FJ_LABEL_NONE ? 'a' : 'A') + t.ids[i]);
    }
    CHECK_TEXT(got, wanted);
    fj_tokens_free(&t);
}

TEST(cutting_shares_what_is_left_turn_by_turn)
{
    check_cut("22", 3, false, "abC");  /* 3 * 2 / 4 = 1 of the answer, rounded down, and what is left of the source */
    check_cut("71", 4, false, "abcH"); /* a short answer is kept whole */
    check_cut("17", 4, false, "aBCD"); /* a short source is kept whole */
    check_cut("2222", 6, false, "abCDeG"); /* the second turn has two tokens left */
    check_cut("2222", 4, false, "abCD");   /* and here none */
    check_cut("2222", 6, true, "aCefGH");  /* from the last turn on */
    check_cut("2222", 4, true, "efGH");
    check_cut("22221", 8, false, "abCDefGH"); /* what follows the last answer goes first */
    check_cut("22221", 8, true, "abCDefGH");
    check_cut("9", 4, false, "");
    check_cut("9", 4, true, "");
    check_cut("04", 3, true, "ABC");
}

TEST(long_texts_of_stage_pt_are_split_and_nothing_is_lost)
{
    fj_tokenizer *t = test_tokenizer("</s>");
    fj_data_config c = test_config(t, "text.jsonl");
    c.stage = "pt";
    c.cutoff_len = 6; /* "hello", " t", "he", "r", "e", </s>: just fits; ten digits and </s>: two pieces */
    fj_dataset *d = load(&c);
    char *shown = test_show(d->rows, d->n_rows, t);
    CHECK_TEXT(shown, "⟦hello there</s>⟧\n⟦012345⟧\n⟦6789</s>⟧\n");
    assert_int_equal(d->counts.split_rows, 1);
    assert_int_equal(d->counts.split_pieces, 2);
    assert_int_equal(d->counts.long_rows, 0);
    check_sum(d);
    CHECK(strstr(d->notes, "split 1 texts longer than 6 tokens into 2 rows\n"));
    free(shown);
    fj_dataset_free(d);
    c.on_long_rows = "drop";
    d = load(&c);
    assert_int_equal(d->n_rows, 1);
    assert_int_equal(d->counts.long_dropped, 1);
    check_sum(d);
    fj_dataset_free(d);
    fj_tokenizer_free(t);
}

TEST(a_piece_of_one_token_teaches_nothing_and_is_left_out)
{
    fj_tokenizer *t = test_tokenizer("</s>");
    fj_data_config c = test_config(t, "text.jsonl");
    c.stage = "pt";
    c.cutoff_len = 10; /* ten digits, then </s> alone */
    fj_dataset *d = load(&c);
    assert_int_equal(d->n_rows, 2);
    assert_int_equal(d->counts.split_pieces, 2);
    assert_int_equal(d->counts.untrained_dropped, 1);
    check_sum(d);
    fj_dataset_free(d);
    fj_tokenizer_free(t);
}

TEST(max_samples_takes_the_first_rows_of_each_set)
{
    fj_tokenizer *t = test_tokenizer("<|im_end|>");
    fj_data_config c = test_config(t, "sharegpt.jsonl,alpaca.json");
    c.max_samples = 1;
    fj_dataset *d = load(&c);
    assert_int_equal(d->counts.read, 2);
    assert_int_equal(d->n_rows, 2);
    assert_int_equal(d->rows[1].number, 1);
    fj_dataset_free(d);
    fj_tokenizer_free(t);
}

/* n tokenized rows in a file. */
static const char *many_rows(int n)
{
    fj_str text = { 0 };
    for (int i = 0; i < n; i++)
        fj_str_printf(&text, "{\"input_ids\":[%d,%d],\"labels\":[-100,%d]}\n", i, i, i);
    const char *path = test_write_rows("many.jsonl", text.data);
    fj_str_free(&text);
    return path;
}

TEST(val_size_sets_rows_apart_by_share_or_number)
{
    fj_data_config c = { .dataset = many_rows(20), .n_vocab = 100, .val_size = 0.12, .seed = 7 };
    fj_dataset *d = load(&c);
    bool seen[20] = { false };
    assert_int_equal(d->n_eval, 3); /* 2.4 rounded up, as train_test_split of sklearn does */
    assert_int_equal(d->n_rows, 17);
    check_sum(d);
    CHECK(strstr(d->notes, "17 rows to train on, 3 to evaluate\n"));
    for (int64_t i = 0; i < 20; i++) {
        const fj_row *row = i < 17 ? &d->rows[i] : &d->eval[i - 17];
        CHECK(!seen[row->ids[0]]);
        seen[row->ids[0]] = true;
        if (i != 0 && i != 17)
            CHECK(row->number > row[-1].number); /* each part in file order */
    }
    fj_dataset *again = load(&c);
    CHECK_TEXT(again->hash, d->hash);
    fj_dataset_free(again);
    c.seed = 8;
    again = load(&c);
    CHECK(strcmp(again->hash, d->hash) != 0);
    fj_dataset_free(again);
    fj_dataset_free(d);
    c.val_size = 5;
    d = load(&c);
    assert_int_equal(d->n_eval, 5);
    fj_dataset_free(d);
}

TEST(a_val_size_without_meaning_is_refused)
{
    fj_data_config c = { .dataset = many_rows(20), .n_vocab = 100, .val_size = 20 };
    test_refuses(&c, FJ_ERR_DATA, "val_size 20 takes all 20 rows, none is left to train on", NULL);
    c.val_size = 2.5;
    test_refuses(&c, FJ_ERR_USAGE, "val_size 2.5 is neither a share below 1 nor a number of rows", NULL);
    c.val_size = -0.1;
    test_refuses(&c, FJ_ERR_USAGE, "val_size -0.1 is neither a share below 1 nor a number of rows", NULL);
}

TEST(the_hash_follows_ids_labels_order_and_split_alone)
{
    fj_tokenizer *t = test_tokenizer("<|im_end|>");
    fj_data_config c = test_config(t, "named,tagged");
    fj_dataset *a = load(&c);
    assert_int_equal(strlen(a->hash), 64);
    c.dataset = "tagged,named";
    fj_dataset *b = load(&c);
    CHECK(strcmp(a->hash, b->hash) != 0); /* order */
    fj_dataset_free(b);
    c.dataset = "named,tagged";
    c.train_on_prompt = true;
    b = load(&c);
    CHECK(strcmp(a->hash, b->hash) != 0); /* labels */
    fj_dataset_free(b);
    c.train_on_prompt = false;
    c.val_size = 1;
    b = load(&c);
    CHECK(strcmp(a->hash, b->hash) != 0); /* split */
    fj_dataset_free(b);
    c.val_size = 0;
    c.cutoff_len = 1000;
    c.seed = 9;
    b = load(&c);
    CHECK_TEXT(a->hash, b->hash);
    fj_dataset_free(b);
    fj_dataset_free(a);
    fj_tokenizer_free(t);
}

TEST(rows_without_a_tokenizer_must_be_tokenized)
{
    fj_data_config c = test_config(NULL, "alpaca.json");
    test_refuses(&c, FJ_ERR_DATA, "…/alpaca.json: row 1: a conversation, but the model has no tokenizer",
                 "without tokenizer files only rows of input_ids and labels can be used");
    c.dataset = "text.jsonl";
    c.stage = "pt";
    test_refuses(&c, FJ_ERR_DATA, "…/text.jsonl: row 1: a text, but the model has no tokenizer",
                 "without tokenizer files only rows of input_ids and labels can be used");
    c.stage = "dpo";
    test_refuses(&c, FJ_ERR_USAGE, "stage 'dpo' has no data of this kind, expected sft or pt", NULL);
}
