# SPDX-License-Identifier: Apache-2.0
"""Golden cases of src/tokenizers: small tokenizers of each kind, trained on the sentences below, and what the reference libraries make
of the texts below. Run: python tests/oracle/tokenizers.py [KIND...] (needs tokenizers, sentencepiece, tiktoken; versions are stored in the files).
Writes tests/golden/tokenizers/KIND/{tokenizer.json, tokenizer.model or cl100k_base.tiktoken, cases.jsonl}."""
import base64
import io
import json
import pathlib
import sys
import tempfile

sys.path.pop(0)  # this file's own folder: its name is that of the library

import sentencepiece
import tiktoken
import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

OUT = pathlib.Path(__file__).resolve().parent.parent / "golden" / "tokenizers"

CL100K = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")

SENTENCES = [
    "¿Qué tal? Mañana iré a la ciudad de Valparaíso con mi hermana y 12 amigos.",
    "El niño comió pan con mantequilla; después bebió 3 vasos de leche fría.",
    "La respuesta correcta es la segunda, no la primera: piénsalo de nuevo.",
    "En un lugar de la Mancha, de cuyo nombre no quiero acordarme, no ha mucho tiempo que vivía un hidalgo.",
    "the quick brown fox doesn't jump over the lazy dog, it's 1999 or 2024 already",
    "def suma(a, b):\n    return a + b  # suma dos números\n\nprint(suma(10, 20))\n",
    "中文字符 和 日本語 の 文字", "una una una de de de la la que que el el en en y y los los",
]

TEXTS = [
    "", " ", "   ", "\n\n\n", " \t \n ", "Hola", " Hola", "Hola ", "¿Qué tal, niño?", "mañana e\u0301l vio a\u0300\u0301\u0302 ñandúes",
    "EL PERRO DE SAN ROQUE", "don't DON'T it's I'LL 'ſ", "1 12 123 1234567 3.14 ½ ² ١٢٣", "a  b   c    d\u00a0e\u3000f\u2003g",
    "def f(x):\n\treturn x != 3 and y->z\r\n\r\n", "中文字符 和 日本語の文字 한국어", "👍 👨‍👩‍👧‍👦 🇨🇱 ❤️", "ﬁn Å Ω K ß İstanbul ΑΣ",
    "<s> y </s>", "antes<s>después", "hola <|fin|>  chao", "hola<|fin|>\n chao", "un[A]dos [A] tres", " [B] x[B]y  [B]", "▁ ▁▁a <0x0A> Ġ",
    "\x00\x01\x7f\ufeff\u200b\u200d\ufffd\U0001f9ff", "xXyYzZ CamelCaseXML snake_case_2", "....!!!???,,,;;; --- ___ ``` $+<=>^~|", "\u180e\u0085\u2028a",
    "पहला हिन्दी ไทย العربية עברית", "unaunauna dededede lalalala", "e\u0301\u0301\u0301 \u0301a", "Qwerty" * 12,
]

BYTE_DECODER = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def added(t):
    """Tokens with every property that changes where they are found."""
    t.add_special_tokens([AddedToken("<|fin|>", rstrip=True, normalized=False)])
    t.add_tokens([AddedToken("[A]", single_word=True, normalized=False), AddedToken("[B]", lstrip=True, normalized=False),
                  AddedToken("niño", normalized=True)])


def bytes_to_characters():
    """GPT-2's byte alphabet, by byte."""
    plain = set(range(33, 127)) | set(range(161, 173)) | set(range(174, 256))
    others = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(others)) for b in range(256)]


def byte_level(pre, normalizer=None, post=None, ignore_merges=False):
    t = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    t.pre_tokenizer = pre
    if normalizer:
        t.normalizer = normalizer
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(SENTENCES, trainers.BpeTrainer(vocab_size=330, special_tokens=["<s>", "</s>"], show_progress=False,
                                                         initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    added(t)
    if post:
        t.post_processor = post
    return t


def pieces(normalizer, pre, strips=True):
    alphabet = [f"<0x{i:02X}>" for i in range(256)]
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    if normalizer:
        t.normalizer = normalizer
    if pre:
        t.pre_tokenizer = pre
    t.train_from_iterator([s.replace(" ", "▁ ").replace("▁ ", " ▁") if not pre else s for s in SENTENCES[:5]],
                          trainers.BpeTrainer(vocab_size=420, special_tokens=["<unk>", "<s>", "</s>"] + alphabet, show_progress=False))
    spec = json.loads(t.to_str())
    spec["added_tokens"] = [a for a in spec["added_tokens"] if not a["content"].startswith("<0x")]
    t = Tokenizer.from_str(json.dumps(spec))
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    t.decoder = decoders.Sequence(steps + ([decoders.Strip(" ", 1, 0)] if strips else []))
    added(t)
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return t


def odd_parts():
    """Parts that no large model uses together."""
    t = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>", continuing_subword_prefix="@"))
    t.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase(),
                                         normalizers.Replace(Regex("[aeiou]{2}"), "ä"), normalizers.Strip()])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("merged_with_next"),
                                               pre_tokenizers.Split(Regex("[xyz]+"), "merged_with_previous"),
                                               pre_tokenizers.Digits(individual_digits=False)])
    t.decoder = decoders.BPEDecoder(suffix="</w>")
    t.train_from_iterator(SENTENCES, trainers.BpeTrainer(vocab_size=300, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False,
                                                         end_of_word_suffix="</w>", continuing_subword_prefix="@"))
    added(t)
    t.post_processor = processors.BertProcessing(("</s>", 2), ("<s>", 1))
    return t


