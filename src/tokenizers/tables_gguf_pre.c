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
#define HAN_OLD "[\\x{4E00}-\\x{9FA5}\\x{800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+"
#define DEEPSEEK3 \
    { "\\p{N}{1,3}", "[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+", \
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
                           "\\s?[A-Za-z\\x{B5}\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{1BA}\\x{1BC}-\\x{1BF}\\x{1C4}-\\x{293}"
                           "\\x{295}-\\x{2AF}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37B}-\\x{37D}\\x{37F}\\x{386}\\x{388}-\\x{38A}"
                           "\\x{38C}\\x{38E}-\\x{3A1}\\x{3A3}-\\x{3F5}\\x{3F7}-\\x{481}\\x{48A}-\\x{52F}\\x{531}-\\x{556}"
                           "\\x{10A0}-\\x{10C5}\\x{13A0}-\\x{13F5}\\x{13F8}-\\x{13FD}\\x{1C90}-\\x{1CBA}\\x{1CBD}-\\x{1CBF}"
                           "\\x{1D00}-\\x{1D2B}\\x{1D6B}-\\x{1D77}\\x{1D79}-\\x{1D9A}\\x{1E00}-\\x{1F15}\\x{1F18}-\\x{1F1D}"
                           "\\x{1F20}-\\x{1F45}\\x{1F48}-\\x{1F4D}\\x{1F50}-\\x{1F57}\\x{1F59}\\x{1F5B}\\x{1F5D}\\x{1F5F}-"
                           "\\x{1F7D}\\x{1F80}-\\x{1FB4}\\x{1FB6}-\\x{1FBC}\\x{1FBE}\\x{1FC2}-\\x{1FC4}\\x{1FC6}-\\x{1FCC}"
                           "\\x{1FD0}-\\x{1FD3}\\x{1FD6}-\\x{1FDB}\\x{1FE0}-\\x{1FEC}\\x{1FF2}-\\x{1FF4}\\x{1FF6}-\\x{1FFC}"
                           "\\x{2102}\\x{2107}\\x{210A}-\\x{2113}\\x{2115}\\x{2119}-\\x{211D}\\x{2124}\\x{2126}\\x{2128}"
                           "\\x{212A}-\\x{212D}\\x{212F}-\\x{2134}\\x{2139}\\x{213C}-\\x{213F}\\x{2145}-\\x{2149}\\x{214E}"
                           "\\x{2183}\\x{2184}\\x{2C00}-\\x{2C7B}\\x{2C7E}-\\x{2CE4}\\x{2CEB}-\\x{2CEE}\\x{2CF2}\\x{2CF3}"
                           "\\x{A640}-\\x{A66D}\\x{A680}-\\x{A69B}\\x{A722}-\\x{A76F}\\x{A771}-\\x{A787}\\x{A78B}-\\x{A78E}"
                           "\\x{AB70}-\\x{ABBF}\\x{FB00}-\\x{FB06}\\x{FB13}-\\x{FB17}\\x{FF21}-\\x{FF3A}\\x{FF41}-\\x{FF5A}"
                           "\\x{10400}-\\x{1044F}\\x{104B0}-\\x{104D3}\\x{104D8}-\\x{104FB}\\x{10C80}-\\x{10CB2}\\x{10CC0}-"
                           "\\x{10CF2}\\x{118A0}-\\x{118DF}\\x{1E900}-\\x{1E943}]+",
                           "\\s?[!-/:-~\\x{FF01}-\\x{FF0F}\\x{FF1A}-\\x{FF5E}\\x{2018}-\\x{201F}\\x{3000}-\\x{3002}]+", "\\s+$", HAN_OLD, "\\p{N}+" }, .is_written = true },
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
