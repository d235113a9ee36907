"""The command line's contract: what stands where, and what bad input gets."""

import json
import subprocess
import sys

import pytest
from PIL import Image

from tests.flows.conftest import CHINESE

MANY = "9" * 40


def loaded_after(code: str, *names: str) -> list[str]:
    script = f"{code}\nimport sys, json\nprint(json.dumps([name for name in {names!r} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    return json.loads(done.stdout.splitlines()[-1])


HEAVY = ("torch", "transformers", "prefect", "boto3", "jieba", "numpy")


def test_the_story_loads_no_model_library_and_no_engine():
    assert loaded_after("import flows.cover_post", *HEAVY) == []


def test_help_loads_nothing_heavy():
    code = "import flows.cli\nassert flows.cli.run(['--help']) == 0"
    assert loaded_after(code, *HEAVY, "pydantic_settings", "rich.console", "generator", "yaml") == []


def test_a_cached_cover_loads_no_model_library(site):
    site.post("a.md")
    site.run("cover", "posts/a.md")
    code = "import flows.cli\nassert flows.cli.run(['cover', 'posts/a.md']) == 0"
    assert loaded_after(code, "torch", "transformers", "prefect") == []


def test_json_is_all_that_a_process_prints(site):
    site.post("a.md")
    answer = site.finish(site.start("cover", "posts/a.md", "--json"))
    assert (answer.code, answer.err) == (0, "")
    assert answer.record["id"] == "a.md"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["posts/none.md"], "posts: 'posts/none.md' is neither a file nor a folder"),
        ([""], "source: it is empty; give a file, a folder or a web address"),
        (["empty"], "source: 'empty' holds no posts"),
        (["ftp://127.0.0.1/x"], "'ftp://127.0.0.1/x' has the scheme 'ftp'; only http and https are allowed"),
        (["http://10.0.0.1/x"], "10.0.0.1"),
        (["posts", "--size", "1200"], "size: '1200' is not WxH in pixels, such as 1200x630"),
        (["posts", "--size", "1200x"], "size: '1200x' is not WxH in pixels, such as 1200x630"),
        (["posts", "--size", "-5x630"], "size: '-5x630' is not WxH in pixels, such as 1200x630"),
        (["posts", "--size", "１２００x630"], "size: '１２００x630' is not WxH in pixels, such as 1200x630"),
        (["posts", "--size", "63x630"], "size: '63x630' has a side of 63 px; each must be from 64 to 4096"),
        (
            ["posts", "--size", f"{MANY}x630"],
            f"size: '{MANY}x630' has a side of 999999999 px; each must be from 64 to 4096",
        ),
        (["posts", "--seed", "x"], "'x' is not a whole number"),
        (["posts", "--seed", "1.5"], "'1.5' is not a whole number"),
        (["posts", "--seed", "-1"], "seed: -1 is not from 0 to 2**63-1"),
        (["posts", "--seed", "9223372036854775808"], "seed: 9223372036854775808 is not from 0 to 2**63-1"),
        (["posts", "--lang", "fr"], "lang: 'fr' is not zh, en or auto"),
        (["posts", "--style", "modern-minimel"], "style 'modern-minimel' is not known; did you mean 'modern-minimal'?"),
        (["posts", "--out", "posts/a.md"], "out: 'posts/a.md' cannot take files: File exists"),
        (["posts", "--colour", "red"], "No such option: --colour"),
        ([], "Missing argument"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_two(site, words, line):
    (site.folder / "empty").mkdir()
    post = site.post("a.md")
    answer = site.run("cover", *words)
    assert (answer.code, answer.out, site.painter.calls) == (2, "", 0)
    assert answer.err.startswith("fengmian: ")
    assert line in answer.err
    assert answer.err.count("\n") == 1
    assert post.read_text() == CHINESE


@pytest.mark.parametrize(("words", "line"), [
    (["backlog", "posts", "--limit", "0"], "limit: 0 is not at least 1"),
    (["backlog", "none"], "posts: 'none' is neither a file nor a folder"),
    (["generate", "cat", "-n", "0"], "-n: 0 is not from 1 to 64"),
    (["generate", "cat", "-n", "many"], "'many' is not a whole number"),
    (["generate", "cat", "--steps", "0"], "steps: 0 is not from 1 to 200"),
    (["generate", "  "], "prompt: it is empty"),
    (["generate", "cat", "--out", "posts/a.md"], "out: 'posts/a.md' cannot take files: File exists"),
    (["generate", "x" * 2001], "prompt: it has 2001 characters; at most 2000 are allowed"),
    (["styles", "show", "ink-wosh"], "style 'ink-wosh' is not known; did you mean 'ink-wash'?"),
    (["styles", "show", "ink-wash", "--lang", "de"], "lang: 'de' is not zh or en"),
    (["paint"], "No such command 'paint'"),
])
def test_bad_input_to_the_other_commands(site, words, line):
    site.post("a.md")
    answer = site.run(*words)
    assert (answer.code, answer.out, site.painter.calls) == (2, "", 0)
    assert answer.err.startswith("fengmian: ")
    assert line in answer.err
    assert answer.err.count("\n") == 1


def test_debug_shows_where_an_error_came_from(site):
    answer = site.run("cover", "posts/none.md", "--debug")
    assert answer.code == 2
    assert answer.err.startswith("Traceback (most recent call last):")
    assert answer.err.splitlines()[-1] == "fengmian: posts: 'posts/none.md' is neither a file nor a folder"


def test_an_unforeseen_error_is_one_line_that_asks_for_a_report(site):
    site.post("a.md")
    site.painter.generate = lambda request, progress: {}["weights"]
    answer = site.run("cover", "posts/a.md")
    assert answer.code == 1
    assert answer.err == "fengmian: KeyError: 'weights' (not foreseen: --debug shows where, please report it)\n"


def test_missing_weights_are_a_failure_in_one_line(site, monkeypatch):
    site.post("a.md")
    site.settle(monkeypatch, GENERATOR__CHECKPOINT=str(site.folder / "gone"))
    answer = site.finish(site.start("cover", "posts/a.md"))
    assert (answer.code, answer.out) == (1, "")
    assert (
        answer.err
        == f"fengmian: {site.folder / 'gone' / 'model_index.json'}: no such file; a checkpoint folder has one\n"
    )


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_a_device_that_is_not_there_is_bad_input(site, monkeypatch, device):
    site.post("a.md")
    site.settle(monkeypatch, GENERATOR__DEVICE=device)
    answer = site.finish(site.start("cover", "posts/a.md"))
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"fengmian: setting generator.device '{device}': torch cannot use it: ")
    assert answer.err.count("\n") == 1


