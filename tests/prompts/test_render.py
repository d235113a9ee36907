"""Rendered prompts: their exact wording, their limits, and templates and articles that mean harm.

`FENGMIAN_WRITE_SNAPSHOTS=1 pytest tests/prompts` rewrites the expected wording; read the difference before committing.
"""

import os
import time
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import UndefinedError

from prompts.brief import Brief, Subject
from prompts.errors import PromptError
from prompts.plain import plain
from prompts.render import MAX_PROMPT_CHARACTERS, _our_template, _variables, render
from prompts.style import (
    MAX_COLOUR_NAME,
    MAX_PHRASE,
    MAX_RULES,
    Colour,
    StyleGuide,
    Words,
    list_styles,
    load_style,
)

SNAPSHOTS = Path(__file__).parent / "snapshots"
BRIEFS = {
    "zh": Brief(sentence="只有开放才能打败技术封锁。", language="zh", method="extractive",
                subjects=(Subject(name="开放", weight=0.6), Subject(name="封锁", weight=0.4))),
    "en": Brief(sentence="Open networks outlive every wall built around them.", language="en", method="extractive",
                subjects=(Subject(name="open networks", weight=0.7), Subject(name="walls", weight=0.3))),
}


def brief(sentence: str, *names: str, language: str = "zh") -> Brief:
    subjects = tuple(Subject(name=name, weight=1 / len(names)) for name in names)
    return Brief(sentence=sentence, subjects=subjects, language=language, method="test")


def site_template(folder: Path, source: str) -> Path:
    (folder / "cover.zh.j2").write_text(source, encoding="utf-8")
    return folder


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("style", list_styles())
def test_the_wording_of_each_style_is_as_agreed(style, language):
    prompt = render(BRIEFS[language], load_style(style), language)
    written = f"{prompt.text}\n---\n{prompt.negative}\n"
    file = SNAPSHOTS / f"{style}.{language}.txt"
    if os.environ.get("FENGMIAN_WRITE_SNAPSHOTS"):
        file.write_text(written, encoding="utf-8")
    assert written == file.read_text(encoding="utf-8")


def test_there_is_no_snapshot_without_a_style():
    assert {file.name.split(".")[0] for file in SNAPSHOTS.glob("*.txt")} == set(list_styles())


def test_the_chinese_prompt_has_the_shape_the_bundled_model_was_trained_on():
    assert render(BRIEFS["zh"], load_style(), "zh").text == (
        "现代极简抽象几何封面。主题：只有开放才能打败技术封锁。画面主体：开放、封锁，以抽象几何形体隐喻。"
        "构图：主体位于右侧，左侧留白供标题使用，疏朗留白。"
        "配色：雾白 #F3F3EF、灰蓝 #8FA3B0、陶土 #C8A18A、石墨 #4A5058，浅色调。"
        "光线：柔和的影棚光。质感：哑光细腻，低饱和。"
        "低饱和，大面积留白，以抽象几何隐喻主题；无人脸、无文字、无标志、无水印、无签名。")


def longest_guide() -> StyleGuide:
    colour = Colour(name=Words("色" * MAX_COLOUR_NAME, "c" * MAX_COLOUR_NAME), hex="#FFFFFF", role="main")
    phrase = Words("长" * MAX_PHRASE, "l" * MAX_PHRASE)
    return replace(load_style(), palette=(colour,) * 6, medium=phrase, quiet=phrase, light=phrase, texture=phrase,
                   rules=Words("规" * MAX_RULES, "r" * MAX_RULES), density="sparse", subject="centre")


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_longest_allowed_guide_and_brief_fit_the_limit(language):
    longest = brief(" ".join(["w" * 50] * 30), *["s" * 80] * 5, language="en")
    assert len(render(longest, longest_guide(), language).text) <= MAX_PROMPT_CHARACTERS


