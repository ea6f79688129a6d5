"""Makes the goldens of this folder: what `transformers` computes for tiny models of each family.

    python make.py            (torch, transformers, gguf; CPU)

Weights are not kept: each is a formula of its name, `random()` below, which the tests reckon again
(`src/testing/weights.rs`). A golden has the configuration, the tensors' names and shapes, tokens, and the scores of the next token at some
positions; and, for a GGUF file of the same model, the entries and for each tensor which one it is made of. That recipe is proven here: the file is
written with the `gguf` package, read by `transformers`, and must give the same scores.
"""

import json
import os
import sys
import tempfile

import numpy as np
import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

torch.set_num_threads(1)
HERE = os.path.dirname(os.path.abspath(__file__))
VOCABULARY = 96
TOKENS = 80
# Positions whose scores are kept: before, at and after the borders of pages and windows.
KEPT = [0, 1, 5, 19, 20, 21, 31, 32, 33, 47, 63, 64, 65, 78, 79]


def fnv(text):
    h = 0xCBF29CE484222325
    for b in text.encode():
        h = ((h ^ b) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return h


def random(name, shape):
    """Uniform in [-1, 1): splitmix64 of the name's FNV-1a and the index."""
    count = int(np.prod(shape))
    with np.errstate(over="ignore"):
        z = np.uint64(fnv(name)) + (np.arange(count, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    u = (z >> np.uint64(40)).astype(np.float32) / np.float32(1 << 23) - np.float32(1.0)
    return u.reshape(shape)


def weight(name, shape, zero_norms):
    """Matrices keep the size of what they multiply, norms are about 1 (or 0 where the model adds 1), biases small."""
    u = random(name, shape)
    if name.endswith(".bias"):
        return u * np.float32(0.5)
    if len(shape) == 1:
        return u * np.float32(0.3) + np.float32(0.0 if zero_norms else 1.0)
    if "embed" in name:
        return u * np.float32(0.9)
    return u * (np.float32(2.0) / np.sqrt(np.float32(shape[1])))


BASE = dict(
    vocab_size=VOCABULARY, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=256, rms_norm_eps=1e-5, rope_theta=10000.0, hidden_act="silu",
    tie_word_embeddings=False, bos_token_id=1, eos_token_id=2, pad_token_id=0,
)


def family(kind, **changes):
    return kind, {**BASE, **changes}


LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64)
FAMILIES = {
    "llama": family("llama", tie_word_embeddings=True),
    "llama3": family("llama", rope_theta=500000.0, rope_scaling=LLAMA3),
    "mistral": family("mistral", sliding_window=20, head_dim=24),
    "qwen2": family("qwen2", use_sliding_window=False),
    "qwen3": family("qwen3", head_dim=32, attention_bias=False, tie_word_embeddings=True, rms_norm_eps=1e-6),
    "gemma3": family(
        "gemma3_text", head_dim=32, num_hidden_layers=7, num_key_value_heads=1, sliding_window=20, query_pre_attn_scalar=32,
        hidden_activation="gelu_pytorch_tanh", rope_theta=1000000.0, rope_local_base_freq=10000.0, sliding_window_pattern=6,
        tie_word_embeddings=True, rms_norm_eps=1e-6,
    ),
    "phi3": family("phi3", sliding_window=33, partial_rotary_factor=0.75, num_key_value_heads=4, original_max_position_embeddings=256),
}

GGUF_PARTS = {
    "input_layernorm.weight": "attn_norm.weight", "self_attn.q_proj.weight": "attn_q.weight",
    "self_attn.k_proj.weight": "attn_k.weight", "self_attn.v_proj.weight": "attn_v.weight",
    "self_attn.q_proj.bias": "attn_q.bias", "self_attn.k_proj.bias": "attn_k.bias", "self_attn.v_proj.bias": "attn_v.bias",
    "self_attn.q_norm.weight": "attn_q_norm.weight", "self_attn.k_norm.weight": "attn_k_norm.weight",
    "self_attn.o_proj.weight": "attn_output.weight", "self_attn.qkv_proj.weight": "attn_qkv.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight", "mlp.gate_proj.weight": "ffn_gate.weight",
    "mlp.up_proj.weight": "ffn_up.weight", "mlp.gate_up_proj.weight": "ffn_up.weight", "mlp.down_proj.weight": "ffn_down.weight",
    # Gemma's layers have four norms.
    "pre_feedforward_layernorm.weight": "ffn_norm.weight", "post_feedforward_layernorm.weight": "post_ffw_norm.weight",
}


def gguf_name(name, gemma):
    whole = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight"}
    if name in whole:
        return whole[name]
    _, _, layer, part = name.split(".", 3)
    if gemma and part == "post_attention_layernorm.weight":
        return f"blk.{layer}.post_attention_norm.weight"
    return f"blk.{layer}.{GGUF_PARTS[part]}"


def gguf_recipe(kind, config, shapes):
    """The entries and tensors of a GGUF file; `permute` puts the pairs of each of so many heads beside each other, `add` is added."""
    arch = {"mistral": "llama", "gemma3_text": "gemma3"}.get(kind, kind)
    c = config
    dim = c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"]
    entries = {
        "general.architecture": arch, f"{arch}.block_count": c["num_hidden_layers"], f"{arch}.context_length": c["max_position_embeddings"],
        f"{arch}.embedding_length": c["hidden_size"], f"{arch}.feed_forward_length": c["intermediate_size"],
        f"{arch}.attention.head_count": c["num_attention_heads"], f"{arch}.attention.head_count_kv": c["num_key_value_heads"],
        f"{arch}.attention.layer_norm_rms_epsilon": c["rms_norm_eps"], f"{arch}.rope.freq_base": c["rope_theta"],
        f"{arch}.rope.dimension_count": int(dim * c.get("partial_rotary_factor", 1.0)),
        f"{arch}.attention.key_length": dim, f"{arch}.attention.value_length": dim,
    }
    if arch in ("gemma3", "phi3"):
        entries[f"{arch}.attention.sliding_window"] = c["sliding_window"]
    tensors = {}
    for name, shape in shapes.items():
        made = {"of": name, "shape": shape}
        if arch == "llama" and name.endswith("q_proj.weight"):
            made["permute"] = c["num_attention_heads"]
        if arch == "llama" and name.endswith("k_proj.weight"):
            made["permute"] = c["num_key_value_heads"]
        if arch == "gemma3" and len(shape) == 1:
            made["add"] = 1.0
        tensors[gguf_name(name, arch == "gemma3")] = made
    return entries, tensors


def gguf_array(weights, made):
    array = weights[made["of"]]
    if "permute" in made:
        heads = made["permute"]
        array = array.reshape(heads, 2, array.shape[0] // heads // 2, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)
    return np.ascontiguousarray(array + np.float32(made.get("add", 0.0)))


def write_gguf(path, entries, tensors, weights):
    import gguf

    writer = gguf.GGUFWriter(path, entries["general.architecture"])
    for key, value in entries.items():
        if key == "general.architecture":
            continue
        writer.add_float32(key, value) if isinstance(value, float) else writer.add_uint32(key, value)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"t{i}" for i in range(VOCABULARY)])
    writer.add_token_merges(["t 1"])
    writer.add_token_types([1] * VOCABULARY)
    for name, made in tensors.items():
        writer.add_tensor(name, gguf_array(weights, made))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def scores_of(model, tokens):
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0].float().numpy()


