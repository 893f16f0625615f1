/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/test.h"

#include "train/config.h"
#include "train/keys.h"

#define NEEDED "model_name_or_path: m\ndataset: d.jsonl\noutput_dir: out\n"

typedef struct loaded {
    fj_arena *arena;
    fj_train_config c;
    fj_status st;
    fj_err err;
} loaded;

static void load(loaded *l, const char *text, const char *override)
{
    *l = (loaded){ .arena = fj_arena_new() };
    l->st = fj_train_config_parse(text, strlen(text), "run.yaml", &override, override ? 1 : 0, l->arena, NULL, &l->c,
                                  &l->err);
}

static void check_refused(const char *text, const char *override, const char *message, const char *hint)
{
    loaded l;
    load(&l, text, override);
    CHECK(l.st == FJ_ERR_USAGE);
    CHECK_TEXT(l.err.message, message);
    CHECK_TEXT(l.err.hint, hint);
    fj_arena_free(l.arena);
}

TEST(a_training_file_has_llama_factorys_defaults_where_it_says_nothing)
{
    loaded l;
    load(&l, NEEDED, NULL);
    CHECK(l.st == FJ_OK);
    CHECK_TEXT(l.c.stage, "sft");
    CHECK_TEXT(l.c.lr_scheduler_type, "linear");
    CHECK(l.c.lora_rank == 8 && l.c.lora_alpha == 16 && l.c.learning_rate == 1e-4 && l.c.batch_size == 8);
    CHECK(l.c.num_train_epochs == 3 && l.c.max_steps == -1 && l.c.cutoff_len == 2048 && l.c.seed == 42 &&
          l.c.data_seed == 42);
    CHECK(l.c.save_steps == 500 && l.c.eval_steps == 500 && !l.c.template_name && !l.c.resume_from_checkpoint &&
          !l.c.bf16);
    CHECK(l.c.adam_beta2 == 0.999 && l.c.adam_epsilon == 1e-8 && l.c.max_grad_norm == 1 && l.c.max_samples == 0);
    fj_arena_free(l.arena);
}

TEST(a_training_files_values_are_read_in_every_spelling)
{
    loaded l;
    load(&l,
         NEEDED
         "learning_rate: 1e-5\nlora_target:\n  - q_proj\n  - v_proj\nbf16: true\nnum_train_epochs: 2\nlora_rank: 4.0\n"
         "finetuning_type: full\nwarmup_steps: 0.1\nresume_from_checkpoint: false\nquantization_bit:\nuse_galore: "
         "false\n"
         "trust_remote_code: true\nflash_attn: fa2\npissa_iter: 16\n",
         "max_steps=1e2");
    CHECK(l.st == FJ_OK);
    CHECK(l.c.learning_rate == 1e-5 && l.c.bf16 && l.c.num_train_epochs == 2 && l.c.lora_rank == 4 &&
          l.c.max_steps == 100);
    CHECK(l.c.warmup_steps == 0.1 && !l.c.resume_from_checkpoint);
    CHECK_TEXT(l.c.lora_target, "q_proj,v_proj");
    fj_arena_free(l.arena);
    load(&l, "{\"model_name_or_path\": \"m\", \"dataset\": \"d\", \"output_dir\": \"o\", \"seed\": 7}", NULL);
    CHECK(l.st == FJ_OK && l.c.seed == 7 && l.c.data_seed == 7);
    fj_arena_free(l.arena);
}

