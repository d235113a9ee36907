"""Captions: what a person or a prompt template might have asked for to get a given scene, in zh, en and mixed.

The long forms follow the sentences of prompts/templates, so that a rendered prompt is familiar ground.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from random import Random
from typing import Literal

from generator.layout import COUNTS, RELATIONS, Arrangement, Place
from generator.plain_words import plain_words
from generator.studio.palettes import RGB, format_hex, name_colour
from generator.studio.scene import MOTIFS, Scene
from generator.topics import GENERIC, mentions, subject_of, telling_characters, topic_of, topic_words
from generator.training.caption_words import (
    DENSITY_WORDS,
    FILLERS,
    FORBIDDEN,
    GLUES,
    LIGHT_WORDS,
    MATERIAL_WORDS,
    NUMBER_WORDS,
    PLACE_WORDS,
    QUIET_SIDES,
    RELATION_FORMS,
    ROLES,
    SIDE_NAMES,
    SIDE_PHRASES,
)

Tongue = Literal["zh", "en", "mixed"]
TONGUE_SHARES: tuple[Tongue, ...] = ("zh", "en", "mixed", "mixed")
"""Mixed captions are the hardest to read, so they are half of all."""
NAMELESS_SHARE = 0.12
"""Of the long captions: no known word in the subject, and a rule that names the motif."""
_COUNTING = re.compile(r"[一二两三四五六七八九十百千万几半双对单0-9左右上下前后中间里外旁边]|^(?:a|an|one|two|three|four|five|"
                       r"six|seven|eight|nine|ten|both|pair|double|single|left|right|above|below|under|over|beneath|behind|between|"
                       r"front|before|top|bottom|beside|upper|lower|middle|centre|center|near|side)$")
"""What a plain word of a short prompt must not have."""
KNOWN = tuple(motif for motif in MOTIFS if motif != GENERIC)


@dataclass(frozen=True, kw_only=True)
class Caption:
    """A caption and what it gives away. said: values of the scene's fields by name (motif, second, arrangement, place,
    density, material, light), without those that the text keeps silent about. colours: background, main and accents; None
    for one that is not said.
    """

    text: str
    tongue: Tongue
    said: dict[str, str] = field(default_factory=dict)
    colours: tuple[RGB | None, ...] = ()


@cache
def common_characters() -> str:
    """The 3,755 everyday Chinese characters of GB 2312, level 1."""
    codes = ((row, cell) for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF))
    return "".join(bytes(code).decode("gb2312", "ignore") for code in codes)


def unknown_word(tongue: str, rng: Random) -> str:
    """A word that leads nowhere."""
    if tongue == "zh":
        characters = [character for character in rng.choices(common_characters(), k=6) if character not in telling_characters()]
        return "".join(characters[:rng.randint(2, 4)]) or "某事"
    return "".join(rng.choice("bcdfghklmnprstvw") + rng.choice("aeiou") for _ in range(rng.randint(2, 4)))


def _language(tongue: Tongue, rng: Random) -> str:
    return rng.choice(("zh", "en")) if tongue == "mixed" else tongue


def topic_word(motif: str, tongue: Tongue, rng: Random) -> str:
    """A word of the lexicon for a motif; for the generic one, a word that nobody knows."""
    language = _language(tongue, rng)
    return unknown_word(language, rng) if motif == GENERIC else rng.choice(topic_words()[motif][language])


def _name(motif: str, language: str, rng: Random) -> str:
    """A motif as a thing: its own name more often than a topic word of it."""
    if motif == GENERIC:
        return rng.choice(("抽象几何", "几何形状", "抽象图形") if language == "zh" else ("abstract shapes", "geometric shapes"))
    words = topic_words()[motif][language]
    return words[0] if rng.random() < 0.6 else rng.choice(words[:12])


def _group(scene: Scene, tongue: Tongue, rng: Random) -> str:
    """The words that say how many there are, or how two stand to each other; "" for one alone, most of the time."""
    language = _language(tongue, rng)
    if scene.arrangement in RELATIONS and scene.second:
        form = rng.choice(RELATION_FORMS[language][scene.arrangement])
        return form.format(a=_name(scene.motif, language, rng), b=_name(scene.second, _language(tongue, rng), rng))
    if scene.arrangement == "one" and rng.random() < 0.8:
        return ""
    return _count(scene.arrangement, language, rng) + _name(scene.motif, language, rng)


def _stranger(language: str, rng: Random, with_numbers: bool) -> str:
    """Words that say nothing to the picture: a filler, an unknown word, or a few plain ones."""
    pick = rng.random()
    if pick < 0.25:
        return rng.choice(_silent_fillers()[language])
    if pick < 0.45:
        return unknown_word(language, rng)
    glue = "" if language == "zh" else " "
    return glue.join(rng.choices(_plain(language, with_numbers), k=rng.randint(1, 4)))


@cache
def _plain(language: str, with_numbers: bool) -> tuple[str, ...]:
    """Plain words without a known word in them; with_numbers: also those that could be taken for a count or a side."""
    return tuple(word for word in plain_words()[language]
                 if not mentions(word) and (with_numbers or not _COUNTING.search(word)))


@cache
def _silent_fillers() -> dict[str, tuple[str, ...]]:
    return {language: tuple(words for words in fillers if not mentions(words)) for language, fillers in FILLERS.items()}


def _topics(motif: str, tongue: Tongue, rng: Random) -> list[str]:
    """Topic words of `motif` and, fewer, of others."""
    if motif == GENERIC:
        return []
    own = [motif] * rng.choice((1, 1, 2, 2, 3))
    others = rng.choices(KNOWN, k=rng.choice((0, 0, 1, 1, 2, 3, 4)))
    if others and len(own) > 2 and rng.random() < 0.4:
        others.append(others[0])
    named = own + others
    rng.shuffle(named)
    return [topic_word(each, tongue, rng) for each in named]


def _sentence(topics: Sequence[str], tongue: Tongue, rng: Random, *, is_theme: bool) -> str:
    """A sentence with `topics` in order, and words around them that mean nothing to the picture. is_theme: of a template, whose
    sentence may speak of numbers and sides.
    """
    language = _language(tongue, rng)
    parts: list[str] = []
    for topic in _tell(topics, language, rng) if is_theme else topics:
        if rng.random() < 0.6:
            parts.append(_stranger(language, rng, is_theme))
        parts.append(topic)
    if not topics or rng.random() < 0.5:
        parts += [_stranger(language, rng, is_theme) for _ in range(rng.randint(1, 2))]
    if rng.random() < 0.5:
        return rng.choice(GLUES[language]).join(parts)
    return parts[0] + "".join(rng.choice(GLUES[language]) + part for part in parts[1:])


def _tell(topics: Sequence[str], language: str, rng: Random) -> list[str]:
    """Topics as an article speaks of them: some counted, some at a side, and now and then two of them beside each other."""
    told = []
    for topic in topics:
        pick = rng.random()
        if pick < 0.15:
            topic = _count(rng.choice(COUNTS), language, rng) + topic
        elif pick < 0.25:
            topic = rng.choice(SIDE_PHRASES[language]).format(topic)
        told.append(topic)
    if len(told) > 1 and rng.random() < 0.2:
        at = rng.randrange(len(told) - 1)
        form = rng.choice(RELATION_FORMS[language][rng.choice(RELATIONS)])
        told[at:at + 2] = [form.format(a=told[at], b=told[at + 1])]
    return told


def _count(arrangement: Arrangement, language: str, rng: Random) -> str:
    return rng.choice(NUMBER_WORDS[language][arrangement]) + ("" if language == "zh" else " ")


def _write_sentence(motif: str, tongue: Tongue, rng: Random) -> str:
    """A short prompt's sentence about `motif`."""
    while True:
        sentence = _sentence(_topics(motif, tongue, rng), tongue, rng, is_theme=False)
        if topic_of(sentence) == motif:
            return sentence


