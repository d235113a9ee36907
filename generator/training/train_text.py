"""Trains the bundled text encoder to read captions. `python -m generator.training.train_text --help`.

It learns to name the scene behind a caption. What the lexicon says of the words is hidden from it now and then, so that their
characters and pieces come to mean something too, also in words that the lexicon does not have.
"""

import argparse
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from random import Random

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor, nn

from generator.layout import PLACES, RELATIONS
from generator.lexicon import Lexicon
from generator.plain_words import plain_words
from generator.scene_code import CHOICES, COLOURS
from generator.studio.palettes import COLOUR_NAMES, PALETTES
from generator.studio.scene import Scene, sample_scene
from generator.text_encoder import (
    HEX_TOKEN,
    TOKENIZER_FILE,
    MiniTextEncoder,
    PromptReader,
    Reading,
    TextEncoderConfig,
    Tokens,
    load_prompt_reader,
)
from generator.topics import topic_of, topic_words
from generator.training.budget import Budget
from generator.training.caption_words import (
    DENSITY_WORDS,
    FILLERS,
    FORBIDDEN,
    LIGHT_WORDS,
    MATERIAL_WORDS,
    NUMBER_WORDS,
    PLACE_WORDS,
)
from generator.training.captions import (
    KNOWN,
    Caption,
    common_characters,
    unknown_word,
    write_caption,
    write_composition,
    write_unrelated,
)
from generator.training.curves import write_point
from generator.training.lessons import LISTS
from generator.training.narrow import narrow
from generator.training.optimizers import Optimizers

BATCH = 48
LEARNING_RATE = 1.5e-3
WORDS_SHARE = 0.1
"""Of the time, spent on topic words alone before whole captions."""
HIDDEN = {"motif": 0.7, None: 0.05}
"""Share of the motifs that the lexicon keeps to itself, in lessons in words and in all choices."""
VOCABULARY = 8000
PAIRS_MORE = 0.25
"""Of the scenes, drawn again until they are pairs."""


def train_tokenizer() -> Tokenizer:
    """A WordPiece tokenizer that knows everyday Chinese characters, the studio's English words and hex colours."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=["[PAD]", "[UNK]", HEX_TOKEN], show_progress=False,
                                        initial_alphabet=list(common_characters()))
    frames = [write_caption(sample_scene(Random(seed)), Random(seed), "en").text for seed in range(300)]
    words = [word for motif in topic_words().values() for language in motif.values() for word in language]
    names = [name for entry in COLOUR_NAMES for name in entry[:2]] + [name for p in PALETTES for name in (p.zh, p.en)]
    tables = (PLACE_WORDS, DENSITY_WORDS, MATERIAL_WORDS, LIGHT_WORDS, NUMBER_WORDS)
    fixed = [word for table in tables for by_value in table.values() for row in by_value.values() for word in row]
    fixed += plain_words()["en"]
    fixed += [word for table in (FILLERS, FORBIDDEN) for row in table.values() for word in row]
    tokenizer.train_from_iterator([*frames, *(words + names + fixed) * 4], trainer)
    return tokenizer


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What should have been read. choices: [B, 7]; asked: [B, 7] bool, which of them a lesson is about. colours: [B, 5, 3];
    said: [B, 5] in 0..1; about_colours: [B] bool.
    """

    choices: Tensor
    asked: Tensor
    colours: Tensor
    said: Tensor
    about_colours: Tensor


def make_answers(captions: list[Caption], only: str | None = None) -> Answers:
    """The answers to captions; only: the one choice that these lessons are about."""
    choices = torch.tensor([[LISTS[name].index(caption.said[name]) if name in caption.said else count for name, count in CHOICES]
                            for caption in captions])
    asked = torch.tensor([[only in (None, name) for name, _ in CHOICES]] * len(captions))
    colours, said = torch.zeros(len(captions), COLOURS, 3), torch.zeros(len(captions), COLOURS)
    for row, caption in enumerate(captions):
        for column, colour in enumerate(caption.colours):
            if colour is not None:
                colours[row, column], said[row, column] = torch.tensor(colour) / 255, 1.0
    return Answers(choices=choices, asked=asked, colours=colours, said=said,
                   about_colours=torch.full((len(captions),), only is None))


def reading_loss(reading: Reading, answers: Answers) -> Tensor:
    """Cross entropy of every choice plus squared error of the colours that are there. The motif weighs most."""
    loss = torch.zeros(())
    for index, (name, _) in enumerate(CHOICES):
        rows = answers.asked[:, index]
        if rows.any():
            weight = {"motif": 1.0, "second": 0.7}.get(name, 0.4) * float(rows.float().mean())
            loss = loss + weight * F.cross_entropy(reading.choices[index][rows].float(), answers.choices[rows, index])
    if answers.about_colours.any():
        rows = answers.about_colours
        there = answers.said[rows]
        error = (reading.colours[rows].float() - answers.colours[rows]).square().sum(-1) * there
        error = error.sum() / there.sum().clamp_min(1)
        loss = loss + 10 * error + F.binary_cross_entropy_with_logits(reading.said[rows].float(), there)
    return loss


def draw_words(rng: Random, count: int) -> list[Caption]:
    """Lessons in words: one to three topic words of one motif, some grown into a compound with what means nothing."""
    captions = []
    for _ in range(count):
        motif, language = rng.choice(KNOWN), rng.choice(("zh", "en"))
        words = [rng.choice(topic_words()[motif][language]) for _ in range(rng.choice((1, 1, 2, 3)))]
        if rng.random() < 0.35:
            glue = "" if language == "zh" else " "
            stranger = unknown_word(language, rng)
            words[0] = glue.join(rng.choice(((words[0], stranger), (stranger, words[0]))))
        text = rng.choice((" ", "、", ", ", "，")).join(words)
        captions.append(Caption(text=text, tongue="mixed", said={"motif": topic_of(text)}))
    return captions


