"""Captions: what a person or a prompt template might have asked for to get a given scene, in zh, en and mixed.

The long forms follow the sentences of prompts/templates, so that a rendered prompt is familiar ground.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Literal

import yaml

import generator.studio
from generator.studio.palettes import RGB, format_hex, name_colour
from generator.studio.scene import MOTIFS, Density, Place, Scene

Tongue = Literal["zh", "en", "mixed"]
TONGUE_SHARES: tuple[Tongue, ...] = ("zh", "zh", "en", "mixed")
PLACE_WORDS: dict[str, dict[Place, tuple[str, ...]]] = {
    "zh": {"left": ("左侧", "左边", "画面左侧", "靠左"), "right": ("右侧", "右边", "画面右侧", "靠右"),
           "centre": ("中央", "居中", "画面中央", "正中"),
           "top": ("上方", "上部", "画面上方", "靠上"),
           "bottom": ("下方", "下部", "画面下方", "靠下")},
    "en": {"left": ("on the left", "at the left side", "left-aligned"),
           "right": ("on the right", "at the right side", "right-aligned"),
           "centre": ("in the centre", "in the center", "centred"), "top": ("at the top", "in the upper part", "near the top"),
           "bottom": ("at the bottom", "in the lower part", "near the bottom")},
}
DENSITY_WORDS: dict[str, dict[Density, tuple[str, ...]]] = {
    "zh": {"sparse": ("疏朗留白", "大面积留白", "极简"), "balanced": ("疏密适中", "均衡"), "dense": ("饱满密集", "丰富饱满")},
    "en": {"sparse": ("sparse with generous empty space", "minimal", "lots of empty space"), "balanced": ("balanced",),
           "dense": ("rich and dense", "dense")},
}
FILLERS = {
    "zh": ("现代极简", "扁平几何", "柔和棚拍光", "从左上方来的柔光", "细腻哑光", "纸张质感", "低饱和度", "不出现人脸",
           "无文字、标志、水印或签名",
           "这里记录每周值得分享的内容", "我们为什么需要它", "一篇值得读的文章", "大量负空间",
           "主体对侧留出安静的标题区域", "标题区域保持干净",
           "杂志封面", "插画", "渐变", "清晰的边缘", "有层次的阴影",
           "高级感", "留出标题位置", "写给大家", "关于它的一切", "科技爱好者", "第三百期"),
    "en": ("modern minimal", "flat geometric illustration", "soft studio lighting", "soft light from the upper left",
           "matte texture",
           "paper texture", "low saturation", "no faces", "no text, logo, watermark or signature", "what everybody should know",
           "why it matters", "a field report", "quiet area for a title on the opposite side", "clean edges", "layered shadows",
           "editorial illustration", "gradients", "premium look", "things we learned", "for the rest of us", "part one"),
}


QUIET_SIDES: dict[Place, tuple[Place, ...]] = {"left": ("right",), "right": ("left",), "top": ("bottom",), "bottom": ("top",),
                                               "centre": ("bottom", "top")}
"""Where a title goes beside a subject."""
SIDE_NAMES: dict[str, dict[Place, str]] = {
    "zh": {"left": "左侧", "right": "右侧", "top": "上方", "bottom": "下方"},
    "en": {"left": "on the left", "right": "on the right", "top": "at the top", "bottom": "at the bottom"}}
NAMELESS_SHARE = 0.12
"""Of the long captions: no known word in the subject, and a rule that names the motif."""


@dataclass(frozen=True, kw_only=True)
class Caption:
    """A caption and what it gives away; None where it says nothing of it."""

    text: str
    tongue: Tongue
    motif: str | None = None
    place: Place | None = None
    density: Density | None = None
    colours: tuple[RGB, ...] = ()


@cache
def topic_words() -> dict[str, dict[str, tuple[str, ...]]]:
    """Topic words by motif and language ("zh", "en"), from studio/lexicon.yaml."""
    file = Path(generator.studio.__file__).with_name("lexicon.yaml")
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    return {motif: {"zh": tuple(content[motif]["zh"].split()),
                    "en": tuple(word.strip() for word in content[motif]["en"].split(","))}
            for motif in MOTIFS}


@cache
def common_characters() -> str:
    """The 3,755 everyday Chinese characters of GB 2312, level 1."""
    codes = ((row, cell) for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF))
    return "".join(bytes(code).decode("gb2312", "ignore") for code in codes)


def _unknown_word(tongue: str, rng: Random) -> str:
    if tongue == "zh":
        return "".join(rng.choices(common_characters(), k=rng.randint(2, 4)))
    return "".join(rng.choice("bcdfghklmnprstvw") + rng.choice("aeiou") for _ in range(rng.randint(2, 4)))


def _words(motif: str, tongue: Tongue, rng: Random) -> Sequence[str]:
    language = rng.choice(("zh", "en")) if tongue == "mixed" else tongue
    return topic_words()[motif][language]


def _sentence(scene: Scene, tongue: Tongue, rng: Random) -> str:
    """A sentence about the scene's topic, with words around it that mean nothing to the picture."""
    language = rng.choice(("zh", "en")) if tongue == "mixed" else tongue
    word = rng.choice(_words(scene.motif, tongue, rng))
    noise = [rng.choice(FILLERS[language]) if rng.random() < 0.5 else _unknown_word(language, rng)
             for _ in range(rng.randint(0, 2))]
    if rng.random() < 0.35:
        noise.append(rng.choice(_words(rng.choice(list(MOTIFS)), tongue, rng)))
    if rng.random() < 0.4:
        noise.append(rng.choice(_words(scene.motif, tongue, rng)))
    parts = [word, *noise]
    if rng.random() < 0.6:
        rng.shuffle(parts)
    if language == "zh":
        glue = rng.choice(("，", "的", "与", "：", "", "和", "如何改变"))
        return glue.join(parts)
    return rng.choice((" ", ", ", " and ", " for ", ": ")).join(parts)


