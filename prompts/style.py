"""StyleGuide: how a site's covers look, as designers wrote it in prompts/styles/*.yaml or in the site's own folder.

Wording a prompt from a guide lives in prompts/render.py.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast, get_args

from prompts.article import Language
from prompts.errors import PromptError
from prompts.yaml_reader import Located, nearest, read_yaml

Role = Literal["background", "main", "accent"]
Subject = Literal["left", "right", "centre", "top", "bottom"]
Density = Literal["sparse", "balanced", "dense"]
Tone = Literal["light", "dark"]

DEFAULT_STYLE = "modern-minimal"
DEFAULT_SIZES = ((1200, 630), (1024, 1024))
OUR_STYLES = Path(__file__).parent / "styles"
BRAND_FILE = "brand.yaml"

# Together with the caps in render.py these keep the longest possible prompt under its limit.
MAX_PHRASE = 60
MAX_COLOUR_NAME = 20
MAX_RULES = 200
MAX_FORBIDDEN = 24


@dataclass(frozen=True)
class Words:
    """The same phrase in both languages."""

    zh: str
    en: str

    def said_in(self, language: Language) -> str:
        """The phrase in `language`."""
        return self.zh if language == "zh" else self.en


QUIET: dict[Subject, Words] = {
    "left": Words("右侧留白供标题使用", "quiet area on the right for a title"),
    "right": Words("左侧留白供标题使用", "quiet area on the left for a title"),
    "centre": Words("四周留白", "quiet margins all around"),
    "top": Words("下方留白供标题使用", "quiet area at the bottom for a title"),
    "bottom": Words("上方留白供标题使用", "quiet area at the top for a title"),
}
"""Where the title goes when a guide does not say: away from the subject."""


@dataclass(frozen=True, kw_only=True)
class Colour:
    """One colour of a palette. hex: "#RRGGBB", upper case."""

    name: Words
    hex: str
    role: Role

    @property
    def luminance(self) -> float:
        """Relative luminance, 0 black to 1 white. Source: WCAG 2.2."""
        channels = [int(self.hex[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@dataclass(frozen=True, kw_only=True)
class Hints:
    """What the designer suggests to the sampler; None leaves it to the checkpoint."""

    steps: int | None = None
    guidance: float | None = None


@dataclass(frozen=True, kw_only=True)
class StyleGuide:
    """One look. Every word has a Chinese and an English wording."""

    name: str
    title: Words
    palette: tuple[Colour, ...]
    """Background, then main, then accents; 3 to 6 in all."""
    medium: Words
    subject: Subject
    density: Density
    quiet: Words
    """The region that stays calm, so that a title can be set there."""
    light: Words
    tone: Tone
    texture: Words
    forbidden_zh: tuple[str, ...]
    forbidden_en: tuple[str, ...]
    rules: Words
    sizes: tuple[tuple[int, int], ...] = DEFAULT_SIZES
    """Width and height in pixels."""
    hints: Hints = Hints()
    checkpoint_hints: Mapping[str, Hints] = field(default_factory=dict)

    def forbidden(self, language: Language) -> tuple[str, ...]:
        """What must not be in the picture, worded in `language`."""
        return self.forbidden_zh if language == "zh" else self.forbidden_en

    def hints_for(self, checkpoint: str) -> Hints:
        """The hints for a checkpoint: those under the longest name that `checkpoint` begins with, else the general."""
        names = sorted((name for name in self.checkpoint_hints if checkpoint.startswith(name)), key=len)
        if not names:
            return self.hints
        special = self.checkpoint_hints[names[-1]]
        return Hints(steps=special.steps if special.steps is not None else self.hints.steps,
                     guidance=special.guidance if special.guidance is not None else self.hints.guidance)


def list_styles(brand_folder: Path | None = None) -> list[str]:
    """The names of all guides, sorted: ours and those of the site's own folder."""
    return sorted(_style_files(brand_folder))


def load_style(name: str = DEFAULT_STYLE, brand_folder: Path | None = None) -> StyleGuide:
    """The guide called `name`; the site's own guide wins over ours, and its brand.yaml is applied on top.

    Raises PromptError naming the file, line and rule, or the nearest name for an unknown style.
    """
    files = _style_files(brand_folder)
    if name not in files:
        raise PromptError(f"style {name!r} is not known; {nearest(name, files)}")
    guide = _guide(read_yaml(files[name]), files[name].stem)
    brand = brand_folder / BRAND_FILE if brand_folder else None
    return _branded(guide, read_yaml(brand)) if brand and brand.is_file() else guide


def _style_files(brand_folder: Path | None) -> dict[str, Path]:
    if brand_folder and not brand_folder.is_dir():
        raise PromptError(f"brand folder {str(brand_folder)!r} is not a folder")
    folders = [OUR_STYLES, *([brand_folder] if brand_folder else [])]
    return {file.stem: file for folder in folders for file in folder.glob("*.yaml") if file.name != BRAND_FILE}


