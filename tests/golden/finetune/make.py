#!/usr/bin/env python3
"""Makes what peft on torch does with tiny models in fifty steps, and the quantised model of this folder.

    python make.py            (torch, transformers, peft, safetensors, gguf; CPU)

`FAMILY.safetensors` has the losses of all steps, and the gradients of both factors before the first step in the first and
the last layer. Nothing else is kept: weights of the families are a formula of their names (`gateway/engine/tests/models`),
those of `tiny-q4_1.gguf` are in that file, and factors and rows are formulas too, which the test reckons again. The factors
begin with numbers in both, since with B at zero the gradient of A is none.
"""
import importlib.util
import pathlib

import gguf
import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from safetensors.numpy import save_file
from transformers import AutoConfig, AutoModelForCausalLM, get_linear_schedule_with_warmup

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]
torch.set_num_threads(1)


def script(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


models = script(ROOT / "gateway/engine/tests/models/make.py", "models")
STEPS, ROWS, TOGETHER, ACCUMULATE = 50, 12, 2, 2
RATE, WARMUP, DECAY, CLIP = 0.005, 5, 0.01, 1.0
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def row(nth, vocabulary):
    """A row's tokens, and from which on they are learnt."""
    length = 8 + nth * 5 % 17
    u = models.random(f"row {nth}", (length,))
    return [int((v + 1) / 2 * (vocabulary - 1)) for v in u], 1 + nth % 4


def loss_of(model, rows):
    """The sum over all tokens that are learnt, and their number."""
    total, count = 0.0, 0
    for tokens, first in rows:
        scores = model(torch.tensor([tokens])).logits[0, :-1].float()
        wanted = torch.tensor(tokens[1:])
        total = total + torch.nn.functional.cross_entropy(scores[first - 1:], wanted[first - 1:], reduction="sum")
        count += len(tokens) - first
    return total, count


def train(name, base, rank):
    worn = get_peft_model(base, LoraConfig(r=rank, lora_alpha=8, target_modules=TARGETS, task_type="CAUSAL_LM", lora_dropout=0.0))
    factors = {}
    for part, value in worn.named_parameters():
        if "lora_" in part:
            path = part.removeprefix("base_model.model.").replace(".default.weight", "")
            value.data = torch.from_numpy(models.random(path, tuple(value.shape)) * np.float32(0.15))
            factors[path] = value
    vocabulary, layers = base.config.vocab_size, base.config.num_hidden_layers
    rows = [row(nth, vocabulary) for nth in range(ROWS)]
    optimiser = torch.optim.AdamW(factors.values(), lr=RATE, weight_decay=DECAY)
    schedule = get_linear_schedule_with_warmup(optimiser, WARMUP, STEPS)
    losses, kept = [], {}
    for step in range(STEPS):
        chosen = [rows[(step * TOGETHER * ACCUMULATE + j) % ROWS] for j in range(TOGETHER * ACCUMULATE)]
        total, count = loss_of(worn, chosen)
        (total / count).backward()
        losses.append(total.item() / count)
        if step == 0:
            for path, value in factors.items():
                if "layers.0." in path or f"layers.{layers - 1}." in path:
                    kept[path] = value.grad.numpy().copy()
        torch.nn.utils.clip_grad_norm_(factors.values(), CLIP)
        optimiser.step()
        schedule.step()
        optimiser.zero_grad()
    kept["losses"] = np.array(losses, dtype=np.float32)
    save_file(kept, HERE / f"{name}.safetensors")
    print(f"{name}: {losses[0]:.4f} -> {losses[-1]:.4f}, {(HERE / f'{name}.safetensors').stat().st_size // 1024} kB")


def family(name):
    kind, changes = models.FAMILIES[name]
    config = AutoConfig.for_model(kind, **changes)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").float().eval()
    gemma = kind.startswith("gemma3")
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(models.weight(key, tuple(parameter.shape), gemma)))
    return model


TEMPLATE = "{% for m in messages %}<|a|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|a|>assistant\n{% endif %}"


def quantised():
    """The tiny model of the adapters with matrices of 4 bits and an embedding of 8, with a chat template; then as torch has it."""
    from transformers import LlamaConfig, LlamaForCausalLM

    adapters = script(HERE.parent / "adapters/make.py", "adapters")
    reader = gguf.GGUFReader(HERE.parent / "adapters/tiny.gguf")
    path = HERE / "tiny-q4_1.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        kind = field.types[0]
        writer.add_key_value(field.name, field.contents(), kind, field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    writer.add_chat_template(TEMPLATE)
    plain = {}
    for tensor in reader.tensors:
        array = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if array.ndim == 2:
            kind = gguf.GGMLQuantizationType.Q8_0 if tensor.name == "token_embd.weight" else gguf.GGMLQuantizationType.Q4_1
            data = gguf.quants.quantize(array, kind)
            writer.add_tensor(tensor.name, data, raw_dtype=kind)
            array = gguf.quants.dequantize(data, kind)
        else:
            writer.add_tensor(tensor.name, array)
        plain[tensor.name] = array.reshape(array.shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    model = LlamaForCausalLM(adapters.tiny_model().config).float().eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            array = plain[models.gguf_name(key, False)]
            heads = 4 if key.endswith("q_proj.weight") else 2 if key.endswith("k_proj.weight") else 0
            if heads:
                array = array.reshape(heads, array.shape[0] // heads // 2, 2, *array.shape[1:]).swapaxes(1, 2).reshape(array.shape)
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))
    return model


if __name__ == "__main__":
    train("tiny-q4_1", quantised(), 4)
    for name in ("llama", "llama3", "mistral", "qwen2", "qwen3", "gemma3"):
        train(name, family(name), 2)
