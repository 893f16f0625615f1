/* SPDX-License-Identifier: Apache-2.0
 * The pre-tokenizers that GGUF names (tokenizer.ggml.pre), as regular expressions that cut one after the other, each isolating its
 * matches. Source: llama.cpp, llama-vocab.cpp (facts; the expressions are those of the models' tokenizer.json). */
#include "tokenizers/gguf.h"

#define WORDS "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define SHORT "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define LINES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define LLAMA3(digits) SHORT "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" LINES
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(behind) \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" behind "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" behind
#define CASED_END "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" LINES
#define BLOOM " ?[^(\\s|.,!?…。，、।۔،)]+"
#define GPT4O CASED(SHORT "?") "|\\p{N}{1,3}" CASED_END
#define HAN_OLD "[一-龥ࠀ-一가-퟿]+"
#define DEEPSEEK3 \
    { "\\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", \
      "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+" \
      "[\\r\\n]*|" LINES }

/* clang-format off */
const fj_gguf_pre fj_gguf_pres[] = {
    { "bloom",           { BLOOM }, .is_written = true },
    { "chatglm-bpe",     { LLAMA3("\\p{N}{1,3}") } },
    { "codeshell",       { "\\p{N}", WORDS } },
    { "command-r",       { "\\p{N}", WORDS } },
    { "dbrx",            { LLAMA3("\\p{N}{1,3}") }, .is_written = true },
    { "deepseek-coder",  { "[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", HAN_OLD, "\\p{N}" }, .is_written = true },
    { "deepseek-llm",    { "[\\r\\n]",
                           "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛ"
                           "ὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ"
                           "𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+",
                           "\\s?[!-/:-~！-／：-～‘-‟　-。]+", "\\s+$", HAN_OLD, "\\p{N}+" }, .is_written = true },
    { "deepseek-r1-qwen", { LLAMA3("\\p{N}") } },
    { "deepseek-v3",     DEEPSEEK3, .is_written = true },
    { "default",         { "[\\p{P}\\$\\+<=>\\^~\\|]+", WORDS, "\\p{N}+", "[0-9][0-9][0-9]" }, .is_written = true },
    { "exaone",          { "\\p{N}", WORDS } },
    { "exaone4",         { WORDS } },
    { "falcon",          { "[\\p{P}\\$\\+<=>\\^~\\|`]+", WORDS, "[0-9][0-9][0-9]" }, .is_written = true },
    { "falcon-h1",       { LLAMA3("\\p{N}{1,3}") }, .ignores_merges = true, .adds_bos = true },
    { "falcon3",         { LLAMA3("\\p{N}{1,3}") }, .ignores_merges = true, .adds_bos = true },
    { "gigachat",        { WORDS } },
    { "glm4",            { LLAMA3("\\p{N}{1,3}") }, .ignores_merges = true },
    { "gpt-2",           { WORDS }, .is_written = true },
    { "gpt-4o",          { GPT4O }, .is_written = true },
    { "gpt3-finnish",    { BLOOM } },
    { "granite-docling", { WORDS } },
    { "grok-2",          { LLAMA3("\\p{N}") } },
    { "hunyuan",         { LLAMA3("\\p{N}") } },
    { "hunyuan-dense",   DEEPSEEK3 },
    { "jais",            { WORDS } },
    { "jina-de",         { WORDS } },
    { "jina-es",         { WORDS } },
    { "jina-v1-en",      { WORDS } },
    { "jina-v2-code",    { WORDS } },
    { "jina-v2-de",      { WORDS } },
    { "jina-v2-es",      { WORDS } },
    { "lfm2",            { LLAMA3("\\p{N}{1,3}") }, .ignores_merges = true, .adds_bos = true },
    { "llama-bpe",       { LLAMA3("\\p{N}{1,3}") }, .ignores_merges = true, .adds_bos = true, .is_written = true },
    { "llama-v3",        { LLAMA3("\\p{N}{1,3}") }, .ignores_merges = true, .adds_bos = true },
    { "llama3",          { LLAMA3("\\p{N}{1,3}") }, .ignores_merges = true, .adds_bos = true },
    { "llama4",          { GPT4O } },
    { "megrez",          { LLAMA3("\\p{N}") } },
    { "mellum",          { WORDS } },
    { "minerva-7b",      { "\\p{N}", WORDS } },
    { "modern-bert",     { WORDS } },
    { "mpt",             { WORDS } },
    { "olmo",            { WORDS } },
    { "phi-2",           { WORDS } },
    { "pixtral",         { LLAMA3("\\p{N}{1,3}") }, .ignores_merges = true, .adds_bos = true },
    { "poro-chat",       { BLOOM } },
    { "qwen2",           { LLAMA3("\\p{N}") }, .is_written = true },
    { "refact",          { "\\p{N}", WORDS } },
    { "roberta-bpe",     { WORDS } },
    { "seed-coder",      { SHORT "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" LINES }, .is_written = true },
    { "smaug-bpe",       { LLAMA3("\\p{N}{1,3}") } },
    { "smollm",          { "\\p{N}", WORDS }, .is_written = true },
    { "stablelm2",       { LLAMA3("\\p{N}") } },
    { "starcoder",       { "\\p{N}", WORDS } },
    { "tekken",          { CASED("") "|\\p{N}" CASED_END }, .ignores_merges = true, .adds_bos = true, .is_written = true },
    { "trillion",        { WORDS } },
    { "viking",          { BLOOM, "\\p{N}" }, .is_written = true },
    { NULL },
};
