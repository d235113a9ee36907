"""A published checkpoint, small and random, through the whole story on the command line."""

import json

import pytest

from tests.generator.conftest import randomise
from tests.generator.published import build_pipeline


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    from diffusers import AutoencoderKLQwenImage

    folder = tmp_path_factory.mktemp("checkpoints") / "small-qwen"
    vae = randomise(AutoencoderKLQwenImage(base_dim=8, z_dim=4, dim_mult=[1, 2, 4, 4], num_res_blocks=2,
                                           latents_mean=[0.1, -0.2, 0.3, 0.0], latents_std=[1.5, 2.0, 0.7, 1.0]), seed=1)
    build_pipeline(vae).save_pretrained(folder)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    return folder


@pytest.fixture
def settled(site, monkeypatch, qwen):
    site.settle(monkeypatch, GENERATOR__CHECKPOINT=str(qwen), SAFETY__PUBLISH_UNSCREENED="small-qwen")
    site.post("a.md")
    return site


def paint(site, *words):
    answer = site.finish(site.start("generate", "云原生 cloud", "--size", "96x64", "--seed", "3", "--json", *words))
    assert answer.code == 0, answer.err
    return answer.record


def test_an_article_gets_its_cover(settled):
    answer = settled.finish(settled.start("cover", "posts/a.md", "--size", "200x120", "--json", "--write"))
    assert answer.code == 0, answer.err
    assert answer.record["checkpoint"].startswith("small-qwen@")
    assert answer.record["files"][0]["width"] == 200
    assert "cover:" in (settled.posts / "a.md").read_text()
    assert list((settled.folder / "state" / "prompts").glob("*.safetensors"))
    again = settled.finish(settled.start("cover", "posts/a.md", "--size", "200x120", "--json"))
    assert again.record["cached"]


@pytest.mark.parametrize("changes", [{"GENERATOR__DTYPE": "bfloat16"}, {"GENERATOR__DTYPE": "float8"},
                                     {"GENERATOR__OFFLOAD": "in_turn"}, {"GENERATOR__STEP_CACHE": "0.2"},
                                     {"GENERATOR__TILE_PX": "256"}, {"GENERATOR__TEXT_DEVICE": "cpu"}])
def test_every_way_to_run_it_paints(settled, monkeypatch, changes):
    settled.settle(monkeypatch, **changes)
    record = paint(settled)
    assert (record["width"], record["height"]) == (96, 64)


def test_ways_that_change_no_pixel_change_no_fingerprint(settled, monkeypatch):
    plain = paint(settled)
    settled.settle(monkeypatch, GENERATOR__OFFLOAD="in_turn", GENERATOR__MAX_BATCH="2", GENERATOR__PROMPT_CACHE="false")
    assert paint(settled)["sha256"] == plain["sha256"]
    settled.settle(monkeypatch, GENERATOR__DTYPE="bfloat16")
    assert paint(settled)["fingerprint"] != plain["fingerprint"]


def test_a_lora_is_switched_on_by_name(settled, monkeypatch, qwen):
    from tests.generator.test_lora import write_lightning

    file = write_lightning(qwen, settled.folder / "fast.safetensors")
    settled.settle(monkeypatch, GENERATOR__LORAS=json.dumps([{"file": str(file)}]), GENERATOR__SWITCH_LORAS="true")
    plain, switched = paint(settled), paint(settled, "--lora", "fast")
    assert plain["sha256"] != switched["sha256"]
    answer = settled.finish(settled.start("generate", "云", "--lora", "slow"))
    assert (answer.code, answer.out) == (2, "")
    assert "lora: 'slow' is not one of those that can be switched on: fast" in answer.err


def test_many_pictures_at_once_are_those_of_single_calls(settled):
    answer = settled.finish(settled.start("generate", "云原生 cloud", "--size", "96x64", "--seed", "3", "-n", "3", "--json"))
    assert answer.records[0]["sha256"] == paint(settled)["sha256"]
    assert len({record["sha256"] for record in answer.records}) == 3


@pytest.mark.parametrize(("changes", "line"), [
    ({"GENERATOR__STEP_CACHE": "1"}, "setting generator.step_cache"),
    ({"GENERATOR__DTYPE": "float16"}, "setting generator.dtype 'float16'"),
    ({"GENERATOR__TEXT_DEVICE": "cuda:7"}, "setting generator.text_device 'cuda:7'"),
    ({"GENERATOR__LORAS": '[{"file": "nowhere.safetensors"}]'}, "nowhere.safetensors: no such LoRA file"),
    ({"GENERATOR__SHIFT": "0"}, "setting generator.shift")])
def test_ways_that_make_no_sense_are_told(settled, monkeypatch, changes, line):
    settled.settle(monkeypatch, **changes)
    answer = settled.finish(settled.start("generate", "云", "--size", "64x64"))
    assert answer.code in (1, 2)
    assert line in answer.err
    assert answer.err.count("fengmian:") == 1


def test_what_does_not_fit_is_refused_before_loading(settled, monkeypatch, capfd):
    from generator import placement

    monkeypatch.setattr(placement, "free_bytes", lambda device: 100_000)
    from flows import cli, wiring
    wiring.use(None)
    code = cli.run(["generate", "云", "--size", "64x64"])
    assert code == 1
    assert "small-qwen: needs" in capfd.readouterr().err
