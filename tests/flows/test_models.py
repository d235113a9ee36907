"""`fengmian models` from end to end, against a hub on this machine, and what the settings make of pulled names."""

import json
import shutil
import time
from dataclasses import replace

import pytest
import torch

from flows import pull_model
from integrations.models.record import RECORD_FILE, read_record, write_record
from tests.integrations.models.hub_server import HubServer
from tests.integrations.safety.test_nsfw import save_vit

TOKEN = "hf-secret-do-not-print"
PADDING = bytes(range(256)) * 12_000
"""Makes a download long enough to be killed in."""


@pytest.fixture
def hub(site, monkeypatch, tiny_checkpoint, tmp_path_factory):
    """A hub with a checkpoint and a picture screen that really load; the site pulls from it."""
    with HubServer() as server:
        screen = save_vit(tmp_path_factory.mktemp("screen") / "vit", (4.0, 0.0))
        server.repo("Falconsai/nsfw_image_detection").commit(contents(screen))
        painter = contents(tiny_checkpoint)
        server.repo("Qwen/Qwen-Image").commit(painter | {"tokenizer/merges.txt": PADDING})
        site.settle(monkeypatch, MODELS__ENDPOINT=server.url, MODELS__TOKEN=TOKEN)
        monkeypatch.setattr(pull_model, "WAIT_S", 0.01)
        yield server


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def folder(site):
    return site.folder / "state" / "models"


def test_pull_list_verify_damage_mend_remove(site, hub, folder):
    states = {model["name"]: model for model in site.run("models", "list", "--json").records}
    assert {model["state"] for model in states.values()} == {"not pulled"}
    pulled = site.run("models", "pull", "qwen-image", "--json")
    commit = hub.repos["Qwen/Qwen-Image"].names["main"]
    assert (pulled.code, pulled.record["revision"], pulled.record["licence"]["id"]) == (0, commit, "apache-2.0")
    assert pulled.record["folder"] == str(folder / "qwen-image")
    states = {model["name"]: model for model in site.run("models", "list", "--json").records}
    assert (states["qwen-image"]["state"], states["qwen-image"]["revision"]) == ("pulled", commit)
    assert f"pulled at {commit[:12]}" in site.run("models", "list").out
    assert site.run("models", "verify").out == "qwen-image: {} files are sound\n".format(len(pulled.record["files"]))
    weights = folder / "qwen-image" / "vae" / "diffusion_pytorch_model.safetensors"
    damaged = bytearray(weights.read_bytes())
    damaged[-1] ^= 1
    weights.write_bytes(damaged)
    answer = site.run("models", "verify", "qwen-image")
    assert answer.code == 1
    assert "1 of " in answer.out
    assert "  vae/diffusion_pytorch_model.safetensors: its SHA-256 is " in answer.out
    told = site.run("models", "verify", "--json")
    assert (told.code, [file["path"] for file in told.record["damaged"]]) == (1, ["vae/diffusion_pytorch_model.safetensors"])
    hub.forget()
    assert site.run("models", "pull", "qwen-image").code == 0
    assert list(hub.served) == ["vae/diffusion_pytorch_model.safetensors"]
    assert site.run("models", "verify", "qwen-image").code == 0
    assert site.run("models", "remove", "qwen-image").out == "qwen-image: removed\n"
    assert not (folder / "qwen-image").exists()


def test_a_killed_pull_goes_on_where_it_was(site, hub, folder):
    hub.switches.pause_s = 0.01
    process = site.start("models", "pull", "qwen-image")
    part = folder / "qwen-image" / "tokenizer" / "merges.txt.part"
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size > 500_000):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    second = site.finish(site.start("models", "pull", "qwen-image"))
    assert (second.code, second.out) == (1, "")
    assert second.err == "fengmian: models: another process is at work on qwen-image; wait until it is done\n"
    process.kill()
    process.communicate()
    here = part.stat().st_size
    (row,) = [model for model in site.run("models", "list", "--json").records if model["name"] == "qwen-image"]
    assert row["state"] == "partial"
    assert row["here"] >= here
    hub.switches.pause_s = 0
    hub.forget()
    done = site.finish(site.start("models", "pull", "qwen-image"))
    assert done.code == 0, done.err
    assert hub.served["tokenizer/merges.txt"] == len(PADDING) - here
    assert site.run("models", "verify", "qwen-image").code == 0


def test_a_line_that_keeps_breaking_is_taken_up_again_by_itself(site, hub, folder):
    hub.switches.drop_after = 1_000_000
    answer = site.run("models", "pull", "qwen-image")
    assert (answer.code, hub.served["tokenizer/merges.txt"] < 2 * len(PADDING)) == (0, True)
    assert site.run("models", "verify", "qwen-image").code == 0


