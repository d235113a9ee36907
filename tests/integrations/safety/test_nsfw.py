import hashlib
import json
import re
import subprocess
import sys
import threading

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

from generator.request import CoverImage
from integrations.errors import NotFound, Refused
from integrations.safety.nsfw import PictureRules, TransformersPictureScreen

GREY = CoverImage(width=96, height=64, rgb=bytes((120,)) * 96 * 64 * 3)


def save_vit(folder, bias=(0.0, 0.0), labels=("normal", "nsfw"), **settings):
    """A ViT of a few random weights whose answer is its classifier's bias."""
    torch.manual_seed(0)
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=16,
        id2label=dict(enumerate(labels)), label2id={label: index for index, label in enumerate(labels)}, **settings,
    )
    network = ViTForImageClassification(config)
    with torch.no_grad():
        network.classifier.weight.zero_()
        network.classifier.bias.copy_(torch.tensor(bias))
    network.save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


@pytest.fixture
def vit(tmp_path):
    return save_vit(tmp_path / "tiny-vit")


@pytest.mark.parametrize(("bias", "decision"), [((4.0, 0.0), "pass"), ((0.0, 0.5), "review"), ((0.0, 4.0), "block")])
def test_the_probability_decides(tmp_path, bias, decision):
    verdict = TransformersPictureScreen(str(save_vit(tmp_path / "vit", bias))).check(GREY)
    assert verdict.decision == decision
    expected = torch.tensor(bias).softmax(-1)
    assert verdict.scores == {"normal": pytest.approx(float(expected[0])), "nsfw": pytest.approx(float(expected[1]))}


def test_the_verdict_names_check_model_weights_and_thresholds(vit):
    verdict = TransformersPictureScreen(str(vit)).check(GREY)
    digest = hashlib.sha256((vit / "model.safetensors").read_bytes()).hexdigest()
    assert (verdict.check, verdict.model) == ("nsfw", f"tiny-vit@sha256:{digest}")
    assert verdict.detail == "unsafe 0.500; review from 0.5, block from 0.85"
    assert verdict.milliseconds > 0


def test_all_unsafe_labels_count_together(tmp_path):
    folder = save_vit(tmp_path / "vit", (0.0,) * 5, ("drawings", "Hentai", "neutral", "PORN", "sexy"))
    verdict = TransformersPictureScreen(str(folder)).check(GREY)
    assert verdict.decision == "review"
    assert verdict.detail.startswith("unsafe 0.600;")


def test_the_sites_own_thresholds_and_labels_are_used(tmp_path):
    folder = save_vit(tmp_path / "vit", (0.0, 0.0), ("fine", "shocking"))
    rules = PictureRules(review_at=0.1, block_at=0.4, unsafe_labels=("Shocking",))
    assert TransformersPictureScreen(str(folder), rules).check(GREY).decision == "block"


def test_the_real_pixels_reach_the_model(vit):
    weights = load_file(vit / "model.safetensors")
    weights["classifier.weight"] = torch.randn(2, 16)
    save_file(weights, vit / "model.safetensors", metadata={"format": "pt"})
    screen = TransformersPictureScreen(str(vit))
    red = CoverImage(width=64, height=64, rgb=bytes((250, 0, 0)) * 64 * 64)
    assert screen.check(GREY).scores != screen.check(red).scores
    assert screen.check(red).scores == screen.check(red).scores


def error_of(folder) -> str:
    verdict = TransformersPictureScreen(str(folder)).check(GREY)
    assert verdict.decision == "error"
    assert "\n" not in verdict.detail
    return verdict.detail


def test_a_missing_folder_is_an_error(tmp_path):
    assert error_of(tmp_path / "none") == f"nsfw: {tmp_path / 'none'}: there is no such folder"
    with pytest.raises(NotFound):
        TransformersPictureScreen(str(tmp_path / "none")).load()


def test_an_empty_folder_is_an_error(tmp_path):
    assert "has no safetensors files" in error_of(tmp_path)


def test_pickled_weights_alone_are_an_error_and_never_opened(vit, tmp_path):
    (vit / "model.safetensors").unlink()
    trap = f"cos\nsystem\n(S'touch {tmp_path / 'sprung'}'\ntR."
    (vit / "pytorch_model.bin").write_text(trap)
    assert error_of(vit) == "nsfw: tiny-vit has no safetensors files; other formats can run code and are not loaded"
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("size", [0, 7, 500, -100])
def test_truncated_weights_are_an_error(vit, size):
    whole = (vit / "model.safetensors").read_bytes()
    (vit / "model.safetensors").write_bytes(whole[:size])
    assert error_of(vit).startswith("nsfw: ")
    with pytest.raises(Refused, match=r"^nsfw: tiny-vit cannot be loaded: "):
        TransformersPictureScreen(str(vit)).load()


