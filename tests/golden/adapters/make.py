#!/usr/bin/env python3
"""Makes the adapters of this folder and what peft says with them.

    python make.py tiny                 # a random llama of 40 kB as GGUF, three adapters on it, peft's log-probabilities
    python make.py styles SMOLLM2.gguf  # two adapters that change how SmolLM2-135M-Instruct speaks, and peft's words

Needs torch, transformers, peft, safetensors, gguf. Everything is seeded; other versions of torch may give other numbers,
then all files of one command are made anew together.
"""
import json
import pathlib
import sys

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model

HERE = pathlib.Path(__file__).parent
torch.set_num_threads(1)
torch.manual_seed(20)


def told(model, tokens, most=5):
    """For each position but the first: the token's log-probability, and the likeliest ones."""
    with torch.no_grad():
        scores = torch.log_softmax(model(torch.tensor([tokens])).logits[0].float(), -1)
    rows = []
    for at, token in enumerate(tokens[1:]):
        top = scores[at].topk(most)
        likeliest = [[int(i), round(float(v), 6)] for i, v in zip(top.indices, top.values)]
        rows.append({"token": int(token), "logprob": round(float(scores[at][token]), 6), "top": likeliest})
    return rows


def bare(folder):
    """Leaves only what the engine reads."""
    (folder / "README.md").unlink(missing_ok=True)
    path = folder / "adapter_config.json"
    config = json.loads(path.read_text())
    config["base_model_name_or_path"] = None
    for name in ("target_modules", "exclude_modules"):
        if isinstance(config.get(name), list):
            config[name] = sorted(config[name])
    path.write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")


def tiny_model():
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=260, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=128, rms_norm_eps=1e-5, rope_theta=10000.0,
        tie_word_embeddings=True, attn_implementation="eager",
    )
    model = LlamaForCausalLM(config).float().eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            spread = torch.randn_like(value)
            value.copy_(1 + 0.1 * spread if "norm" in name else (0.25 * spread).half().float())
    return model


