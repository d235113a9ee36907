"""`fengmian train curate`, end to end: pictures in; decisions, reasons and sheets out; and what bad input gets."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from flows import cli
from generator.studio.palettes import PALETTES, format_hex
from generator.studio.scene import Scene, paint
from tests.flows.conftest import Answer

SIZE = (640, 360)
SCENE = Scene(motif="gear", palette=PALETTES[2], place="left", density="sparse", seed=3)
KEY = Scene(motif="key", palette=PALETTES[10], place="right", density="sparse", seed=4)
POLICY = "least_aesthetic: 0\nmost_letters: 1000\n"


@dataclass
class Shop:
    """A working directory; nothing here needs a checkpoint."""

    folder: Path
    capture: object

    def run(self, *words):
        self.capture.readouterr()
        code = cli.run(list(words))
        return Answer(code, *self.capture.readouterr())


@pytest.fixture
def shop(tmp_path, monkeypatch, capfd):
    """A folder with two good pictures and a policy that leaves taste and letters aside, which other tests see to."""
    monkeypatch.chdir(tmp_path)
    site = Shop(tmp_path, capfd)
    folder = site.folder / "pictures"
    folder.mkdir()
    (site.folder / "posts").mkdir()
    for name, scene in (("gear.png", SCENE), ("key.png", KEY)):
        Image.fromarray(paint(scene, *SIZE)).save(folder / name)
    (site.folder / "policy.yaml").write_text(POLICY + "assumed_licence: own\n")
    return site


def curate(site, source="pictures", policy="policy.yaml"):
    return site.run("train", "curate", source, "--out", "out", "--policy", policy, "--json")


def decisions(site):
    return [json.loads(line) for line in (site.folder / "out" / "decisions.jsonl").read_text("utf-8").splitlines()]


def write_manifest(site, *lines):
    text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
    (site.folder / "pictures" / "manifest.jsonl").write_text(text)


def test_every_picture_has_a_decision_and_its_measures(shop):
    (shop.folder / "pictures" / "broken.png").write_bytes(b"\x89PNG no")
    answer = curate(shop)
    assert answer.code == 0, answer.err
    broken, gear, key = decisions(shop)
    assert [broken["file"], gear["file"], key["file"]] == ["broken.png", "gear.png", "key.png"]
    assert [broken["kept"], gear["kept"], key["kept"]] == [False, True, True]
    assert broken["reasons"] == ["unreadable: this is no PNG, JPEG, WEBP, AVIF file"]
    assert gear["sha256"] == hashlib.sha256((shop.folder / "pictures" / "gear.png").read_bytes()).hexdigest()
    assert (gear["width"], gear["height"], gear["reasons"]) == (*SIZE, [])
    assert gear["measures"]["blur"] < 2
    assert answer.record == answer.record | {"pictures": 3, "kept": 2, "dropped": 1, "reasons": {"unreadable": 1}}


def test_a_rerun_gives_the_same_file(shop):
    def run():
        assert curate(shop).code == 0
        return (shop.folder / "out" / "decisions.jsonl").read_bytes()

    assert run() == run()


def test_sheets_in_a_folder_within_are_not_taken_for_pictures(shop):
    for _ in range(2):
        answer = shop.run("train", "curate", "pictures", "--out", "pictures/out", "--policy", "policy.yaml", "--json")
        assert answer.record["pictures"] == 2


def test_a_manifest_gives_licence_source_and_palette(shop):
    (shop.folder / "policy.yaml").write_text(POLICY)
    right, wrong = ([format_hex(colour) for colour in scene.palette.colours] for scene in (SCENE, KEY))
    Image.open(shop.folder / "pictures" / "gear.png").save(shop.folder / "pictures" / "none.png")
    Image.open(shop.folder / "pictures" / "gear.png").save(shop.folder / "pictures" / "other.png")
    write_manifest(shop, {"file": "gear.png", "licence": "CC0-1.0", "source": "atelier", "title": "齿轮", "palette": right},
                   {"file": "other.png", "licence": "own", "palette": wrong}, "\n", {"file": "none.png", "licence": None},
                   {"file": "absent.png", "licence": "own"})
    answer = curate(shop, "pictures/manifest.jsonl")
    assert answer.code == 0, answer.err
    absent, gear, none, other = decisions(shop)
    assert absent["reasons"] == ["unreadable: there is no such file"]
    assert gear["kept"]
    assert (gear["licence"], gear["source"], gear["title"]) == ("CC0-1.0", "atelier", "齿轮")
    assert none["reasons"] == ["licence: none is stated"]
    assert [reason.partition(":")[0] for reason in other["reasons"]] == ["palette"]


def test_of_two_copies_the_larger_is_kept_and_the_other_names_it(shop):
    with Image.open(shop.folder / "pictures" / "key.png") as picture:
        picture.resize((768, 432), Image.Resampling.LANCZOS).save(shop.folder / "pictures" / "large.jpg", quality=92)
    assert curate(shop).code == 0
    found = {line["file"]: line["reasons"] for line in decisions(shop)}
    assert found == {"gear.png": [], "key.png": ["duplicate: looks like large.jpg"], "large.jpg": []}


def test_sheets_show_what_was_kept_and_dropped(shop):
    assert curate(shop).record["sheets"] == ["out/kept.png"]
    (shop.folder / "policy.yaml").write_text(POLICY)
    answer = curate(shop)
    assert answer.record["sheets"] == ["out/dropped.png"]
    with Image.open(shop.folder / "out" / "dropped.png") as sheet:
        assert sheet.width > 800


def test_people_read_counts(shop):
    (shop.folder / "policy.yaml").write_text(POLICY)
    answer = shop.run("train", "curate", "pictures", "--out", "out", "--policy", "policy.yaml")
    assert answer.out.startswith("0 of 2 pictures kept\n  2 licence\n")
    assert answer.out.endswith("out/decisions.jsonl\nout/dropped.png\n")


def test_links_out_of_the_folder_and_rings_of_links_are_dropped_with_a_reason(shop):
    Image.new("RGB", (640, 360)).save(shop.folder / "secret.png")
    os.symlink(shop.folder / "secret.png", shop.folder / "pictures" / "link.png")
    os.symlink("ring.png", shop.folder / "pictures" / "ring.png")
    os.symlink("..", shop.folder / "pictures" / "up")
    assert curate(shop).code == 0
    found = {line["file"]: line["reasons"] for line in decisions(shop)}
    assert found == {"gear.png": [], "key.png": [], "link.png": ["unreadable: it is outside the folder"],
                     "ring.png": ["unreadable: its links form a ring"]}


@pytest.mark.parametrize(("line", "told"), [
    ("{not json}\n", "line 1: '{not json}' is not JSON"),
    ("[1]\n", "line 1: the whole: Input should be"),
    ({"licence": "own"}, "line 1: file: Field required"),
    ({"file": "../secret.png"}, "line 1: file: '../secret.png' is outside the folder of the manifest"),
    ({"file": "/etc/hosts"}, "line 1: file: '/etc/hosts' is outside the folder of the manifest"),
    ({"file": "a\0.png"}, "file: 'a\\x00.png' is no name of a file"),
    ({"file": "gear.png", "palette": ["teal"]}, "line 1: palette: 'teal' is not #RRGGBB"),
    ("\n \n", "names no pictures"),
])
def test_a_manifest_that_makes_no_sense_is_refused_in_one_line(shop, line, told):
    write_manifest(shop, line)
    answer = curate(shop, "pictures/manifest.jsonl")
    assert answer.code == 2
    assert told in answer.err
    assert answer.err.count("\n") == 1
    assert not (shop.folder / "out").exists()


def test_a_picture_named_twice_is_refused(shop):
    write_manifest(shop, {"file": "gear.png"}, {"file": "gear.png"})
    answer = curate(shop, "pictures/manifest.jsonl")
    assert (answer.code, "line 2: file: 'gear.png' is named a second time" in answer.err) == (2, True)


@pytest.mark.parametrize(("text", "told"), [
    ("most_blurr: 3\n", "'most_blurr' is no bound of a policy; 'most_blur' is one"),
    ("most_blur: 900\n", "most_blur: 900 is not a number from 0.4 to 50"),
    ("least_quiet: much\n", "least_quiet: 'much' is not a number from 0 to 1"),
    ("faces: blur\n", "faces: 'blur' is not one of allow, drop, report"),
    ("licences: own\n", "licences: 'own' is not a list of names"),
    ("- most_blur\n", "it is not a list of bounds, NAME: VALUE"),
    ("a: [\n", "not readable as YAML"),
])
def test_a_policy_that_makes_no_sense_is_refused_in_one_line(shop, text, told):
    (shop.folder / "policy.yaml").write_text(text)
    answer = curate(shop)
    assert answer.code == 2
    assert told in answer.err
    assert answer.err.count("\n") == 1


@pytest.mark.parametrize(("source", "out", "told"), [
    ("posts", "out", "'posts' names no pictures"), ("nowhere", "out", "'nowhere' cannot be read"),
    ("ring", "out", "'ring' cannot be read"), ("pictures", "pictures", "is the folder of the pictures itself")])
def test_a_source_that_makes_no_sense_is_refused_in_one_line(shop, source, out, told):
    os.symlink("ring", shop.folder / "ring")
    answer = shop.run("train", "curate", source, "--out", out)
    assert answer.code == 2
    assert told in answer.err
    assert answer.err.count("\n") == 1