def test_a_hub_in_trouble_is_asked_again_and_then_given_up(site, hub):
    hub.switches.statuses, hub.switches.status_of = [503, 429], "/api/"
    assert site.run("models", "pull", "nsfw").code == 0
    site.run("models", "remove", "nsfw")
    hub.switches.statuses, hub.switches.forever = [500], True
    hub.forget()
    answer = site.run("models", "pull", "nsfw")
    assert (answer.code, len(hub.asked)) == (1, 3)
    assert answer.err == f"fengmian: models: {hub.url}: Falconsai/nsfw_image_detection at main answered with status 500\n"


@pytest.mark.parametrize(("words", "code", "line"), [
    (["pull", "qwen-imge"], 2, "models: 'qwen-imge' is not known; did you mean 'qwen-image'?"),
    (["pull", "../x"], 2, "models: '../x' is not known; see `fengmian models list`"),
    (["pull", "qwen-image", "--revision", "none"], 2, "Qwen/Qwen-Image at none does not exist (status 404)"),
    (["pull", "qwen-image-2512"], 2, "needs permission (status 401): set models.token"),
    (["verify", "nsfw"], 2, "models: 'nsfw' has not been pulled"),
    (["verify", "own"], 2, "models: 'own' is not known"),
    (["remove", "nsfw"], 2, "models: 'nsfw' has not been pulled"),
    (["remove", "own"], 2, "/own was not made by a pull and is left alone"),
    (["remove", "../posts"], 2, "models: '../posts' is no name of a model"),
    (["remove"], 2, "Missing argument"),
])
def test_bad_input_is_one_line(site, hub, folder, words, code, line):
    (folder / "own").mkdir(parents=True)
    answer = site.run("models", *words)
    assert (answer.code, answer.out) == (code, "")
    assert line in answer.err
    assert answer.err.count("\n") == 1
    assert TOKEN not in answer.err
    assert (folder / "own").is_dir()


def test_nothing_pulled_is_no_damage(site, hub):
    assert (site.run("models", "verify").out, site.run("models", "verify").code) == ("nothing is pulled\n", 0)


def test_a_pulled_name_paints_and_screens_and_publishes(site, hub, monkeypatch, folder):
    for name in ("qwen-image", "nsfw"):
        assert site.run("models", "pull", name).code == 0
    site.settle(monkeypatch, GENERATOR__CHECKPOINT="qwen-image", SAFETY__NSFW_MODEL="nsfw", SAFETY__PUBLISH_UNSCREENED="")
    site.post("a.md")
    record = site.finish(site.start("cover", "posts/a.md", "--json")).record
    assert record["checkpoint"].startswith("qwen-image@")
    assert record["verdicts"][-1]["decision"] == "pass"
    report = site.finish(site.start("doctor", "--json")).record
    found = {check["part"]: check["found"] for check in report["checks"]}
    commit = hub.repos["Qwen/Qwen-Image"].names["main"]
    assert found["licence"] == f"apache-2.0 ({RECORD_FILE}), Qwen/Qwen-Image at {commit[:12]}"


@pytest.mark.parametrize(("changes", "line"), [
    ({"GENERATOR__CHECKPOINT": "qwen-image"},
     "setting generator.checkpoint 'qwen-image': not pulled: run `fengmian models pull qwen-image`"),
    ({"SAFETY__NSFW_MODEL": "nsfw"}, "setting safety.nsfw_model 'nsfw': not pulled: run `fengmian models pull nsfw`"),
    ({"SUMMARIZER__KIND": "t5", "SUMMARIZER__MODEL": "t5-base-chinese"},
     "setting summarizer.model 't5-base-chinese': not pulled: run `fengmian models pull t5-base-chinese`"),
])
def test_a_known_name_that_is_not_pulled_is_told(site, monkeypatch, changes, line):
    site.settle(monkeypatch, **changes)
    site.post("a.md")
    answer = site.finish(site.start("cover", "posts/a.md"))
    assert (answer.code, answer.out, answer.err) == (2, "", f"fengmian: {line}\n")


def test_half_a_model_and_one_of_another_kind_are_told(site, hub, monkeypatch, folder):
    hub.switches.statuses, hub.switches.status_of, hub.switches.forever = [403], "/cdn/", True
    assert site.run("models", "pull", "nsfw").code == 2
    site.settle(monkeypatch, SAFETY__NSFW_MODEL="nsfw")
    site.post("a.md")
    assert "not pulled to the end: run `fengmian models pull nsfw`" in site.run("cover", "posts/a.md").err
    site.settle(monkeypatch, SAFETY__NSFW_MODEL="", GENERATOR__CHECKPOINT="nsfw")
    assert "setting generator.checkpoint 'nsfw': it is a picture_screen, not a checkpoint" in site.run("cover", "posts/a.md").err