def _subjects(scene: Scene, tongue: Tongue, rng: Random) -> list[str]:
    """One to five subjects, the scene's own first (after an unknown word at most); others may point elsewhere."""
    own = [rng.choice(_words(scene.motif, tongue, rng))]
    for _ in range(rng.randint(0, 4)):
        pick = rng.random()
        if pick < 0.45:
            own.append(rng.choice(_words(scene.motif, tongue, rng)))
        elif pick < 0.75:
            own.append(rng.choice(_words(rng.choice(list(MOTIFS)), tongue, rng)))
        else:
            own.append(_unknown_word("en" if tongue == "en" else "zh", rng))
    if rng.random() < 0.25:
        own.insert(0, _unknown_word("en" if tongue == "en" else "zh", rng))
    return own[:5]


def _colour_list(scene: Scene, language: str, rng: Random) -> str:
    style = rng.random()
    items = []
    for colour in scene.palette.colours:
        name = name_colour(colour, language) if rng.random() < 0.7 else _unknown_word(language, rng)
        items.append(format_hex(colour) if style < 0.25 else f"{name} {format_hex(colour)}")
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


def _template(scene: Scene, tongue: Tongue, rng: Random) -> str:
    """The form of prompts/templates/cover.*.j2. The subject names the motif; where nothing in it is known, the rule does."""
    language = rng.choice(("zh", "en")) if tongue == "mixed" else tongue

    def fill() -> str:
        return rng.choice(FILLERS[language])

    if rng.random() < NAMELESS_SHARE:
        sentence = "".join(_unknown_word(language, rng) for _ in range(3))
        subjects = [_unknown_word(language, rng) for _ in range(rng.randint(1, 5))]
        rule = _rule([scene.motif], language)
    else:
        sentence, subjects = _sentence(scene, tongue, rng), _subjects(scene, tongue, rng)
        rule = _rule(rng.sample(list(MOTIFS), rng.randint(1, 3)), language) if rng.random() < 0.5 else fill()
    quiet = _quiet(scene.place, language, rng) if rng.random() < 0.75 else fill()
    place, density = PLACE_WORDS[language][scene.place][0], DENSITY_WORDS[language][scene.density][0]
    colours = _colour_list(scene, language, rng)
    if language == "zh":
        tone = "深色调" if scene.palette.is_dark else "浅色调"
        return (f"{fill()}封面。主题：{sentence}。画面主体：{'、'.join(subjects)}，以抽象几何形体隐喻。"
                f"构图：主体位于{place}，{quiet}，{density}。配色：{colours}，{tone}。光线：{fill()}。质感：{fill()}。{fill()}；{rule}。")
    tone = "dark tones" if scene.palette.is_dark else "light tones"
    return (f"{fill().capitalize()} cover. Theme: {sentence}. Subject: {', '.join(subjects)}, as an abstract geometric metaphor. "
            f"Composition: subject {place}, {quiet}, {density}. Palette: {colours}, {tone}. Light: {fill()}. Texture: {fill()}. "
            f"{fill().capitalize()}. {rule.capitalize()}.")


def _short(scene: Scene, tongue: Tongue, rng: Random) -> Caption:
    """A few words: the topic, and each other thing with some chance."""
    language = rng.choice(("zh", "en")) if tongue == "mixed" else tongue
    place = scene.place if rng.random() < 0.5 else None
    density = scene.density if rng.random() < 0.3 else None
    parts = [_sentence(scene, tongue, rng)]
    if place:
        parts.append(("主体" if language == "zh" and rng.random() < 0.5 else "") + rng.choice(PLACE_WORDS[language][place]))
        if rng.random() < 0.3:
            parts.append(_quiet(place, language, rng))
    if density:
        parts.append(rng.choice(DENSITY_WORDS[language][density]))
    colours: tuple[RGB, ...] = ()
    pick = rng.random()
    if pick < 0.3:
        parts.append(("配色：" if language == "zh" else "palette ") + _colour_list(scene, language, rng))
        colours = scene.palette.colours
    elif pick < 0.55 and scene.palette.zh:
        parts.append(scene.palette.zh + "配色" if language == "zh" else scene.palette.en + " palette")
        colours = scene.palette.colours
    elif pick < 0.75:
        parts.append(("主色 " if language == "zh" else "main color ") + format_hex(scene.palette.main))
    text = ("，" if language == "zh" else ", ").join(parts)
    return Caption(text=text, tongue=tongue, motif=scene.motif, place=place, density=density, colours=colours)


def write_caption(scene: Scene, rng: Random, tongue: Tongue | None = None) -> Caption:
    """One of the many captions that fit `scene`: seven in ten long as a template's, the rest short."""
    chosen = tongue if tongue is not None else rng.choice(TONGUE_SHARES)
    if rng.random() < 0.7:
        return Caption(text=_template(scene, chosen, rng), tongue=chosen, motif=scene.motif, place=scene.place,
                       density=scene.density, colours=scene.palette.colours)
    return _short(scene, chosen, rng)


def write_unrelated(rng: Random) -> str:
    """Text that asks for nothing this studio draws: what a negative prompt or an empty one looks like."""
    if rng.random() < 0.4:
        return ""
    language = rng.choice(("zh", "en"))
    words = [rng.choice(FILLERS[language]) if rng.random() < 0.3 else _unknown_word(language, rng)
             for _ in range(rng.randint(1, 10))]
    return ("、" if language == "zh" else ", ").join(words)
