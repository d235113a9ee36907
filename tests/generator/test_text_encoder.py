"""The bundled model's reader of prompts: colours, padding, cutting, strict loading."""

import json
import unittest.mock
from dataclasses import asdict

import pytest
import torch
from safetensors.torch import save_file

from generator.errors import CheckpointError
from generator.lexicon import LEXICON_FILE, Lexicon
from generator.scene_code import CHOICES, STATES, WIDTH
from generator.text_encoder import (
    HEX_TOKEN,
    MAX_COLOURS,
    TOKENIZER_FILE,
    MiniTextEncoder,
    PromptReader,
    Reading,
    TextEncoderConfig,
    load_prompt_reader,
    split_colours,
)
from generator.training.train_text import train_tokenizer

LEXICON = Lexicon({"hills": ("山", "hill"), "cloud": ("云原生", "cloud native"), "shapes": ()})


@pytest.fixture(scope="module")
def reader():
    torch.manual_seed(0)
    tokenizer = train_tokenizer()
    config = TextEncoderConfig(vocabulary=tokenizer.get_vocab_size(), width=32, heads=2, layers=2, max_tokens=40)
    return PromptReader(tokenizer, MiniTextEncoder(config).eval().requires_grad_(False), LEXICON)


@pytest.fixture
def folder(reader, tmp_path):
    reader.tokenizer.save(str(tmp_path / TOKENIZER_FILE))
    reader.lexicon.save(tmp_path)
    save_file(dict(reader.encoder.state_dict()), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(asdict(reader.encoder.config)))
    return tmp_path


def test_colours_are_taken_out_in_order():
    text, colours = split_colours("墨绿 #2F4A3E、#ffffff，#12345 #1234567")
    assert text == f"墨绿  {HEX_TOKEN} 、 {HEX_TOKEN} ，#12345 #1234567"
    assert colours == [(0x2F / 255, 0x4A / 255, 0x3E / 255), (1.0, 1.0, 1.0)]


def test_a_typed_marker_is_no_colour(reader):
    tokens = reader.tokenize([f"{HEX_TOKEN} #FF0000"])
    assert tokens.order.sum() == 1
    assert tokens.colours[tokens.order == 1].tolist() == [[1.0, 0.0, 0.0]]


def test_a_colour_that_the_prompt_spells_out_is_taken_exactly(reader):
    tokens = reader.tokenize(["云 #102030、#A0B0C0"])
    near = torch.tensor([[[0.1, 0.1, 0.2], [0.6, 0.7, 0.7], [0.0, 1.0, 0.0], [0.6, 0.7, 0.7], [0.1, 0.1, 0.2]]])
    said = torch.ones(1, 5)
    reading = Reading(choices=tuple(torch.zeros(1, count + 1) for _, count in CHOICES), colours=near, said=said)
    with unittest.mock.patch.object(reader, "weigh", return_value=reading):
        _, colours, _ = reader.decide(["云 #102030、#A0B0C0"])
    assert tokens.order.max() == 2
    assert (colours[0, [0, 4]] * 255).round().tolist() == [[0x10, 0x20, 0x30]] * 2
    assert (colours[0, [1, 3]] * 255).round().tolist() == [[0xA0, 0xB0, 0xC0]] * 2
    assert colours[0, 2].tolist() == [0.0, 1.0, 0.0]


def test_more_colours_than_places_are_read_without_harm(reader):
    tokens = reader.tokenize(["#000000 " * 12])
    assert tokens.order.max() == MAX_COLOURS


def test_a_prompt_reads_the_same_alone_and_beside_a_longer_one(reader):
    together = reader.read_batch(["云计算", "a much longer prompt about a lighthouse at the bottom, #2F4A3E"])
    torch.testing.assert_close(together[:1], reader.read_batch(["云计算"]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("prompt", ["", " ", "😀😀", "𠮷", "x" * 2000, "云" * 2000, "\u202e\u0000"])
def test_any_prompt_gives_finite_states(reader, prompt):
    states = reader.read_batch([prompt, ""])
    assert states.shape == (2, STATES, WIDTH)
    assert torch.isfinite(states).all()


def test_a_saved_reader_reads_the_same(reader, folder):
    torch.testing.assert_close(load_prompt_reader(folder).read_batch(["云 #102030"]), reader.read_batch(["云 #102030"]))


@pytest.mark.parametrize("break_it", [
    lambda folder: (folder / "model.safetensors").unlink(), lambda folder: (folder / TOKENIZER_FILE).write_text("{}"),
    lambda folder: (folder / "config.json").write_text("{}"), lambda folder: (folder / "config.json").write_text("[1]")])
def test_a_broken_folder_is_named(folder, break_it):
    break_it(folder)
    with pytest.raises(CheckpointError, match=folder.name):
        load_prompt_reader(folder)


def test_a_tokenizer_without_the_colour_marker_is_refused(folder):
    file = folder / TOKENIZER_FILE
    file.write_text(file.read_text().replace(HEX_TOKEN, "[OTHER]"))
    with pytest.raises(CheckpointError, match=r"\[HEX\]"):
        load_prompt_reader(folder)


def test_tokens_are_told_what_the_lexicon_has_for_their_word(reader):
    tokens = reader.tokenize(["爬山 cloud native 架构", "nothing"])
    texts = reader.tokenizer.encode("爬山 cloud native 架构").tokens
    told = dict(zip(texts, tokens.known[0].tolist(), strict=False))
    assert told["山"] == 1
    assert told["爬"] == told["架"] == 0
    assert [number for piece, number in zip(texts, tokens.known[0].tolist(), strict=False) if piece.isascii()] == [2] * sum(
        piece.isascii() for piece in texts)
    assert not tokens.known[1].any()


def test_what_the_lexicon_says_is_cut_with_the_text(reader):
    tokens = reader.tokenize(["某" * 60 + "山"])
    assert tokens.known.shape == tokens.ids.shape
    assert not tokens.known.any()


@pytest.mark.parametrize("content", ["[]", "{", '{"hills": 3}'])
def test_a_lexicon_that_is_none_is_refused(folder, content):
    (folder / LEXICON_FILE).write_text(content)
    with pytest.raises(CheckpointError, match=LEXICON_FILE):
        load_prompt_reader(folder)


def test_a_lexicon_of_more_motifs_than_the_code_has_is_refused(folder):
    Lexicon({f"m{number}": (f"word{number}",) for number in range(49)}).save(folder)
    with pytest.raises(CheckpointError, match="49 motifs"):
        load_prompt_reader(folder)


def test_a_reader_without_its_lexicon_is_refused(folder):
    (folder / LEXICON_FILE).unlink()
    with pytest.raises(CheckpointError, match=LEXICON_FILE):
        load_prompt_reader(folder)


def test_the_mean_of_two_readers_lies_between_them(tmp_path):
    from safetensors.torch import load_file, save_file

    from generator.training.mix_readers import mix

    for name, value in (("a", 1.0), ("b", 4.0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(name)
        save_file({"w": torch.full((2, 3), value, dtype=torch.bfloat16)}, tmp_path / name / "model.safetensors")
    mix(tmp_path / "out", [tmp_path / "a", tmp_path / "b"])
    mean = load_file(tmp_path / "out" / "model.safetensors")["w"]
    assert (mean.dtype, mean.unique().tolist()) == (torch.bfloat16, [2.5])
    assert (tmp_path / "out" / "config.json").read_text() == "b"
    save_file({"other": torch.zeros(1)}, tmp_path / "b" / "model.safetensors")
    with pytest.raises(ValueError, match="same tensors"):
        mix(tmp_path / "out", [tmp_path / "a", tmp_path / "b"])