def word_piece(lowercase, strip_accents):
    t = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=40))
    t.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=strip_accents)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    t.train_from_iterator(SENTENCES, trainers.WordPieceTrainer(vocab_size=260, special_tokens=["[PAD]", "[UNK]", "<s>", "</s>"],
                                                               show_progress=False))
    added(t)
    t.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> $B </s>",
                                                     special_tokens=[("<s>", 2), ("</s>", 3)])
    return t


def unigram(byte_fallback, rules):
    """SentencePiece trains it, with its own map of characters."""
    model = io.BytesIO()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as tsv:
        tsv.write("".join(" ".join(f"{ord(c):X}" for c in a) + "\t" + " ".join(f"{ord(c):X}" for c in b) + "\n" for a, b in rules))
        tsv.flush()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(SENTENCES[:6]), model_writer=model, model_type="unigram", vocab_size=360 if byte_fallback else 110,
            byte_fallback=byte_fallback, normalization_rule_tsv=tsv.name, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2)
    p = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    vocab = [(p.id_to_piece(i), p.get_score(i)) for i in range(p.get_piece_size())]
    t = Tokenizer(models.Unigram(vocab, 2, byte_fallback))
    charsmap = sentencepiece_model(model.getvalue())
    t.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap), normalizers.Replace(Regex(" {2,}"), " ")])
    t.pre_tokenizer = pre_tokenizers.Metaspace("▁", "always", True)
    t.decoder = decoders.Metaspace("▁", "always", True)
    t.add_special_tokens(["<pad>", "</s>", "<unk>"])
    added(t)
    t.post_processor = processors.TemplateProcessing(single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)])
    return t


def sentencepiece_model(data):
    """normalizer_spec.precompiled_charsmap of the protocol buffer: field 3, in it field 2."""
    def fields(b):
        at = 0
        def varint():
            nonlocal at
            value = shift = 0
            while True:
                byte = b[at]
                at += 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    return value
        while at < len(b):
            key = varint()
            if key & 7 == 2:
                n = varint()
                yield key >> 3, b[at:at + n]
                at += n
            elif key & 7 == 0:
                varint()
            else:
                at += 4 if key & 7 == 5 else 8
    spec = next(v for k, v in fields(data) if k == 3)
    return next(v for k, v in fields(spec) if k == 2)


RULES = [("\ufb01", "fi"), ("\u00bd", "1/2"), ("\u212b", "\u00c5"), ("A", "a"), ("e\u0301", "\u00e9"), ("\u200b", " "), ("\n", " "), ("\t", " "),
         ("\u3000", " "), ("\u212a", "K"), ("\U0001f44d", "ok"), ("\u00df", "ss"), ("\u0301", "")]


def kinds():
    split = pre_tokenizers.Split(Regex(LLAMA3), "isolated")
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    words = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bos = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 0)])
    yield "gpt2", byte_level(words)
    yield "prefix-space", byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True),
                                     post=processors.RobertaProcessing(("</s>", 1), ("<s>", 0), add_prefix_space=True))
    yield "llama3", byte_level(pre_tokenizers.Sequence([split, plain]), post=processors.Sequence([processors.ByteLevel(), bos]),
                               ignore_merges=True)
    yield "command-r", byte_level(pre_tokenizers.Sequence([pre_tokenizers.Digits(True), words]), normalizers.NFC(), bos)
    yield "falcon", byte_level(pre_tokenizers.Sequence([pre_tokenizers.Punctuation("contiguous"), words, pre_tokenizers.Digits(False),
                                                        pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated")]))
    yield "bloom", byte_level(pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r" ?[^(\s|[.,!?…。，、।۔،])]+"), "isolated"), plain]))
    prepend = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    yield "llama2", pieces(prepend, None)
    yield "metaspace", pieces(None, pre_tokenizers.Metaspace("▁", "first", False))
    yield "gemma", pieces(normalizers.Replace(" ", "▁"), pre_tokenizers.Split(" ", "merged_with_previous"), strips=False)
    yield "odd-parts", odd_parts()
    yield "bert-cased", word_piece(False, None)
    yield "bert-uncased", word_piece(True, None)
    yield "unigram", unigram(False, RULES)
    yield "unigram-bytes", unigram(True, RULES)