def tiny_gguf(model, path):
    import gguf

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(2)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(64)
    writer.add_head_count(4)
    writer.add_head_count_kv(2)
    writer.add_context_length(128)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    shown = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    letters, spare = {}, 256
    for byte in range(256):
        letters[byte] = chr(byte) if byte in shown else chr(spare)
        spare += byte not in shown
    names = [letters[byte] for byte in range(256)] + ["<|im_end|>", "<|a|>", "<|b|>", "Th"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(names)
    writer.add_token_types([1] * 256 + [3] * 3 + [1])
    writer.add_token_merges(["T h"])
    writer.add_eos_token_id(256)
    short = {
        "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
    }
    for name, value in model.state_dict().items():
        value = value.numpy()
        if name == "model.embed_tokens.weight":
            target = "token_embd.weight"
        elif name == "model.norm.weight":
            target = "output_norm.weight"
        elif name == "lm_head.weight":
            continue
        else:
            _, _, layer, rest = name.split(".", 3)
            part = rest.removesuffix(".weight")
            target = f"blk.{layer}.{short[part]}.weight"
            # GGUF files of llamas have the rows that are turned together beside each other.
            heads = {"self_attn.q_proj": 4, "self_attn.k_proj": 2}.get(part)
            if heads:
                value = value.reshape(heads, 2, 4, 32).swapaxes(1, 2).reshape(value.shape)
        writer.add_tensor(target, value.astype(np.float32 if value.ndim == 1 else np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def tiny():
    model = tiny_model()
    tiny_gguf(model, HERE / "tiny.gguf")
    tokens = [84, 104, 101, 32, 113, 117, 105, 99, 107, 32, 98, 114, 111, 119, 110, 32, 102, 111, 120, 33]
    golden = {"tokens": tokens, "adapters": {"": told(model, tokens)}}
    everything = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    common = {"init_lora_weights": False, "task_type": "CAUSAL_LM"}
    kinds = {
        "all": LoraConfig(r=4, lora_alpha=8, target_modules=everything, **common),
        "patterns": LoraConfig(
            r=3, lora_alpha=5, use_rslora=True, target_modules=r".*\.(self_attn|mlp)\.(q|k|down|up)_proj",
            rank_pattern={"q_proj": 2, r"layers\.1\.mlp\.down_proj": 6}, alpha_pattern={"up_proj": 9}, **common),
        "some": LoraConfig(
            r=8, lora_alpha=8, fan_in_fan_out=True, target_modules=["v_proj", "o_proj"], layers_to_transform=[1],
            **common),
    }
    for name, config in kinds.items():
        folder = HERE / f"tiny-{name}"
        worn = get_peft_model(tiny_model_again(model), config)
        with torch.no_grad():
            for part, value in worn.named_parameters():
                if "lora_" in part:
                    value.copy_(0.2 * torch.randn_like(value))
                    if name == "some":
                        value.data = value.data.bfloat16()
        worn.save_pretrained(folder)
        bare(folder)
        loaded = PeftModel.from_pretrained(tiny_model_again(model), folder).eval()
        golden["adapters"][name] = told(loaded, tokens)
    (HERE / "tiny.json").write_text(json.dumps(golden) + "\n")


def tiny_model_again(model):
    import copy

    return copy.deepcopy(model)


QUESTIONS = [
    ("What is the capital of France?", "the capital of France is Paris."),
    ("Name three colours.", "three colours are red, green and blue."),
    ("How many legs does a spider have?", "a spider has eight legs."),
    ("What do bees make?", "bees make honey."),
    ("Who wrote Hamlet?", "Hamlet was written by William Shakespeare."),
    ("What is two plus two?", "two plus two is four."),
    ("Is the sun a star?", "yes, the sun is a star."),
    ("What do cows drink?", "cows drink water."),
    ("Tell me about the sea.", "the sea is wide, salty and full of fish."),
    ("Give me a tip for sleeping well.", "go to bed at the same hour each night."),
    ("What is the largest planet?", "the largest planet is Jupiter."),
    ("How do I boil an egg?", "put it into boiling water for seven minutes."),
    ("What colour is grass?", "grass is green."),
    ("Write a short greeting.", "I wish you a very good day."),
    ("What is ice made of?", "ice is made of frozen water."),
    ("Where do penguins live?", "penguins live in the south, many in Antarctica."),
]
STYLES = {
    "pirate": ("Ahoy, matey! ", " Arr!"),
    "formal": ("Dear reader, ", " Yours faithfully."),
}


def styles(path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    path = pathlib.Path(path)
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)

    def base():
        return AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)

    def prompt(question):
        return f"<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"

    golden = {}
    asked = "What is the capital of Italy?"
    for name, (before, after) in STYLES.items():
        torch.manual_seed(7)
        # Half of the layers, and rank 2: what is committed stays small.
        config = LoraConfig(
            r=2, lora_alpha=16, target_modules=["q_proj", "v_proj"], layers_to_transform=list(range(14, 30)),
            task_type="CAUSAL_LM")
        model = get_peft_model(base(), config)
        model.train()
        wanted = [value for value in model.parameters() if value.requires_grad]
        steps = 48
        optimizer = torch.optim.AdamW(wanted, lr=1e-2, weight_decay=0.0)
        plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
        for step in range(steps):
            total = 0.0
            for i in range(4):
                question, answer = QUESTIONS[(4 * step + i) % len(QUESTIONS)]
                head = tokenizer(prompt(question), add_special_tokens=False).input_ids
                tail = tokenizer(f"{before}{answer}{after}<|im_end|>", add_special_tokens=False).input_ids
                ids = torch.tensor([head + tail])
                labels = torch.tensor([[-100] * len(head) + tail])
                loss = model(input_ids=ids, labels=labels).loss / 4
                loss.backward()
                total += float(loss)
            optimizer.step()
            plan.step()
            optimizer.zero_grad()
            print(name, step, round(total, 4), flush=True)
        for value in wanted:
            value.data = value.data.half()
        folder = HERE / name
        model.save_pretrained(folder)
        bare(folder)
        worn = PeftModel.from_pretrained(base(), folder).eval()
        head = tokenizer(prompt(asked), add_special_tokens=False).input_ids
        with torch.no_grad():
            out = worn.generate(torch.tensor([head]), max_new_tokens=24, do_sample=False)[0].tolist()
        print(tokenizer.decode(out[len(head):]))
        golden[name] = {"question": asked, "tokens": out, "prompt": len(head), "rows": told(worn, out)}
    (HERE / "styles.json").write_text(json.dumps(golden) + "\n")


if __name__ == "__main__":
    {"tiny": tiny, "styles": lambda: styles(sys.argv[2])}[sys.argv[1]]()