def test_generate_paints_one_picture_a_seed_and_a_contact_sheet(site):
    answer = site.run(
        "generate",
        "一片叶子",
        "--negative",
        "文字",
        "--size",
        "128x64",
        "--seed",
        "5",
        "--steps",
        "1",
        "-n",
        "3",
        "--json",
    )
    assert answer.code == 0
    assert [(record["seed"], record["width"], record["height"]) for record in answer.records] == [
        (5, 128, 64),
        (6, 128, 64),
        (7, 128, 64),
    ]
    assert len({record["sha256"] for record in answer.records}) == 3
    sheet = answer.err.strip()
    with Image.open(site.folder / sheet) as picture:
        assert picture.width > 3 * 128


def test_one_picture_needs_no_sheet(site):
    answer = site.run("generate", "leaf", "--size", "128x64", "--steps", "1")
    assert [site.folder / answer.out.strip()] == site.covers


def test_styles_are_listed_shown_and_previewed(site):
    listed = site.run("styles").out
    assert "ink-wash" in listed
    assert "水墨留白" in listed
    shown = site.run("styles", "show", "ink-wash").out
    assert shown.startswith("[zh] 单色水墨意境抽象封面。")
    assert "[en negative] text, logo" in shown
    assert site.run("styles", "preview", "--size", "128x64").out == "covers/styles.png\n"
    assert site.painter.calls == len([line for line in listed.splitlines() if "#" in line])