def test_weights_that_are_no_numbers_are_an_error(vit):
    weights = load_file(vit / "model.safetensors")
    weights["classifier.bias"] = torch.full((2,), torch.nan)
    save_file(weights, vit / "model.safetensors", metadata={"format": "pt"})
    assert "the model's scores are not numbers; its weights are damaged" in error_of(vit)


@pytest.mark.parametrize("damage", ["missing", "misshapen"])
def test_a_tensor_missing_or_misshapen_is_an_error(vit, damage):
    weights = load_file(vit / "model.safetensors")
    if damage == "missing":
        del weights["classifier.bias"]
    else:
        weights["classifier.bias"] = torch.zeros(3)
    save_file(weights, vit / "model.safetensors", metadata={"format": "pt"})
    assert error_of(vit) == "nsfw: tiny-vit lacks 1 tensors of its kind, classifier.bias for one"


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"model_type": "nosuch"}'])
def test_a_missing_or_broken_settings_file_is_an_error(vit, name, content):
    (vit / name).unlink()
    if content is not None:
        (vit / name).write_text(content)
    assert error_of(vit).startswith("nsfw: ")


def test_a_model_that_brings_its_own_code_is_an_error(vit, tmp_path):
    settings = json.loads((vit / "config.json").read_text())
    code = {"AutoConfig": "mine.C", "AutoModelForImageClassification": "mine.M"}
    settings |= {"model_type": "mine", "auto_map": code}
    (vit / "config.json").write_text(json.dumps(settings))
    (vit / "mine.py").write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')")
    assert error_of(vit).startswith("nsfw: ")
    assert not (tmp_path / "sprung").exists()


def test_a_model_without_an_unsafe_label_is_refused(tmp_path):
    folder = save_vit(tmp_path / "pets", labels=("cat", "dog"))
    message = "nsfw: pets has the labels cat, dog; none is unsafe (nsfw, porn"
    with pytest.raises(Refused, match=f"^{re.escape(message)}"):
        TransformersPictureScreen(str(folder)).load()
    assert error_of(folder).startswith(message)


def test_a_model_whose_labels_do_not_exclude_one_another_is_refused(tmp_path):
    folder = save_vit(tmp_path / "many", problem_type="multi_label_classification")
    with pytest.raises(Refused, match=r"^nsfw: many is a multi-label model; its labels must exclude one another$"):
        TransformersPictureScreen(str(folder)).load()


def test_other_weights_than_the_pinned_ones_are_refused(vit):
    digest = hashlib.sha256((vit / "model.safetensors").read_bytes()).hexdigest()
    TransformersPictureScreen(str(vit), weights_sha256=digest).load()
    with pytest.raises(Refused, match=rf"^nsfw: tiny-vit has weights {digest}; {'0' * 64} are pinned$"):
        TransformersPictureScreen(str(vit), weights_sha256="0" * 64).load()


def test_a_hub_id_that_was_not_downloaded_is_an_error_without_a_look_outside(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert error_of("fengmian-tests/no-such-model").startswith("nsfw: ")


def test_threads_share_one_loading(vit, monkeypatch):
    screen, loads = TransformersPictureScreen(str(vit)), []
    load = screen._load
    monkeypatch.setattr(screen, "_load", lambda: loads.append(1) or load())
    decisions = []
    threads = [threading.Thread(target=lambda: decisions.append(screen.check(GREY).decision)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(loads), decisions) == (1, ["review"] * 6)


@pytest.mark.parametrize(("review_at", "block_at"), [(0, 0.5), (0.6, 0.5), (0.5, 1.1), (float("nan"), 0.5)])
def test_thresholds_out_of_order_are_refused(review_at, block_at):
    with pytest.raises(ValueError, match=r"^nsfw: review_at is .*; the rule is 0 < review_at <= block_at <= 1$"):
        PictureRules(review_at=review_at, block_at=block_at)


def test_no_unsafe_labels_are_refused():
    with pytest.raises(ValueError, match=r"^nsfw: unsafe_labels is empty"):
        PictureRules(unsafe_labels=())


def test_importing_and_building_a_screen_loads_no_torch():
    program = (
        "import sys; from integrations.safety.nsfw import TransformersPictureScreen;"
        "TransformersPictureScreen('owner/name'); assert 'torch' not in sys.modules; print('light')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stdout == "light\n", done.stderr