def draw_places(rng: Random, count: int) -> list[Caption]:
    """Lessons in where the subject stands when the quiet side is named as well."""
    captions = []
    for _ in range(count):
        place, language = rng.choice(PLACES), rng.choice(("zh", "en"))
        captions.append(Caption(text=write_composition(place, language, rng), tongue="mixed", said={"place": place}))
    return captions


def draw_captions(rng: Random, count: int) -> list[Caption]:
    """Fresh captions; one in twelve asks for nothing."""
    return [Caption(text=write_unrelated(rng), tongue="mixed") if rng.random() < 1 / 12 else write_caption(_draw_scene(rng), rng)
            for _ in range(count)]


def _draw_scene(rng: Random) -> Scene:
    """A scene; pairs, which take two names and a relation to read, are four in ten where the studio draws two."""
    scene = sample_scene(rng)
    if rng.random() < PAIRS_MORE:
        while scene.arrangement not in RELATIONS:
            scene = sample_scene(rng)
    return scene


def hide_known(tokens: Tokens, share: float) -> Tokens:
    """The tokens without what the lexicon says of some motifs, of each prompt others."""
    shown = torch.rand(len(tokens.known), CHOICES[0][1] + 1) >= share
    return replace(tokens, known=tokens.known * shown.gather(1, tokens.known))


@torch.no_grad()
def measure_reading(reader: PromptReader, count: int = 600, seed: int = 99) -> dict[str, dict[str, float]]:
    """Share of held-out captions of which each choice is read right, and the colours' mean error (0..255), by tongue."""
    rng, result = Random(seed), {}
    for tongue in ("zh", "en", "mixed"):
        captions = [write_caption(sample_scene(rng), rng, tongue) for _ in range(count // 3)]
        answers = make_answers(captions)
        choices, colours, _ = reader.decide([caption.text for caption in captions])
        right = choices == answers.choices
        error = (colours - answers.colours).abs().mean(-1)[answers.said > 0].mean() * 255
        result[tongue] = {**{name: round(right[:, index].float().mean().item(), 3) for index, (name, _) in enumerate(CHOICES)},
                          "colour_error": round(error.item(), 2)}
    return result


def train(budget: Budget, folder: Path, *, go_on: bool = False, words_share: float = WORDS_SHARE, seed: int = 0) -> PromptReader:
    """Train until the budget is spent and write folder/text_encoder; a point of the curve every 10 steps, a line every 50.

    go_on: start from the encoder in `folder`, with whole captions at once.
    """
    torch.manual_seed(seed)
    if go_on:
        reader = load_prompt_reader(folder / "text_encoder")
        reader.encoder.float().train().requires_grad_(True)
    else:
        tokenizer = train_tokenizer()
        encoder = MiniTextEncoder(TextEncoderConfig(vocabulary=tokenizer.get_vocab_size()))
        words = {motif: (*topic_words()[motif]["zh"], *topic_words()[motif]["en"]) if motif in topic_words() else ()
                 for motif in LISTS["motif"]}
        reader = PromptReader(tokenizer, encoder, Lexicon(words))
    parameters = list(reader.encoder.parameters())
    optimizer = Optimizers(reader.encoder, LEARNING_RATE, muon="layers.")
    rng, started, step, share = Random(seed), time.monotonic(), 0, 0.0
    while share < 1:
        optimizer.set_rate(LEARNING_RATE * min(1, (step + 1) / 100) * max(1 - share, 0.02))
        early = share < words_share and not go_on
        lessons = [(draw_words(rng, 8 * BATCH if early else BATCH), "motif"), (draw_places(rng, BATCH // 2), "place"),
                   ([] if early else draw_captions(rng, BATCH), None)]
        loss = torch.zeros(())
        for captions, only in lessons:
            if captions:
                tokens = hide_known(reader.tokenize([caption.text for caption in captions]), HIDDEN.get(only, 0))
                with narrow():
                    reading = reader.weigh(tokens)
                loss = loss + reading_loss(reading, make_answers(captions, only))
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        line = {"step": step, "spent_s": round(time.monotonic() - started), "loss": round(loss.item(), 4)}
        if step % 10 == 0:
            write_point(folder / "text_curve.jsonl", line)
        if step % 50 == 0:
            print(line, measure_reading(reader, 90) if step % 400 == 0 else "", flush=True)
        step, share = step + 1, budget.share(step + 1, time.monotonic() - started)
    print(json.dumps(measure_reading(reader), indent=1), flush=True)
    _write(reader, folder)
    return reader


def _write(reader: PromptReader, folder: Path) -> None:
    target = folder / "text_encoder"
    target.mkdir(parents=True, exist_ok=True)
    reader.lexicon.save(target)
    reader.tokenizer.save(str(target / TOKENIZER_FILE), pretty=False)
    save_file({name: tensor.detach().to(torch.bfloat16).contiguous() for name, tensor in reader.encoder.state_dict().items()},
              target / "model.safetensors")
    content = {"_class_name": "MiniTextEncoder", **asdict(reader.encoder.config)}
    (target / "config.json").write_text(json.dumps(content, indent=1) + "\n")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--folder", type=Path, default=Path("build/training"))
    parser.add_argument("--go-on", action="store_true", help="start from the encoder already in the folder")
    parser.add_argument("--seed", type=int, default=0, help="of the captions: another one for each run that goes on")
    chosen = parser.parse_args()
    train(Budget(minutes=chosen.minutes), chosen.folder, go_on=chosen.go_on, seed=chosen.seed)


if __name__ == "__main__":
    main()