def test_a_folder_in_the_working_directory_comes_before_a_pulled_name(site, monkeypatch, tiny_checkpoint):
    shutil.copytree(tiny_checkpoint, site.folder / "qwen-image")
    site.settle(monkeypatch, GENERATOR__CHECKPOINT="qwen-image", SAFETY__PUBLISH_UNSCREENED="qwen-image")
    site.post("a.md")
    assert site.finish(site.start("cover", "posts/a.md")).code == 0


@pytest.fixture
def checkpoint(site, monkeypatch, tiny_checkpoint):
    """A checkpoint of the site's own, to be given licences."""
    folder = shutil.copytree(tiny_checkpoint, site.folder / "ours")
    site.settle(monkeypatch, GENERATOR__CHECKPOINT=str(folder), SAFETY__PUBLISH_UNSCREENED="ours")
    site.post("a.md")
    return folder


RESEARCH = "---\nlicense: other\nlicense_name: qwen-research\n---\n"


@pytest.mark.parametrize(("card", "line"), [
    (RESEARCH, "checkpoint 'ours' may not publish: it has qwen-research (README.md); if you may publish what it paints, "
               "add 'qwen-research' to safety.publish_licences"),
    ("no front matter", "checkpoint 'ours' may not publish: it has no stated licence; if you may publish what it paints, "
                        "add 'ours' to safety.publish_licences"),
])
@pytest.mark.parametrize("allowed", ["", "mit", "our"])
def test_weights_that_may_not_publish_generate_all_the_same(site, monkeypatch, checkpoint, card, line, allowed):
    (checkpoint / "README.md").write_text(card)
    site.settle(monkeypatch, SAFETY__PUBLISH_LICENCES=json.dumps([allowed]))
    answer = site.run("cover", "posts/a.md")
    assert (answer.code, answer.out, site.painter.calls, site.stored) == (1, "", 0, [])
    assert answer.err == f"fengmian: {line}\n"
    assert site.run("backlog", "posts").code == 1
    gaps = [check for check in site.run("doctor", "--json").record["checks"] if check["state"] == "gap"]
    assert [(gap["part"], gap["found"]) for gap in gaps] == [("licence", line)]
    assert site.run("generate", "灯塔", "--size", "64x64").code == 0


@pytest.mark.parametrize("allowed", ["qwen-research", "ours"])
def test_a_licence_that_the_site_names_publishes(site, monkeypatch, checkpoint, allowed):
    (checkpoint / "README.md").write_text(RESEARCH)
    site.settle(monkeypatch, SAFETY__PUBLISH_LICENCES=json.dumps([allowed]))
    assert site.run("cover", "posts/a.md").code == 0
    found = {check["part"]: check["found"] for check in site.run("doctor", "--json").record["checks"]}
    assert found["licence"] == "qwen-research (safety.publish_licences allows it)"


def test_a_lora_is_gated_like_any_weights(site, monkeypatch, checkpoint):
    from safetensors.torch import save_file

    (checkpoint / "README.md").write_text("---\nlicense: mit\n---\n")
    module = "transformer_blocks.0.attn.to_q"
    file = site.folder / "loras" / "brand.safetensors"
    file.parent.mkdir()
    save_file({f"{module}.lora_down.weight": torch.zeros(2, 32), f"{module}.lora_up.weight": torch.zeros(32, 2)}, file)
    site.settle(monkeypatch, GENERATOR__LORAS=json.dumps([{"file": str(file)}]))
    assert "LoRA 'brand' may not publish: it has no stated licence" in site.run("cover", "posts/a.md").err
    (file.parent / "README.md").write_text("---\nlicense: cc-by-4.0\n---\n")
    assert site.run("doctor", "--json").record["ready"]


def test_a_record_that_says_no_is_obeyed(site, hub, checkpoint, folder):
    assert site.run("models", "pull", "nsfw").code == 0
    record = read_record(folder / "nsfw")
    write_record(checkpoint, replace(record, licence=replace(record.licence, id="qwen-research", commercial=False)))
    answer = site.run("cover", "posts/a.md")
    assert answer.code == 1
    assert f"it has qwen-research ({RECORD_FILE})" in answer.err


def test_the_token_is_never_printed(site, hub):
    hub.switches.needs_token = "another"
    for words in ("models pull nsfw", "models pull nsfw --debug", "models list --json", "doctor --json"):
        answer = site.run(*words.split())
        assert TOKEN not in answer.out + answer.err
