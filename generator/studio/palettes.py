"""Colours of the studio: named palettes, colour names in both languages, and fresh palettes for training."""

import colorsys
from dataclasses import dataclass, replace
from random import Random

RGB = tuple[int, int, int]


def parse_hex(text: str) -> RGB:
    """(r, g, b), 0..255, from "#RRGGBB". Raises ValueError naming the value."""
    digits = text.removeprefix("#")
    if len(digits) != 6:
        raise ValueError(f"colour: {text!r} is not #RRGGBB")
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)


def format_hex(rgb: RGB) -> str:
    """"#RRGGBB", upper case."""
    return "#{:02X}{:02X}{:02X}".format(*rgb)


def mix(first: RGB, second: RGB, share: float) -> RGB:
    """`first` with `share` (0..1) of `second` in it, in sRGB."""
    return tuple(round(a + (b - a) * share) for a, b in zip(first, second, strict=True))  # type: ignore[return-value]


def luminance(rgb: RGB) -> float:
    """Perceived lightness, 0..1 (Rec. 601 luma, enough to tell light from dark)."""
    return (0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]) / 255


@dataclass(frozen=True, kw_only=True)
class Palette:
    """Colours of one picture. accents: one to three. zh, en: what a designer would call it, or empty."""

    background: RGB
    main: RGB
    accents: tuple[RGB, ...]
    zh: str = ""
    en: str = ""

    @property
    def is_dark(self) -> bool:
        """Whether the ground is dark, so that a title on it would be light."""
        return luminance(self.background) < 0.5

    @property
    def colours(self) -> tuple[RGB, ...]:
        """Background, main, accents: the order in which prompts name them."""
        return self.background, self.main, *self.accents

    @property
    def ordered(self) -> "Palette":
        """The palette as it is painted with: three accents, the two furthest from the ground first; the main colour is the third
        of two.
        """
        ground = luminance(self.background)
        accents = sorted(self.accents, key=lambda colour: -abs(luminance(colour) - ground))
        first, second, *rest = accents * 2 if len(accents) == 1 else accents
        return replace(self, accents=(first, second, rest[0] if rest else self.main))


def _named(zh: str, en: str, background: str, main: str, *accents: str) -> Palette:
    return Palette(zh=zh, en=en, background=parse_hex(background), main=parse_hex(main),
                   accents=tuple(parse_hex(accent) for accent in accents))


PALETTES: tuple[Palette, ...] = (
    _named("晨雾", "morning mist", "#EEF0EE", "#7F9A9B", "#C9B8A3", "#3F5759"),
    _named("燕麦与墨绿", "oat and pine", "#F3EDE1", "#2F4A3E", "#C98F5A", "#8FA58B"),
    _named("海盐", "sea salt", "#E9F1F4", "#2E6F8E", "#F2B880", "#8DB9C9"),
    _named("陶土", "terracotta", "#F6E8DD", "#B85C38", "#5C3D2E", "#E0A96D"),
    _named("薰衣草", "lavender", "#F0ECF6", "#7C6BA8", "#F0A6B5", "#B9AEDB"),
    _named("抹茶", "matcha", "#EFF3E4", "#7A9A4B", "#D9B44A", "#3F5B36"),
    _named("樱花", "cherry blossom", "#FBEFF0", "#D9728A", "#7BA6A1", "#F3B8C0"),
    _named("雪与炭", "snow and charcoal", "#F5F5F3", "#33373B", "#9AA1A6", "#D8573A"),
    _named("柠檬汽水", "lemon soda", "#FFF8DC", "#F2B705", "#2D6A75", "#F28F3B"),
    _named("冰川", "glacier", "#E4EFF5", "#4F8FBF", "#1F3A5F", "#A9D3E6"),
    _named("午夜蓝", "midnight blue", "#0F1B33", "#4C7DD9", "#F2C14E", "#8FB3F0"),
    _named("霓虹", "neon night", "#17122B", "#E0457B", "#3FD0C9", "#8A5BE0"),
    _named("松林夜", "pine night", "#12231F", "#3FA37A", "#E8D8A0", "#7FC8A9"),
    _named("石墨与琥珀", "graphite and amber", "#22252A", "#F0A030", "#8B929B", "#F5D08A"),
    _named("酒红", "burgundy", "#2B1019", "#C2475C", "#F0C9A6", "#8A2B42"),
    _named("深海", "deep sea", "#062A36", "#19A0A8", "#F26B5B", "#8FD6D2"),
    _named("赤陶夜", "ember", "#241A18", "#E2683C", "#F4C06A", "#9C4A34"),
    _named("商务蓝", "corporate blue", "#F2F5FA", "#1F4FA3", "#3FB0E0", "#F28C28"),
    _named("宣纸与墨", "rice paper and ink", "#F4F1E8", "#2A2A2A", "#8C8C86", "#B03A2E"),
    _named("珊瑚", "coral", "#FFF1EC", "#F2715A", "#2B7A78", "#F7B59E"),
)