def write(folder, rows, versions):
    lines = [json.dumps({"made_with": versions})] + [json.dumps(r) for r in rows]
    (folder / "cases.jsonl").write_text("\n".join(lines) + "\n")


def cases(t):
    for text in TEXTS:
        e = t.encode(text)
        yield {"text": text, "ids": e.ids, "offsets": e.offsets, "plain": t.encode(text, add_special_tokens=False).ids,
               "decoded": t.decode(e.ids, skip_special_tokens=False), "shown": t.decode(e.ids)}
    for i in range(0, t.get_vocab_size(), 23):  # ids that end inside characters
        ids = [(i * 7 + k * k) % t.get_vocab_size() for k in range(6)]
        yield {"ids": ids, "decoded": t.decode(ids, skip_special_tokens=False), "shown": t.decode(ids)}


def tiktoken_ranks():
    """A small file of ranks, in another order than that of the ranks, and what tiktoken makes of it with Phi-3-small's specials."""
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(CL100K), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)])
    t.train_from_iterator(SENTENCES, trainers.BpeTrainer(vocab_size=420, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    spelled = {c: b for b, c in enumerate(bytes_to_characters())}
    tokens = [bytes(spelled[c] for c in token) for token, _ in sorted(t.get_vocab().items(), key=lambda x: x[1])]
    ranks = {token: rank for rank, token in enumerate(tokens)}
    specials = {"<|endoftext|>": 100257, "<|system|>": 100261, "<|user|>": 100262, "<|assistant|>": 100263, "<|end|>": 100266}
    e = tiktoken.Encoding("small", pat_str=CL100K, mergeable_ranks=ranks, special_tokens=specials)
    folder = OUT / "tiktoken"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cl100k_base.tiktoken").write_bytes(b"".join(base64.b64encode(x) + b" %d\n" % ranks[x] for x in reversed(tokens)))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "Phi3SmallTokenizer"}\n')
    rows = []
    for text in [s for s in TEXTS if s] + ["<|user|>\nHola<|end|>\n<|assistant|>"]:
        ids = e.encode(text, allowed_special="all")
        shown = e.decode([i for i in ids if i < 100256])
        rows.append({"text": text, "ids": ids, "plain": ids, "decoded": e.decode(ids), "shown": shown})
    write(folder, rows, f"tiktoken {tiktoken.__version__}")


def main():
    if not sys.argv[1:] or "tiktoken" in sys.argv[1:]:
        tiktoken_ranks()
    for name, t in kinds():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        folder = OUT / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokenizer.json").write_text(json.dumps(json.loads(t.to_str()), separators=(",", ":")))
        write(folder, cases(Tokenizer.from_file(str(folder / "tokenizer.json"))), f"tokenizers {tokenizers.__version__}")
    for name, options in (("spm", {}), ("spm-trim", {"remove_extra_whitespaces": True, "add_dummy_prefix": False}),
                          ("spm-nfkc-like", {"rules": RULES}), ("spm-unigram", {"model_type": "unigram", "byte_fallback": False, "vocab_size": 100}),
                          ("spm-unigram-bytes", {"model_type": "unigram", "vocab_size": 350, "rules": RULES,
                                                 "remove_extra_whitespaces": True})):
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        folder, model = OUT / name, io.BytesIO()
        folder.mkdir(parents=True, exist_ok=True)
        tsv = tempfile.NamedTemporaryFile("w", suffix=".tsv")
        options = dict(options)
        for a, b in options.pop("rules", []):
            tsv.write(" ".join(f"{ord(c):X}" for c in a) + "\t" + " ".join(f"{ord(c):X}" for c in b) + "\n")
        tsv.flush()
        options |= {"normalization_rule_tsv": tsv.name} if tsv.tell() else {"normalization_rule_name": "identity"}
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(SENTENCES[:5]), model_writer=model,
                                                 user_defined_symbols=["<|u|>", "▁▁"],
                                                 **{"model_type": "bpe", "vocab_size": 380, "byte_fallback": True,
                                                    "remove_extra_whitespaces": False, "minloglevel": 2, **options})
        (folder / "tokenizer.model").write_bytes(model.getvalue())
        p = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
        # control pieces are text to sentencepiece and tokens to forja: texts with them are left out
        rows = [{"text": s, "plain": p.encode(s)} for s in TEXTS + ["a<|u|>b <|u|>"] if "<s>" not in s and "</s>" not in s and "\0" not in s]
        write(folder, rows, f"sentencepiece {sentencepiece.__version__}")


if __name__ == "__main__":
    main()