@given(sentence=st.text(min_size=1, max_size=60), name=st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_whatever_the_article_says_the_prompt_is_one_plain_line(sentence, name):
    if not sentence.strip():
        return
    text = render(brief(sentence, name), load_style(), "zh").text
    assert "  " not in text
    assert not {unicodedata.category(character) for character in text} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert text.startswith("现代极简抽象几何封面。主题：")
    text.encode("utf-8")


@pytest.mark.parametrize("hidden", list("\u202e\u200b\ufeff\x00\ud800\U000e0041\ufe0f\u3164\u2066"))
def test_invisible_characters_do_not_reach_the_prompt(hidden):
    assert plain(f"开{hidden}放") in ("开放", "开 放")
    assert hidden not in render(brief(f"开{hidden}放", f"封{hidden}锁"), load_style(), "zh").text


@pytest.mark.parametrize("code", ["{{7*7}}", "{% for x in y %}", "{{ ''.__class__ }}", "{# note #}"])
def test_template_code_in_an_article_stays_words(code):
    assert code in render(brief(f"标题{code}在此", "甲"), load_style(), "zh").text


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_variable_that_is_missing_raises(language):
    variables = _variables(BRIEFS[language], load_style(), language)
    for name in variables:
        with pytest.raises(UndefinedError, match=name):
            _our_template(f"cover.{language}.j2").render({key: variables[key] for key in variables if key != name})


def test_a_brief_without_subjects_still_gives_a_whole_sentence():
    assert "画面主体：层叠的几何形体，以抽象" in render(brief("主题"), load_style(), "zh").text


def test_rendering_our_own_template_takes_less_than_20_ms():
    guide = load_style()
    render(BRIEFS["zh"], guide, "zh")
    started = time.perf_counter()
    for _ in range(10):
        render(BRIEFS["zh"], guide, "zh")
    assert (time.perf_counter() - started) / 10 < 0.02


def test_a_site_template_replaces_ours_for_its_language_only(tmp_path):
    folder = site_template(tmp_path, "题：{{ sentence }}，{{ subjects | length }} 个\n主体")
    assert render(BRIEFS["zh"], load_style(), "zh", folder).text == "题：只有开放才能打败技术封锁，2 个 主体"
    assert render(BRIEFS["en"], load_style(), "en", folder) == render(BRIEFS["en"], load_style(), "en")


@pytest.mark.parametrize(("source", "rule"), [
    ("{{ sentense }}", "'sentense' is undefined"),
    ("{{ medium", "line 1: unexpected end of template"),
    ("{{ ''.__class__.__mro__ }}", "is unsafe"),
    ("{% include 'cover.en.j2' %}", "no loader"),
    ("{{ 'a' * 10**8 }}", "writes more than 4800 characters"),
    ("{{ 'a' * 10**11 }}", "too much memory"),
    ("{% for i in range(9999) %}{{ i }}{% endfor %}", "writes more than 4800 characters"),
    ("{{ 'a' * 1300 }}", "has 1300 characters; at most 1200"),
    ("  \n ", "the prompt is empty"),
])
def test_a_site_template_that_breaks_a_rule_is_refused_in_one_line(tmp_path, source, rule):
    with pytest.raises(PromptError, match=rule) as caught:
        render(BRIEFS["zh"], load_style(), "zh", site_template(tmp_path, source))
    assert str(caught.value).startswith("template cover.zh.j2: ")
    assert "\n" not in str(caught.value)


def test_a_template_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(PromptError, match=r"template folder .*none: there is no such folder"):
        render(BRIEFS["zh"], load_style("modern-minimal"), "zh", tmp_path / "none")


def test_an_endless_site_template_is_stopped(tmp_path):
    loop = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    started = time.perf_counter()
    with pytest.raises(PromptError, match="runs longer than 3 s"):
        render(BRIEFS["zh"], load_style(), "zh", site_template(tmp_path, loop))
    assert time.perf_counter() - started < 8


def test_a_site_template_cannot_reach_our_code_or_its_own_folder(tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    with pytest.raises(PromptError):
        render(BRIEFS["zh"], load_style(), "zh", site_template(tmp_path, "{% import 'secret.txt' as s %}{{ s }}"))
