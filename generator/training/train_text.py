"""Trains the bundled text encoder to read captions. `python -m generator.training.train_text --help`.

Its state tokens learn to name the scene behind a caption; the diffusion model then reads those states.
"""

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor, nn

from generator.studio.palettes import COLOUR_NAMES, PALETTES
from generator.studio.scene import DENSITIES, MOTIFS, PLACES, sample_scene
from generator.text_encoder import HEX_TOKEN, TOKENIZER_FILE, MiniTextEncoder, PromptReader, TextEncoderConfig, load_prompt_reader
from generator.training.captions import (
    DENSITY_WORDS,
    FILLERS,
    PLACE_WORDS,
    Caption,
    common_characters,
    topic_words,
    write_caption,
    write_composition,
    write_unrelated,
)
from generator.training.curves import write_point

COLOUR_STATES = 5
HEADS_FILE = "reading_heads.safetensors"
BATCH = 48
LEARNING_RATE = 1.5e-3
WORDS_SHARE = 0.12
"""Of the time, spent on topic words alone before whole captions."""


def train_tokenizer() -> Tokenizer:
    """A WordPiece tokenizer that knows everyday Chinese characters, the studio's English words and hex colours."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=6400, special_tokens=["[PAD]", "[UNK]", HEX_TOKEN], show_progress=False,
                                        initial_alphabet=list(common_characters()))
    frames = [write_caption(sample_scene(Random(seed)), Random(seed), "en").text for seed in range(300)]
    words = [word for motif in topic_words().values() for language in motif.values() for word in language]
    names = [name for entry in COLOUR_NAMES for name in entry[:2]] + [name for p in PALETTES for name in (p.zh, p.en)]
    fixed = [word for table in (PLACE_WORDS, DENSITY_WORDS) for by_value in table.values() for row in by_value.values()
             for word in row]
    tokenizer.train_from_iterator([*frames, *(words + names + fixed + [f for row in FILLERS.values() for f in row]) * 4], trainer)
    return tokenizer


class ReadingHeads(nn.Module):
    """What the states must give away: used in training and evaluation, not shipped."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.motif = nn.Linear(width, len(MOTIFS) + 1)
        self.place = nn.Linear(width, len(PLACES) + 1)
        self.density = nn.Linear(width, len(DENSITIES) + 1)
        self.colour = nn.Linear(width, 4)

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits of motif, place and density, and [B, 5, 4] colours (RGB in 0..1 and presence), of states [B, 8, W]."""
        return (self.motif(states[:, 0]), self.place(states[:, 1]), self.density(states[:, 2]),
                self.colour(states[:, 3:3 + COLOUR_STATES]))


def make_targets(captions: list[Caption]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Class numbers [B] of motif, place, density (the last class: not said) and colours [B, 5, 4]."""
    def number(values: tuple[str, ...], chosen: str | None) -> int:
        return values.index(chosen) if chosen is not None else len(values)
    colours = torch.zeros(len(captions), COLOUR_STATES, 4)
    for row, caption in enumerate(captions):
        for column, colour in enumerate(caption.colours):
            colours[row, column] = torch.tensor([*(channel / 255 for channel in colour), 1.0])
    motifs = tuple(MOTIFS)
    return (torch.tensor([number(motifs, caption.motif) for caption in captions]),
            torch.tensor([number(PLACES, caption.place) for caption in captions]),
            torch.tensor([number(DENSITIES, caption.density) for caption in captions]), colours)


def reading_loss(heads: ReadingHeads, states: Tensor, captions: list[Caption]) -> Tensor:
    """Cross entropy of motif, place and density plus squared error of the colours that are there."""
    motif, place, density, colours = make_targets(captions)
    out_motif, out_place, out_density, out_colours = heads(states)
    there = colours[..., 3]
    colour_loss = ((out_colours[..., :3] - colours[..., :3]).square().sum(-1) * there).sum() / there.sum().clamp_min(1)
    presence = F.binary_cross_entropy_with_logits(out_colours[..., 3], there)
    loss: Tensor = (F.cross_entropy(out_motif, motif) + 0.5 * F.cross_entropy(out_place, place)
                    + 0.5 * F.cross_entropy(out_density, density) + 10 * colour_loss + presence)
    return loss


def draw_words(rng: Random, count: int) -> list[Caption]:
    """The first lessons: one to three topic words of one motif and nothing else. Short, so that many fit a step."""
    captions = []
    for _ in range(count):
        motif = rng.choice(list(MOTIFS))
        words = [rng.choice(topic_words()[motif][rng.choice(("zh", "en"))]) for _ in range(rng.choice((1, 1, 2, 3)))]
        captions.append(Caption(text=rng.choice((" ", "、", ", ", "，")).join(words), tongue="mixed", motif=motif))
    return captions