def make(name):
    kind, config = FAMILIES[name]
    cls = transformers.models.auto.configuration_auto.CONFIG_MAPPING[kind]
    torch.manual_seed(0)
    made = cls(**config)
    model = AutoModelForCausalLM.from_config(made, attn_implementation="eager").float().eval()
    weights = {}
    gemma = kind.startswith("gemma")
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            weights[key] = weight(key, tuple(parameter.shape), gemma)
            parameter.copy_(torch.from_numpy(weights[key]))
    tokens = [int(t) for t in (random("tokens", (TOKENS,)) * 0.5 + 0.5) * VOCABULARY]
    scores = scores_of(model, tokens)
    shapes = {key: list(w.shape) for key, w in weights.items()}
    golden = {
        "made_with": {"torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__},
        # What transformers itself writes beside such a model.
        "config": json.loads(made.to_json_string(use_diff=False)),
        "tensors": shapes,
        "zero_norms": gemma,
        "tokens": tokens,
        "positions": KEPT,
        "top": [int(s.argmax()) for s in scores],
        "scores": [[round(float(v), 5) for v in scores[p]] for p in KEPT],
    }
    golden["config"]["architectures"] = [type(model).__name__]
    if kind != "mistral" and "rope_scaling" not in config:
        entries, tensors = gguf_recipe(kind, {**BASE, **config}, shapes)
        golden["gguf"] = {"entries": entries, "tensors": tensors}
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.gguf")
            write_gguf(path, entries, tensors, weights)
            golden["gguf"]["off"] = prove(folder, scores, tokens, NOT_READ.get(name, {}))
    with open(os.path.join(HERE, f"{name}.json"), "w") as out:
        json.dump(golden, out, separators=(",", ":"))
        out.write("\n")
    print(name, "spread", float(scores.std()), "kB", os.path.getsize(out.name) // 1024, "gguf off", golden.get("gguf", {}).get("off"))


# What transformers does not read of a GGUF file, and so must be told.
NOT_READ = {
    "qwen3": {"head_dim": 32}, "gemma3": {"head_dim": 32, "query_pre_attn_scalar": 32},
    "phi3": {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.75}, "pad_token_id": 0, "sliding_window": 33},
}


def prove(folder, scores, tokens, told):
    """How far off is what transformers says of the GGUF file, at most."""
    config = AutoConfig.from_pretrained(folder, gguf_file="model.gguf")
    for key, value in told.items():
        setattr(config, key, value)
    model = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file="model.gguf", config=config, attn_implementation="eager", dtype=torch.float32
    ).eval()
    off = float(np.abs(scores_of(model, tokens) - scores).max())
    assert off < 1e-3, f"the GGUF file is not the same model: off by {off}"
    return off


if __name__ == "__main__":
    for name in sys.argv[1:] or FAMILIES:
        make(name)
