"""The captions the bundled model learns from: they say what the scene is, in the words that our templates render."""

import re
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

import prompts
from generator.studio.lexicon import topic_words
from generator.studio.scene import sample_scene
from generator.training.captions import KNOWN, PLACE_WORDS, SIDE_NAMES, _sentence, write_caption, write_composition

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


def test_the_topic_that_a_sentence_names_first_is_the_scenes():
    """The first topic word that is known belongs to the scene."""
    for seed in range(300):
        scene = replace(sample_scene(Random(seed), KNOWN), arrangement="one", second=None)
        caption = _sentence(scene, "en", Random(seed))
        words = {word.casefold(): motif for motif, by_language in topic_words().items() for word in by_language["en"]}
        parts = [part for part in re.split(r", | and | for |: ", caption) if part.casefold() in words]
        if parts:
            assert words[parts[0].casefold()] == scene.motif, caption