COLOUR_NAMES: tuple[tuple[str, str, RGB], ...] = tuple(
    (zh, en, parse_hex(code)) for zh, en, code in (
        ("白色", "white", "#FFFFFF"), ("米白", "off-white", "#F4EFE4"), ("浅灰", "light grey", "#D6D8DA"),
        ("灰色", "grey", "#8E9499"), ("炭灰", "charcoal", "#3A3F44"), ("黑色", "black", "#141414"),
        ("红色", "red", "#D03A32"), ("酒红", "burgundy", "#7A2138"), ("珊瑚红", "coral", "#F2715A"),
        ("橙色", "orange", "#F08A2C"), ("陶土色", "terracotta", "#B85C38"), ("琥珀色", "amber", "#EFA92E"),
        ("黄色", "yellow", "#F3CE35"), ("沙色", "sand", "#D9BE94"), ("棕色", "brown", "#6B4630"),
        ("橄榄绿", "olive", "#7D8645"), ("浅绿", "light green", "#A8CF9C"), ("绿色", "green", "#4A9D57"),
        ("墨绿", "deep green", "#234536"), ("薄荷绿", "mint", "#9ED8C2"), ("青色", "teal", "#1F8C90"),
        ("天蓝", "sky blue", "#8CC3E8"), ("蓝色", "blue", "#2F6FC4"), ("藏青", "navy", "#14264B"),
        ("雾蓝", "dusty blue", "#7F9BB0"), ("紫色", "purple", "#7A52B3"), ("淡紫", "lilac", "#C4B3E0"),
        ("深紫", "deep purple", "#2A1B45"), ("粉色", "pink", "#F2A9BC"), ("玫红", "magenta", "#D23C7C"),
    )
)


def name_colour(rgb: RGB, language: str) -> str:
    """The nearest everyday name of a colour, "zh" or "en" (weighted RGB distance)."""
    def distance(entry: tuple[str, str, RGB]) -> float:
        red, green, blue = (a - b for a, b in zip(entry[2], rgb, strict=True))
        return 2 * red**2 + 4 * green**2 + 3 * blue**2
    zh, en, _ = min(COLOUR_NAMES, key=distance)
    return zh if language == "zh" else en


def _hsl(hue: float, saturation: float, lightness: float) -> RGB:
    red, green, blue = colorsys.hls_to_rgb(hue % 1, min(max(lightness, 0), 1), min(max(saturation, 0), 1))
    return round(red * 255), round(green * 255), round(blue * 255)


def sample_palette(rng: Random) -> Palette:
    """A palette for one training picture: half are the named ones, slightly varied, half are new."""
    if rng.random() < 0.5:
        palette = rng.choice(PALETTES)
        wobble = tuple(rng.randint(-6, 6) for _ in range(3))
        background = tuple(min(255, max(0, c + w)) for c, w in zip(palette.background, wobble, strict=True))
        return Palette(background=background, main=palette.main, accents=palette.accents,  # type: ignore[arg-type]
                       zh=palette.zh, en=palette.en)
    hue, dark = rng.random(), rng.random() < 0.45
    ground = _hsl(hue + rng.uniform(-0.1, 0.1), rng.uniform(0.15, 0.6), rng.uniform(0.06, 0.17)) if dark else _hsl(
        hue + rng.uniform(-0.1, 0.1), rng.uniform(0.05, 0.7), rng.uniform(0.9, 0.97))
    low, high = (0.45, 0.68) if dark else (0.25, 0.6)
    main = _hsl(hue, rng.uniform(0.25, 0.8), rng.uniform(low, high))
    step = rng.choice((0.08, 0.33, 0.42, 0.5))
    accents = [_hsl(hue + step, rng.uniform(0.4, 0.9), rng.uniform(0.5, 0.75)),
               _hsl(hue + rng.uniform(-0.06, 0.06), rng.uniform(0.1, 0.6), rng.uniform(0.6, 0.8) if dark else
                    rng.choice((rng.uniform(0.15, 0.3), rng.uniform(0.65, 0.82)))),
               _hsl(hue + 0.5 + rng.uniform(-0.1, 0.1), rng.uniform(0.2, 0.7), rng.uniform(0.5, 0.8))]
    return Palette(background=ground, main=main, accents=tuple(accents[: rng.choice((2, 2, 3))]))
