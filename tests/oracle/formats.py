#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Seeds for the fuzzers of file formats: tests/fuzz/corpus/{safetensors,gguf,adapter,config,imatrix,foreign}, a few hundred bytes each.

Usage: formats.py            writes them, from the repository's root; needs nothing but Python
"""
import json
import pathlib
import struct

CORPUS = pathlib.Path("tests/fuzz/corpus")


def safetensors(entries, data, metadata=None):
    header = {"__metadata__": metadata} if metadata else {}
    for name, dtype, shape, first, end in entries:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [first, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(range(data))


def text(s):
    return struct.pack("<Q", len(s)) + s.encode()


U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
FORM = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "?", U64: "Q", I64: "q", F64: "d"}


def value(kind, v):
    if kind == STRING:
        return text(v)
    if kind == ARRAY:
        element, items = v
        return struct.pack("<IQ", element, len(items)) + b"".join(value(element, i) for i in items)
    return struct.pack("<" + FORM[kind], v)


def gguf(metadata, tensors, data, version=3, alignment=32):
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    for key, kind, v in metadata:
        out += text(key) + struct.pack("<I", kind) + value(kind, v)
    for name, dims, kind, offset in tensors:
        out += text(name) + struct.pack("<I", len(dims)) + struct.pack("<%dQ" % len(dims), *dims)
        out += struct.pack("<IQ", kind, offset)
    out += bytes(-len(out) % alignment)
    return out + bytes(i % 256 for i in range(data))


LLAMA = [
    ("general.architecture", STRING, "llama"), ("llama.block_count", U32, 1), ("llama.context_length", U32, 64),
    ("llama.embedding_length", U32, 8), ("llama.feed_forward_length", U32, 16), ("llama.attention.head_count", U32, 2),
    ("llama.attention.head_count_kv", ARRAY, (I32, [1])), ("llama.attention.layer_norm_rms_epsilon", F32, 1e-5),
    ("llama.rope.freq_base", F32, 10000.0), ("llama.rope.dimension_count", U32, 4),
    ("llama.rope.scaling.type", STRING, "linear"), ("llama.rope.scaling.factor", F32, 4.0),
]
VOCABULARY = [
    ("tokenizer.ggml.model", STRING, "gpt2"), ("tokenizer.ggml.pre", STRING, "default"),
    ("tokenizer.ggml.tokens", ARRAY, (STRING, ["a", "b", "ab", "<s>"])),
    ("tokenizer.ggml.token_type", ARRAY, (I32, [1, 1, 1, 3])), ("tokenizer.ggml.merges", ARRAY, (STRING, ["a b"])),
    ("tokenizer.ggml.eos_token_id", U32, 3), ("tokenizer.chat_template", STRING, "{{ messages }}"),
]


def split(number, metadata, name, dims):
    """One of a model's two parts, as llama.cpp's gguf-split writes them."""
    said = [("split.no", U16, number), ("split.count", U16, 2), ("split.tensors.count", I32, 2)]
    return gguf(metadata + said, [(name, dims, 0, 0)], 128)


KINDS = [
    ("u8", U8, 1), ("i8", I8, -1), ("u16", U16, 2), ("i16", I16, -2), ("u32", U32, 3), ("i32", I32, -3), ("f32", F32, 0.5),
    ("bool", BOOL, True), ("u64", U64, 4), ("i64", I64, -4), ("f64", F64, 0.25), ("text", STRING, "ñ"),
    ("doubles", ARRAY, (F64, [1.0, 2.0])), ("general.alignment", U32, 64),
]



def adapter(config, pairs):
    """adapter_config.json behind its length, then the tensors: (module, rank, in, out) each."""
    text, entries, at = json.dumps(config).encode(), [], 0
    for module, rank, n_in, n_out in pairs:
        for half, shape in (("A", [rank, n_in]), ("B", [n_out, rank])):
            end = at + 4 * shape[0] * shape[1]
            entries.append((f"base_model.model.model.layers.0.{module}.lora_{half}.weight", "F32", shape, at, end))
            at = end
    return struct.pack("<H", len(text)) + text + safetensors(entries, at)


LORA = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 2, "lora_alpha": 4, "lora_dropout": 0.1, "bias": "none",
        "target_modules": ["q_proj", "v_proj"], "use_rslora": False, "use_dora": False}
QV = [("self_attn.q_proj", 2, 8, 8), ("self_attn.v_proj", 2, 8, 4)]
CONFIG = {"model_type": "llama", "hidden_size": 48, "intermediate_size": 100, "num_hidden_layers": 2, "num_attention_heads": 6,
          "num_key_value_heads": 2, "vocab_size": 1000, "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 10000.0,
          "hidden_act": "silu", "attention_bias": True, "mlp_bias": False, "tie_word_embeddings": True, "torch_dtype": "bfloat16"}

def foreign(config, tensors):
    """quantization_config behind its length, then the tensors: (name, type, shape, bytes or how many)."""
    text, entries, data, at = json.dumps(config).encode(), [], b"", 0
    for name, dtype, shape, raw in tensors:
        raw = raw if isinstance(raw, bytes) else bytes(i * 7 % 61 for i in range(raw))
        entries.append((name, dtype, shape, at, at + len(raw)))
        data, at = data + raw, at + len(raw)
    return struct.pack("<H", len(text)) + text + safetensors(entries, 0) + data


def bnb(kind, nested, rows=2, cols=64):
    n, blocks = rows * cols, -(-rows * cols // 64)
    state = {"quant_type": kind, "blocksize": 64, "dtype": "float32", "shape": [rows, cols]}
    if nested:
        state |= {"nested_blocksize": 256, "nested_dtype": "float32", "nested_offset": 0.25}
    state = json.dumps(state).encode()
    scales = [("w.absmax", "U8", [blocks], blocks), ("w.nested_absmax", "F32", [1], 4), ("w.nested_quant_map", "F32", [256], 1024)]
    return [("w", "U8", [n // 2, 1], n // 2), ("w.quant_map", "F32", [16], 64),
            ("w.quant_state.bitsandbytes__" + kind, "U8", [len(state)], state)] + (
                scales if nested else [("w.absmax", "F32", [blocks], 4 * blocks)])


def gptq(bits, n_in, n_out, groups, order=None):
    tensors = [("l.qweight", "I32", [n_in * bits // 32, n_out], n_in * bits // 8 * n_out),
               ("l.qzeros", "I32", [groups, n_out * bits // 32], groups * n_out * bits // 8),
               ("l.scales", "F16", [groups, n_out], 2 * groups * n_out)]
    return tensors + ([("l.g_idx", "I32", [n_in], struct.pack("<%di" % n_in, *order))] if order else [])


AWQ = [("l.qweight", "I32", [64, 1], 256), ("l.qzeros", "I32", [2, 1], 8), ("l.scales", "F16", [2, 8], 32)]
FILES = {
    "adapter/plain.bin": adapter(LORA, QV),
    "adapter/patterns.bin": adapter(LORA | {"rank_pattern": {"v_proj": 1}, "alpha_pattern": {"q_proj": 8}, "use_rslora": True},
                                    [QV[0], ("self_attn.v_proj", 1, 8, 4)]),
    "adapter/all.bin": adapter(LORA | {"r": 1, "target_modules": "all-linear"}, [("mlp.down_proj", 1, 12, 8), ("mlp.up_proj", 1, 8, 12)]),
    "config/llama.json": json.dumps(CONFIG).encode(),
    "config/scaled.json": json.dumps(CONFIG | {"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
                                               "high_freq_factor": 4.0, "original_max_position_embeddings": 64}}).encode(),
    "config/window.json": json.dumps(CONFIG | {"model_type": "mistral", "sliding_window": 9, "head_dim": 10, "rope_parameters":
                                               {"rope_type": "linear", "factor": 2.0, "rope_theta": 5000.0}}).encode(),
    "safetensors/one.bin": safetensors([("x", "F32", [2, 3], 0, 24)], 24, {"format": "pt"}),
    "safetensors/types.bin": safetensors(
        [("a", "BF16", [2], 0, 4), ("b", "F16", [], 4, 6), ("c", "BOOL", [1, 1, 3], 6, 9), ("d", "I64", [0], 9, 9)], 9),
    "safetensors/empty.bin": safetensors([], 0),
    "safetensors/overlap.bin": safetensors([("x", "U8", [4], 0, 4), ("y", "U8", [4], 2, 6)], 6),
    "safetensors/cut.bin": safetensors([("x", "F64", [4], 0, 32)], 20),
    "safetensors/escapes.bin": safetensors([("\"\\{\u00f1\ud83d\ude00", "U8", [1], 0, 1)], 1, {"k": "[}\""}),
    "foreign/nf4.bin": foreign({"quant_method": "bitsandbytes"}, bnb("nf4", False)),
    "foreign/nested.bin": foreign({"quant_method": "bitsandbytes"}, bnb("nf4", True)),
    "foreign/fp4.bin": foreign({"load_in_4bit": True}, bnb("fp4", True, 3, 24)),
    "foreign/int8.bin": foreign({"quant_method": "bitsandbytes"}, [("w.weight", "I8", [2, 64], 128), ("w.SCB", "F32", [2], 8)]),
    "foreign/gptq4.bin": foreign({"quant_method": "gptq", "bits": 4, "group_size": 32}, gptq(4, 64, 8, 2)),
    "foreign/order.bin": foreign({"quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": True},
                                 gptq(4, 64, 8, 2, [i % 2 for i in range(64)])),
    "foreign/gptq3.bin": foreign({"quant_method": "gptq", "bits": 3, "group_size": -1, "checkpoint_format": "gptq_v2"}, gptq(3, 32, 32, 1)),
    "foreign/gptq8.bin": foreign({"quant_method": "gptq", "bits": 8, "group_size": 48}, gptq(8, 96, 4, 2)),
    "foreign/awq.bin": foreign({"quant_method": "awq", "bits": 4, "group_size": 32}, AWQ),
    "gguf/llama.bin": gguf(LLAMA, [("token_embd.weight", [8, 4], 0, 0), ("blk.0.attn_q.bias", [8], 0, 128)], 160),
    "gguf/vocabulary.bin": gguf(LLAMA[:1] + VOCABULARY, [], 0),
    "gguf/kinds.bin": gguf(KINDS, [("q", [32, 1, 1, 2], 8, 0), ("k", [256], 12, 128)], 272, 2, 64),
    "gguf/retired.bin": gguf([], [("w", [32], 4, 0)], 32),
    "gguf/nested.bin": gguf([("x", ARRAY, (ARRAY, [(U8, [1])]))], [], 0),
    "gguf/part.bin": gguf([("split.count", U16, 2)], [], 0),
    "gguf/parts.bin": split(0, LLAMA, "token_embd.weight", [8, 4]) + split(1, [], "blk.0.attn_q.bias", [8]),
    "imatrix/newer.bin": gguf([("general.type", STRING, "imatrix"), ("imatrix.datasets", ARRAY, (STRING, ["a", "b"])),
                               ("imatrix.chunk_count", U32, 3), ("imatrix.chunk_size", U32, 512)],
                              [("blk.0.w.in_sum2", [4, 2], 0, 0), ("blk.0.w.counts", [1, 2], 0, 32)], 40),
    "imatrix/older.bin": struct.pack("<ii1sii2f", 1, 1, b"w", 5, 2, 10, 30) + struct.pack("<ii4s", 9, 4, b"text"),
}

if __name__ == "__main__":
    for name, data in FILES.items():
        path = CORPUS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
