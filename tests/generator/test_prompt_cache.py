"""What the text encoder said is kept in memory and on disk, by prompt and encoder."""

import logging

import pytest
import torch

from generator.options import ModelOptions
from generator.parts import Parts
from generator.prompt_cache import PromptCache

STATES = torch.arange(12, dtype=torch.float32).view(3, 4)


def test_what_is_kept_is_found_again_by_another_process(tmp_path):
    PromptCache("encoder", tmp_path).keep("云", STATES)
    assert torch.equal(PromptCache("encoder", tmp_path).find("云"), STATES)
    assert PromptCache("encoder", tmp_path).find("雨") is None
    assert PromptCache("another encoder", tmp_path).find("云") is None


def test_without_a_folder_it_is_kept_in_memory_only():
    cache = PromptCache("encoder", None)
    cache.keep("云", STATES)
    assert torch.equal(cache.find("云"), STATES)


def test_the_least_recently_used_go_first_in_memory():
    cache = PromptCache("encoder", None, memory_bytes=2 * STATES.nbytes)
    for prompt in "abc":
        cache.keep(prompt, STATES)
        cache.find("a")
    assert [cache.find(prompt) is not None for prompt in "abc"] == [True, False, True]


def test_the_disk_has_a_bound_too(tmp_path):
    cache = PromptCache("encoder", tmp_path, disk_bytes=500)
    for number in range(20):
        cache.keep(f"prompt {number}", STATES)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 500
    assert list(tmp_path.glob("*.safetensors"))


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_damaged_file_is_made_anew(tmp_path, caplog, damage):
    PromptCache("encoder", tmp_path).keep("云", STATES)
    file, = tmp_path.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-5] if damage is None else damage)
    with caplog.at_level(logging.WARNING):
        assert PromptCache("encoder", tmp_path).find("云") is None
    assert str(file) in caplog.text
    PromptCache("encoder", tmp_path).keep("云", STATES)
    assert torch.equal(PromptCache("encoder", tmp_path).find("云"), STATES)


def test_a_disk_that_takes_no_file_costs_nothing_else(tmp_path, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("")
    cache = PromptCache("encoder", blocked / "folder")
    with caplog.at_level(logging.WARNING):
        cache.keep("云", STATES)
    assert "takes no file" in caplog.text
    assert torch.equal(cache.find("云"), STATES)


def test_a_known_prompt_does_not_load_the_encoder(pipeline_folder, tmp_path, monkeypatch):
    options = ModelOptions(prompt_cache=tmp_path)
    first = Parts(pipeline_folder, options).read(["云 cloud", ""])
    again = Parts(pipeline_folder, options)
    monkeypatch.setattr(again, "_load_reader", lambda: pytest.fail("loaded"))
    for prompt, states in again.read(["云 cloud", ""]).items():
        assert torch.equal(states, first[prompt])


def test_another_precision_reads_anew(pipeline_folder, tmp_path):
    Parts(pipeline_folder, ModelOptions(prompt_cache=tmp_path)).read(["云"])
    Parts(pipeline_folder, ModelOptions(prompt_cache=tmp_path, precision="bfloat16")).read(["云"])
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


def test_another_tokenizer_reads_anew(pipeline_folder, tmp_path):
    import shutil

    folder = shutil.copytree(pipeline_folder, tmp_path / "model")
    options = ModelOptions(prompt_cache=tmp_path / "prompts")
    Parts(folder, options).read(["云"])
    (folder / "tokenizer" / "added.json").write_text("{}")
    Parts(folder, options).read(["云"])
    assert len(list((tmp_path / "prompts").glob("*.safetensors"))) == 2


def test_states_that_are_not_finite_are_not_kept(tmp_path):
    cache = PromptCache("encoder", tmp_path)
    cache.keep("云", STATES * float("nan"))
    assert cache.find("云") is None
    assert list(tmp_path.iterdir()) == []