TEST(a_training_files_mistakes_are_named_with_their_line)
{
    check_refused(NEEDED "learnig_rate: 1\n", NULL, "run.yaml line 4: unknown key 'learnig_rate'",
                  "did you mean learning_rate?");
    check_refused(NEEDED "\nuse_dora: true\n", NULL,
                  "run.yaml line 5: use_dora: true is LLaMA-Factory's, forja does not support it",
                  "use_rslora: true is supported");
    check_refused(NEEDED "quantization_bit: 7\n", NULL, "run.yaml: quantization_bit: 7 is not one of 8, 6, 5, 4, 3, 2",
                  "");
    check_refused(NEEDED "quantization_bit: 4\nfinetuning_type: full\n", NULL,
                  "run.yaml: quantization_bit with finetuning_type: full",
                  "quantized weights are frozen: finetuning_type: lora");
    check_refused(NEEDED "enable_thinking: false\n", NULL,
                  "run.yaml line 4: enable_thinking: false is LLaMA-Factory's, forja does not support it",
                  "leave it out, or set it to its default");
    check_refused(NEEDED "stage: dpo\n", NULL, "run.yaml line 4: stage: 'dpo' is not one of sft|pt", "");
    check_refused(NEEDED "lora_rank: many\n", NULL,
                  "run.yaml line 4: lora_rank: 'many' is not a whole number between 1 and 4096", "");
    check_refused(NEEDED "bf16: maybe\n", NULL, "run.yaml line 4: bf16: 'maybe' is neither true nor false", "");
    check_refused(NEEDED "stage: {a: 1}\n", NULL, "run.yaml line 4: stage: not one value", "");
    check_refused(NEEDED, "optim=lomo", "command line: optim: 'lomo' is not one of adamw_torch|adamw_torch_fused", "");
    check_refused(NEEDED, "learning_rate", "command line: 'learning_rate' is not key=value",
                  "for example learning_rate=1e-4");
    check_refused("dataset: d\noutput_dir: o\n", NULL, "run.yaml: model_name_or_path is missing", "");
    check_refused("model_name_or_path: m\noutput_dir: o\n", NULL, "run.yaml: dataset is missing",
                  "a file of rows, or a name of dataset_info.json; without training, forja run chats");
    check_refused(NEEDED "template: chatnl\n", NULL, "run.yaml: template: 'chatnl' is not known",
                  "did you mean chatml? Or leave it out and the model's own is used");
    check_refused(NEEDED "ray_num_workers: 4\n", NULL,
                  "run.yaml line 4: ray_num_workers: 4 is LLaMA-Factory's, forja does not support it",
                  "forja trains in one process");
    check_refused(NEEDED "stage: pt\nmask_history: true\n", NULL, "run.yaml: mask_history has no meaning in stage: pt",
                  "");
    check_refused(NEEDED "eval_strategy: epoch\n", NULL,
                  "run.yaml: eval_strategy: epoch needs val_size or eval_dataset", "");
    check_refused(NEEDED "pure_bf16: true\n", NULL, "run.yaml: pure_bf16 with finetuning_type: lora",
                  "an adapter is small and learns in 32 bits; bf16: true makes the products 16-bit");
    check_refused("- a\n", NULL, "run.yaml: not a list of keys and values", "");
}

TEST(explain_says_where_each_value_comes_from)
{
    loaded l;
    fj_str text = { 0 };
    load(&l, NEEDED "finetuning_type: full\nweight_decay: 0.1\n", "seed=3");
    CHECK(l.st == FJ_OK);
    fj_train_config_explain(&l.c, &text);
    CHECK(strstr(text.data, "learning_rate                   1e-05                    # default of full;"));
    CHECK(strstr(text.data, "weight_decay                    0.1                      # run.yaml line 5;"));
    CHECK(strstr(text.data, "seed                            3                        # command line;"));
    CHECK(strstr(text.data, "data_seed                       3                        # as seed;"));
    CHECK(strstr(text.data, "cutoff_len                      2048                     # default;"));
    fj_str_free(&text);
    fj_arena_free(l.arena);
}

TEST(two_training_files_that_mean_the_same_are_the_same)
{
    loaded a, b;
    load(&a, NEEDED "learning_rate: 0.0001\nlora_alpha: 16\n", NULL);
    load(&b, "output_dir: out\ndataset: d.jsonl\nmodel_name_or_path: m\n", NULL);
    CHECK(a.st == FJ_OK && b.st == FJ_OK);
    CHECK_TEXT(a.c.canonical, b.c.canonical);
    fj_arena_free(a.arena);
    fj_arena_free(b.arena);
}

TEST(no_training_key_stands_twice)
{
    for (const fj_known_key *k = fj_known_keys; k->name; k++) {
        for (const fj_option *o = fj_train_keys; o->name; o++)
            CHECK(strcmp(k->name, o->name) != 0);
        for (const fj_known_key *other = fj_known_keys; other < k; other++)
            CHECK(strcmp(k->name, other->name) != 0);
    }
    for (const fj_option *o = fj_train_keys; o[1].name; o++)
        CHECK(strcmp(o->name, o[1].name) < 0);
}