def _theme_and_subjects(scene: Scene, tongue: Tongue, rng: Random) -> tuple[str, list[str]]:
    """A template's sentence and its one to five subjects, of which the first known one is the scene's motif, or else the sentence
    speaks most of it. A group is named among the subjects, in any place.
    """
    other = "en" if tongue == "en" else "zh"
    while True:
        topics = _topics(scene.motif, tongue, rng)
        group = "" if scene.motif == GENERIC and scene.arrangement == "one" else _group(scene, tongue, rng)
        in_theme = len(topics) if rng.random() < 0.1 else rng.randint(0, len(topics))
        subjects = topics[in_theme:][:4] + [_stranger(other, rng, with_numbers=True) for _ in range(rng.randint(0, 2))]
        if rng.random() < 0.5:
            rng.shuffle(subjects)
        subjects = ([group] if group else []) + subjects[:5 - bool(group)]
        if group and rng.random() < 0.2:
            rng.shuffle(subjects)
        theme = _sentence(topics[:in_theme], tongue, rng, is_theme=True)
        if subjects and (group or subject_of(theme, subjects) == scene.motif):
            return theme, subjects


def _colour_list(colours: Sequence[RGB], language: str, rng: Random) -> str:
    """Colours in the order background, main, accents: codes, names with codes, or roles with codes."""
    style, items = rng.random(), []
    for number, colour in enumerate(colours):
        name = name_colour(colour, language) if rng.random() < 0.7 else unknown_word(language, rng)
        if style < 0.25:
            items.append(format_hex(colour))
        elif style < 0.4:
            items.append(f"{ROLES[language][number]} {format_hex(colour)}")
        else:
            items.append(f"{name} {format_hex(colour)}")
    return ("、" if language == "zh" else ", ").join(items)