def draw_places(rng: Random, count: int) -> list[Caption]:
    """Lessons in where the subject stands when the quiet side is named as well."""
    captions = []
    for _ in range(count):
        place, language = rng.choice(PLACES), rng.choice(("zh", "en"))
        captions.append(Caption(text=write_composition(place, language, rng), tongue="mixed", place=place))
    return captions


def draw_captions(rng: Random, count: int) -> list[Caption]:
    """Fresh captions; one in twelve asks for nothing."""
    return [Caption(text=write_unrelated(rng), tongue="mixed") if rng.random() < 1 / 12 else write_caption(sample_scene(rng), rng)
            for _ in range(count)]


@torch.no_grad()
def measure_reading(reader: PromptReader, heads: ReadingHeads, count: int = 600, seed: int = 99) -> dict[str, dict[str, float]]:
    """Share of held-out captions whose motif and place are read right, and the colours' mean error (0..255), by tongue."""
    rng, result = Random(seed), {}
    for tongue in ("zh", "en", "mixed"):
        captions = [write_caption(sample_scene(rng), rng, tongue) for _ in range(count // 3)]
        motif, place, _, colours = make_targets(captions)
        out_motif, out_place, _, out_colours = heads(reader.read_batch([caption.text for caption in captions]))
        error = (out_colours[..., :3] - colours[..., :3]).abs().mean(-1)[colours[..., 3] > 0].mean() * 255
        result[tongue] = {"motif": (out_motif.argmax(1) == motif).float().mean().item(),
                          "place": (out_place.argmax(1) == place).float().mean().item(), "colour_error": error.item()}
    return result


def train(minutes: float, folder: Path, *, go_on: bool = False, seed: int = 0) -> None:
    """Train for `minutes` of wall time and write folder/text_encoder; a line and a point of the curve every 50 steps.

    go_on: start from the encoder and heads in `folder`, with whole captions at once.
    """
    torch.manual_seed(seed)
    if go_on:
        reader = load_prompt_reader(folder / "text_encoder")
        reader.encoder.float().train().requires_grad_(True)
    else:
        tokenizer = train_tokenizer()
        reader = PromptReader(tokenizer, MiniTextEncoder(TextEncoderConfig(vocabulary=tokenizer.get_vocab_size())))
    heads = ReadingHeads(reader.encoder.config.state_width)
    if go_on:
        heads.load_state_dict(load_file(folder / HEADS_FILE))
    parameters = [*reader.encoder.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    rng, started, step, share = Random(seed + go_on), time.monotonic(), 0, 0.0
    while share < 1:
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1, (step + 1) / 100) * max(1 - share, 0.02)
        early = share < WORDS_SHARE and not go_on
        lessons = [*draw_words(rng, 8 * BATCH if early else BATCH // 4), *draw_places(rng, BATCH)]
        captions = [] if early else draw_captions(rng, BATCH)
        with torch.autocast("cpu", torch.bfloat16):
            states = torch.cat([reader.read_batch([caption.text for caption in part]) for part in (lessons, captions) if part])
        loss = reading_loss(heads, states.float(), [*lessons, *captions])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if step % 50 == 0:
            line = {"step": step, "spent_s": round(time.monotonic() - started), "loss": round(loss.item(), 4)}
            write_point(folder / "text_curve.jsonl", line)
            print(line, measure_reading(reader, heads, 90) if step % 200 == 0 else "", flush=True)
        step, share = step + 1, (time.monotonic() - started) / (minutes * 60)
    print(json.dumps(measure_reading(reader, heads), indent=1), flush=True)
    _write(reader, heads, folder)


def _write(reader: PromptReader, heads: ReadingHeads, folder: Path) -> None:
    target = folder / "text_encoder"
    target.mkdir(parents=True, exist_ok=True)
    reader.tokenizer.save(str(target / TOKENIZER_FILE), pretty=False)
    save_file({name: tensor.to(torch.bfloat16).contiguous() for name, tensor in reader.encoder.state_dict().items()},
              target / "model.safetensors")
    content = {"_class_name": "MiniTextEncoder", **asdict(reader.encoder.config)}
    (target / "config.json").write_text(json.dumps(content, indent=1) + "\n")
    save_file(dict(heads.state_dict()), folder / HEADS_FILE)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--folder", type=Path, default=Path("build/training"))
    parser.add_argument("--go-on", action="store_true", help="start from the encoder already in the folder")
    chosen = parser.parse_args()
    train(chosen.minutes, chosen.folder, go_on=chosen.go_on)


if __name__ == "__main__":
    main()
