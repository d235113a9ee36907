import re

import pytest

from integrations.errors import NotFound, Refused
from integrations.models.catalogue import catalogue, find_model
from integrations.models.hub import PICKLES, Listing, RepoFile, choose
from integrations.models.shelf import NAME, tell_bytes

QWEN_IMAGE = [
    "model_index.json", "README.md", "LICENSE", "scheduler/scheduler_config.json", "text_encoder/config.json",
    "text_encoder/model-00001-of-00004.safetensors", "text_encoder/model.safetensors.index.json", "tokenizer/vocab.json",
    "tokenizer/merges.txt", "transformer/config.json", "transformer/diffusion_pytorch_model-00001-of-00009.safetensors",
    "vae/config.json", "vae/diffusion_pytorch_model.safetensors",
]


@pytest.mark.parametrize("model", catalogue().values(), ids=lambda model: model.name)
def test_every_entry_is_complete(model):
    assert NAME.fullmatch(model.name)
    assert model.kind in ("checkpoint", "lora", "summarizer", "picture_screen")
    assert all(re.fullmatch(r"[\w-]+/[\w.-]+", repo) for repo in (model.huggingface, model.modelscope) if repo)
    assert model.title
    assert model.settings
    assert model.size > 10**8
    assert model.licence.id == model.licence.id.lower()
    assert model.licence.url.startswith("https://")
    assert model.licence.commercial is (model.licence.id == "apache-2.0")
    assert not any(pattern.endswith(tuple(PICKLES)) for pattern in model.files)


def test_the_patterns_of_qwen_image_take_its_published_files_and_no_others():
    others = ["assets/a.png", "transformer/old/model.safetensors", ".gitattributes", "x/model_index.json"]
    listing = Listing(revision="0" * 40, files=tuple(RepoFile(path=path, size=1, sha256="0") for path in QWEN_IMAGE + others))
    assert {file.path for file in choose(listing, find_model("qwen-image").files)} == set(QWEN_IMAGE)


def test_a_repository_with_none_of_the_files_is_refused():
    with pytest.raises(Refused, match="holds none of model_index"):
        choose(Listing(revision="0" * 40, files=()), find_model("qwen-image").files)


@pytest.mark.parametrize(("name", "hint"), [("qwen-imge", "did you mean 'qwen-image'?"), ("&&&", "see `fengmian models list`")])
def test_an_unknown_name_gets_the_nearest(name, hint):
    with pytest.raises(NotFound) as caught:
        find_model(name)
    assert hint in str(caught.value)


def test_a_model_that_a_source_lacks_is_told():
    with pytest.raises(Refused, match="nsfw is not on modelscope; set"):
        find_model("nsfw").repo("modelscope")


@pytest.mark.parametrize(("count", "told"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (57_700_000_000, "57.7 GB")])
def test_sizes_are_told_as_hubs_tell_them(count, told):
    assert tell_bytes(count) == told