def _quiet(place: Place, language: str, rng: Random) -> str:
    """The words that keep a title's room free, on the other side of the subject."""
    if place == "centre" and rng.random() < 0.5:
        return "四周留白" if language == "zh" else "quiet margins all around"
    side = SIDE_NAMES[language][rng.choice(QUIET_SIDES[place])]
    if language == "zh":
        return f"{side}{rng.choice(('留白', '留白', '留暗'))}{rng.choice(('供标题使用', '供标题使用', ''))}"
    return f"{rng.choice(('', '', 'dark '))}quiet area {side} for a title"


def write_composition(place: Place, language: str, rng: Random) -> str:
    """The clause of a template that says where the subject stands and which side stays quiet."""
    quiet = _quiet(place, language, rng)
    if language == "zh":
        return f"构图：主体位于{PLACE_WORDS['zh'][place][0]}，{quiet}"
    return f"Composition: subject {PLACE_WORDS['en'][place][0]}, {quiet}"


def _rule(motifs: Sequence[str], language: str) -> str:
    """A style guide's last sentence: the shapes it likes, by name."""
    names = [topic_words()[motif][language][0] for motif in motifs]
    if language == "zh":
        return f"{'、'.join(names)}构成主题隐喻；无人脸、无文字"
    return f"{', '.join(names)} carry the metaphor; no faces, no text"


def _texture(scene: Scene, language: str, rng: Random) -> str:
    """The material's words, or for paper sometimes a filler that leaves it open: paper is what goes without saying."""
    if scene.material == "paper" and rng.random() < 0.5:
        return rng.choice(FILLERS[language])
    word = rng.choice(MATERIAL_WORDS[language][scene.material])
    return word if rng.random() < 0.6 else f"{word}{'与' if language == 'zh' else ' and '}{rng.choice(FILLERS[language])}"


def _lighting(scene: Scene, language: str, said: dict[str, str], rng: Random) -> str:
    if rng.random() < 0.5:
        return rng.choice(FILLERS[language])
    said["light"] = scene.light
    return rng.choice(LIGHT_WORDS[language][scene.light])


def _basics(scene: Scene) -> dict[str, str]:
    """What every caption gives away: silence about number and material means one, of paper."""
    said = {"motif": scene.motif, "arrangement": scene.arrangement, "material": scene.material}
    return said if scene.second is None else {**said, "second": scene.second}


