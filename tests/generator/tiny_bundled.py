"""A tiny random checkpoint in the bundled model's layout."""

import json
from dataclasses import asdict

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from generator.checkpoint import save_network, save_transformer
from generator.config import MiniVAEConfig, MMDiTConfig
from generator.lexicon import Lexicon
from generator.mini_vae import MiniVAE
from generator.mmdit import MMDiT
from generator.pipeline import PROJECT
from generator.scene_code import SHOWN_ROWS, WIDTH
from generator.text_encoder import HEX_TOKEN, TOKENIZER_FILE, MiniTextEncoder, TextEncoderConfig

GROUNDED = {"pooled_projection_dim": WIDTH, "shown_rows": SHOWN_ROWS, "shown_ranks": (2, 2, 4)}
"""Settings of a transformer whose tokens are told what they show."""
TEXTS = ("云原生架构的设计思路，极简插画，构图疏朗，浅色调。", "A minimal illustration of how caching keeps small sites fast.")


def write_tiny_bundled(folder, seed=0, settings=GROUNDED):
    torch.manual_seed(seed)
    save_transformer(MMDiT(MMDiTConfig(
        num_layers=2, attention_head_dim=16, num_attention_heads=2, in_channels=16, out_channels=4,
        joint_attention_dim=WIDTH, axes_dims_rope=(4, 6, 6), **settings)), folder / "transformer")
    config = MiniVAEConfig(latent_channels=4, widths=(8, 8, 8, 8), decoder_blocks=1, latents_mean=(0.0,) * 4,
                           latents_std=(1.0,) * 4)
    save_network(dict(MiniVAE(config).state_dict()), {"_class_name": "MiniVAE", **asdict(config)}, folder / "vae")
    write_text_encoder(folder / "text_encoder")
    write_json(folder / "scheduler" / "scheduler_config.json", {
        "_class_name": "FlowMatchEulerDiscreteScheduler", "base_shift": 0.5, "max_shift": 0.9, "base_image_seq_len": 64,
        "max_image_seq_len": 1024, "shift_terminal": None, "use_dynamic_shifting": True})
    write_json(folder / "model_index.json", {"_class_name": PROJECT})
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\nRandom numbers for tests.\n")
    return folder


def write_text_encoder(folder):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.train_from_iterator(TEXTS, trainers.WordPieceTrainer(
        vocab_size=200, special_tokens=["[PAD]", "[UNK]", HEX_TOKEN], show_progress=False))
    config = TextEncoderConfig(vocabulary=tokenizer.get_vocab_size(), width=16, heads=2, layers=1)
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / TOKENIZER_FILE))
    save_file(dict(MiniTextEncoder(config).state_dict()), folder / "model.safetensors")
    Lexicon({"hills": ("山",), "waves": ("湖", "waves")}).save(folder)
    write_json(folder / "config.json", {"_class_name": "MiniTextEncoder", **asdict(config)})


def write_json(file, content):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content) + "\n")