def _guide(source: Located, stem: str) -> StyleGuide:
    required = ("name", "title", "palette", "medium", "composition", "light", "texture", "forbidden", "rules")
    given = source.fields(required, ("sizes", "hints"))
    if given["name"].text(MAX_PHRASE) != stem:
        raise given["name"].error(f"it must be {stem!r}, like the file")
    palette = _palette(given["palette"])
    composition = given["composition"].fields(("subject", "density"), ("quiet",))
    subject = cast(Subject, composition["subject"].choice(get_args(Subject)))
    light = given["light"].fields(("zh", "en", "tone"))
    tone = cast(Tone, light["tone"].choice(get_args(Tone)))
    if tone != _tone_of(palette):
        raise light["tone"].error(f"it is {tone}, but the background {palette[0].hex} is {_tone_of(palette)}")
    hints, checkpoint_hints = _all_hints(given["hints"]) if "hints" in given else (Hints(), {})
    return StyleGuide(
        name=stem, title=_words(given["title"]), palette=palette, medium=_words(given["medium"]),
        subject=subject, density=cast(Density, composition["density"].choice(get_args(Density))),
        quiet=_words(composition["quiet"]) if "quiet" in composition else QUIET[subject],
        light=Words(light["zh"].text(MAX_PHRASE), light["en"].text(MAX_PHRASE)), tone=tone,
        texture=_words(given["texture"]), forbidden_zh=_forbidden(given["forbidden"], "zh"),
        forbidden_en=_forbidden(given["forbidden"], "en"), rules=_words(given["rules"], MAX_RULES),
        sizes=_sizes(given["sizes"]) if "sizes" in given else DEFAULT_SIZES,
        hints=hints, checkpoint_hints=checkpoint_hints)


def _branded(guide: StyleGuide, source: Located) -> StyleGuide:
    """`guide` with the site's palette, rules and sizes instead, and what the site forbids in addition."""
    given = source.fields((), ("palette", "rules", "forbidden", "sizes"))
    if "palette" in given:
        palette = _palette(given["palette"])
        guide = replace(guide, palette=palette, tone=_tone_of(palette))
    if "rules" in given:
        guide = replace(guide, rules=_words(given["rules"], MAX_RULES))
    if "sizes" in given:
        guide = replace(guide, sizes=_sizes(given["sizes"]))
    if "forbidden" in given:
        zh = tuple(dict.fromkeys((*guide.forbidden_zh, *_forbidden(given["forbidden"], "zh"))))
        en = tuple(dict.fromkeys((*guide.forbidden_en, *_forbidden(given["forbidden"], "en"))))
        if max(len(zh), len(en)) > MAX_FORBIDDEN:
            raise given["forbidden"].error(f"with those of style {guide.name!r} they are {max(len(zh), len(en))}; "
                                           f"at most {MAX_FORBIDDEN} are allowed")
        guide = replace(guide, forbidden_zh=zh, forbidden_en=en)
    return guide


def _words(source: Located, longest: int = MAX_PHRASE) -> Words:
    given = source.fields(("zh", "en"))
    return Words(given["zh"].text(longest), given["en"].text(longest))


def _palette(source: Located) -> tuple[Colour, ...]:
    colours = [_colour(item) for item in source.items(3, 6)]
    roles = [colour.role for colour in colours]
    if roles.count("background") != 1:
        raise source.error("it needs exactly one background colour")
    for role in ("main", "accent"):
        if role not in roles:
            raise source.error(f"it needs at least one {role} colour")
    return tuple(sorted(colours, key=lambda colour: get_args(Role).index(colour.role)))


def _colour(source: Located) -> Colour:
    given = source.fields(("name", "hex", "role"))
    code = given["hex"].text(20)
    if not re.fullmatch(r"#[0-9A-Fa-f]{6}", code):
        raise given["hex"].error(f'{code!r} is not a colour like "#F4F5F2"')
    role = cast(Role, given["role"].choice(get_args(Role)))
    return Colour(name=_words(given["name"], MAX_COLOUR_NAME), hex=code.upper(), role=role)


def _tone_of(palette: tuple[Colour, ...]) -> Tone:
    return "light" if palette[0].luminance >= 0.18 else "dark"


def _forbidden(source: Located, language: str) -> tuple[str, ...]:
    return tuple(item.text(40) for item in source.fields(("zh", "en"))[language].items(1, MAX_FORBIDDEN))


def _sizes(source: Located) -> tuple[tuple[int, int], ...]:
    return tuple(_size(item) for item in source.items(1, 12))


def _size(source: Located) -> tuple[int, int]:
    written = re.fullmatch(r"(\d{2,4})x(\d{2,4})", source.text(20))
    width, height = (int(side) for side in written.groups()) if written else (0, 0)
    if not all(64 <= side <= 4096 for side in (width, height)):
        raise source.error(f"{source.text(20)!r} is not a size like 1200x630, each side from 64 to 4096 px")
    return width, height


def _all_hints(source: Located) -> tuple[Hints, dict[str, Hints]]:
    given = source.fields((), ("steps", "guidance", "checkpoints"))
    special = given["checkpoints"].entries() if "checkpoints" in given else {}
    general = _hints({key: value for key, value in given.items() if key != "checkpoints"})
    return general, {name: _hints(value.fields((), ("steps", "guidance"))) for name, value in special.items()}


def _hints(given: Mapping[str, Located]) -> Hints:
    steps, guidance = given.get("steps"), given.get("guidance")
    if steps and steps.number(1, 200) % 1:
        raise steps.error(f"{steps.text(20)!r} is not a whole number")
    return Hints(steps=int(steps.number(1, 200)) if steps else None,
                 guidance=guidance.number(1, 30) if guidance else None)


def all_styles(brand_folder: Path | None = None) -> Iterator[StyleGuide]:
    """Every guide, in the order of their names. Raises PromptError at the first broken one."""
    return (load_style(name, brand_folder) for name in list_styles(brand_folder))
