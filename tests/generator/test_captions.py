"""The captions the bundled model learns from: they say what the scene is, in the words that our templates render."""

import re
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

import prompts
from generator.studio.scene import sample_scene
from generator.topics import GENERIC, mentions, subject_of, topic_of
from generator.training.captions import (
    KNOWN,
    NUMBER_WORDS,
    PLACE_WORDS,
    SIDE_NAMES,
    write_caption,
    write_composition,
)

TEMPLATES = Path(prompts.__file__).parent / "templates"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_long_captions_have_the_sentences_of_the_templates(language):
    source = (TEMPLATES / f"cover.{language}.j2").read_text(encoding="utf-8").strip()
    fixed = [re.escape(part).casefold() for part in re.split(r"\{\{.*?\}\}", source)]
    form = re.compile(".*?".join(fixed) + ".*", re.S)
    captions = [write_caption(sample_scene(Random(seed)), Random(seed), language) for seed in range(60)]
    assert sum(bool(form.fullmatch(caption.text.casefold())) for caption in captions) > 30


@pytest.mark.parametrize("language", ["zh", "en"])
def test_the_quiet_side_is_never_the_subjects_own(language):
    for place in PLACE_WORDS[language]:
        for seed in range(20):
            subject, _, quiet = write_composition(place, language, Random(seed)).partition("，" if language == "zh" else ", ")
            assert PLACE_WORDS[language][place][0] in subject
            assert place not in SIDE_NAMES[language] or SIDE_NAMES[language][place] not in quiet


def test_the_same_seed_writes_the_same_caption():
    assert write_caption(sample_scene(Random(3)), Random(3)) == write_caption(sample_scene(Random(3)), Random(3))


@pytest.mark.parametrize("tongue", ["zh", "en", "mixed"])
def test_what_is_named_first_or_most_is_the_scenes(tongue):
    """The first known subject of a template; in a short caption, what most words name."""
    long = re.compile(r"(?:。画面主体：|\. Subject: )(.*?)(?:，以抽象几何|, as an abstract geometric)")
    seen = {"long": 0, "short": 0}
    for seed in range(300):
        scene = replace(sample_scene(Random(seed), KNOWN), arrangement="one", second=None)
        caption = write_caption(scene, Random(seed), tongue)
        told = long.search(caption.text)
        if told and any(word in told[1] for words in NUMBER_WORDS.values() for word in words["one"]):
            continue  # a group is named in any place
        if told and (named := mentions(told[1])):
            seen["long"] += 1
            assert named[0] == scene.motif, caption
        elif told is None:
            seen["short"] += 1
            assert scene.motif in mentions(caption.text), caption
    assert min(seen.values()) > 40


@pytest.mark.parametrize(("sentence", "motif"), [
    ("云原生和一座桥", "cloud"), ("云原生和一座桥、桥梁", "bridge"), ("什么也没有", GENERIC), ("", GENERIC)])
def test_the_topic_of_a_sentence_is_what_most_words_name(sentence, motif):
    assert topic_of(sentence) == motif


def test_the_subjects_come_before_the_theme():
    assert subject_of("桥梁、桥梁", ["什么", "云原生", "桥"]) == "cloud"
    assert subject_of("桥梁", ["什么"]) == "bridge"