def _template(scene: Scene, tongue: Tongue, rng: Random) -> Caption:
    """The form of prompts/templates/cover.*.j2. The subject names the motif; where nothing in it is known, the rule does."""
    language = _language(tongue, rng)
    said = {**_basics(scene), "place": scene.place, "density": scene.density}

    def fill() -> str:
        """A filler; one in six speaks of something that is not to be painted."""
        stray = topic_word(rng.choice(KNOWN), tongue, rng) + ("" if language == "zh" else " ") if rng.random() < 1 / 6 else ""
        return stray + rng.choice(FILLERS[language])

    if rng.random() < NAMELESS_SHARE and scene.motif != GENERIC and scene.arrangement == "one":
        sentence, subjects = _theme_and_subjects(replace(scene, motif=GENERIC), tongue, rng)
        rule = _rule([scene.motif], language)
    else:
        sentence, subjects = _theme_and_subjects(scene, tongue, rng)
        named = rng.random() < 0.5 and scene.motif != GENERIC
        rule = _rule(rng.sample(KNOWN, rng.randint(1, 3)), language) if named else fill()
    quiet = _quiet(scene.place, language, rng) if rng.random() < 0.75 else fill()
    place, density = PLACE_WORDS[language][scene.place][0], DENSITY_WORDS[language][scene.density][0]
    colours = _colour_list(scene.palette.colours, language, rng)
    light, texture = _lighting(scene, language, said, rng), _texture(scene, language, rng)
    if language == "zh":
        tone = "深色调" if scene.palette.is_dark else "浅色调"
        text = (f"{fill()}封面。主题：{sentence}。画面主体：{'、'.join(subjects)}，以抽象几何形体隐喻。"
                f"构图：主体位于{place}，{quiet}，{density}。配色：{colours}，{tone}。光线：{light}。质感：{texture}。{fill()}；{rule}。")
    else:
        tone = "dark tones" if scene.palette.is_dark else "light tones"
        text = (f"{fill().capitalize()} cover. Theme: {sentence}. Subject: {', '.join(subjects)}, "
                "as an abstract geometric metaphor. "
                f"Composition: subject {place}, {quiet}, {density}. Palette: {colours}, {tone}. Light: {light}. "
                f"Texture: {texture}. {fill().capitalize()}. {rule.capitalize()}.")
    return Caption(text=text, tongue=tongue, said=said, colours=scene.palette.colours)


def _short(scene: Scene, tongue: Tongue, rng: Random) -> Caption:
    """A few words: the topic, and each other thing with some chance."""
    language = _language(tongue, rng)
    said, group = _basics(scene), _group(scene, tongue, rng)
    parts = [group or _write_sentence(scene.motif, tongue, rng)]
    if group and rng.random() < 0.4:
        parts.insert(rng.randint(0, 1), _write_sentence(scene.motif, tongue, rng))
    if rng.random() < 0.5:
        said["place"] = scene.place
        word = rng.choice(PLACE_WORDS[language][scene.place])
        parts.append(rng.choice(("主体", "主体位于", "")) + word if language == "zh" else rng.choice(("subject ", "")) + word)
        if rng.random() < 0.3:
            parts.append(_quiet(scene.place, language, rng))
    if rng.random() < 0.3:
        said["density"] = scene.density
        parts.append(rng.choice(DENSITY_WORDS[language][scene.density]))
    if scene.material != "paper" or rng.random() < 0.15:
        parts.append(rng.choice(MATERIAL_WORDS[language][scene.material]))
    if rng.random() < 0.2:
        said["light"] = scene.light
        parts.append(rng.choice(LIGHT_WORDS[language][scene.light]))
    own: Sequence[RGB] = scene.palette.colours
    colours: tuple[RGB | None, ...] = ()
    pick = rng.random()
    if pick < 0.3:
        parts.append(("配色：" if language == "zh" else "palette ") + _colour_list(own, language, rng))
        colours = tuple(own)
    elif pick < 0.5 and scene.palette.zh:
        parts.append(scene.palette.zh + "配色" if language == "zh" else scene.palette.en + " palette")
        colours = tuple(own)
    elif pick < 0.75:
        code, name = format_hex(scene.palette.main), name_colour(scene.palette.main, language)
        parts.append(("主色 " if language == "zh" else "main color ") + rng.choice((code, code, name)))
        colours = (None, scene.palette.main)
    if rng.random() < 0.3:
        rng.shuffle(parts)
    return Caption(text=("，" if language == "zh" else ", ").join(parts), tongue=tongue, said=said, colours=colours)


def write_caption(scene: Scene, rng: Random, tongue: Tongue | None = None) -> Caption:
    """One of the many captions that fit `scene`: six in ten long as a template's, the rest short."""
    chosen = tongue if tongue is not None else rng.choice(TONGUE_SHARES)
    return (_template if rng.random() < 0.6 else _short)(scene, chosen, rng)


def write_unrelated(rng: Random) -> str:
    """Text that asks for nothing: an empty prompt, or a negative one."""
    if rng.random() < 0.4:
        return ""
    language = rng.choice(("zh", "en"))
    words = rng.sample(FORBIDDEN[language], rng.randint(2, 9))
    return ("、" if language == "zh" else ", ").join(words)
