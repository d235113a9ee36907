"""What `fengmian edit` does: opens a picture, lets the editor work on its latents, writes the result and its report."""

import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from flows.console import Watcher, hear, place_sheet, print_json
from flows.errors import BadInput
from flows.parsing import bad, parse_numbers
from flows.steps import check_folder, place_file
from flows.wiring import ports
from generator.masks import Mask, create_drawn_mask, create_elliptical_mask, create_polygonal_mask, create_rectangular_mask
from generator.request import CoverImage
from integrations.errors import NotFound, Refused
from integrations.pictures import Background, decode_file, encode

if TYPE_CHECKING:
    from generator.canvas import Canvas
    from generator.edit import Brush, Editor

    Change = Callable[[Editor, CoverImage, Brush], Canvas]

MAX_SPEC_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the command line asks of an edit, whichever it is."""

    prompt: str
    out: Path
    negative: str
    seed: int
    steps: int | None
    sheet: bool
    as_json: bool


def draw_mask(*, rect: str, ellipse: str, polygon: str, file: Path | None, invert: bool, feather_px: int) -> Mask:
    """The one mask that was asked for. Raises BadInput for none or several."""
    shapes = {"--rect": rect, "--ellipse": ellipse, "--polygon": polygon, "--mask": file}
    given = [name for name, value in shapes.items() if value]
    if len(given) != 1:
        bad(f"mask: give one of --rect, --ellipse, --polygon and --mask; given: {', '.join(given) or 'none'}")
    with _asked():
        if rect:
            x0, y0, width, height = parse_numbers("--rect", rect, 4)
            mask = create_rectangular_mask(x0, y0, width, height, feather_px)
        elif ellipse:
            x0, y0, width, height = parse_numbers("--ellipse", ellipse, 4)
            mask = create_elliptical_mask(x0, y0, width, height, feather_px)
        elif polygon:
            points = [parse_numbers("--polygon", point, 2) for point in polygon.split(";")]
            mask = create_polygonal_mask([(x, y) for x, y in points], feather_px)
        else:
            assert file is not None
            mask = create_drawn_mask(_open(file, "black"), str(file), feather_px)
    return ~mask if invert else mask


def inpaint(picture: Path, mask: Mask, wanted: Wanted) -> None:
    """Paint into `mask` and write the result."""
    _edit(picture, wanted, lambda editor, master, brush: editor.inpaint(editor.open(master), mask, wanted.prompt, brush))


def outpaint(picture: Path, size: tuple[int, int], anchor: str, wanted: Wanted) -> None:
    """Grow to `size` and write the result."""
    def grow(editor: "Editor", master: CoverImage, brush: "Brush") -> "Canvas":
        from generator.edit import anchor_sides
        sides = anchor_sides((master.width, master.height), size, anchor)
        return editor.outpaint(editor.open(master), sides, wanted.prompt, brush)

    _edit(picture, wanted, grow)


def img2img(picture: Path, strength: float, wanted: Wanted) -> None:
    """Paint it all anew and write the result."""
    _edit(picture, wanted, lambda editor, master, brush: editor.img2img(editor.open(master), wanted.prompt, brush), strength)


def _edit(picture: Path, wanted: Wanted, change: "Change", strength: float = 1.0) -> None:
    sheet = wanted.out.with_name(f"{wanted.out.stem}-sheet.png") if wanted.sheet else None
    master = _open(picture)
    _check_out(wanted.out, sheet, picture)
    with _asked(), Watcher(wanted.prompt[:40]):
        brush = make_brush(negative=wanted.negative, seed=wanted.seed, steps=wanted.steps, strength=strength)
        editor = ports().painter.editor
        final, report = editor.render(change(editor, master, brush))
    told = {"prompt": wanted.prompt, "seed": wanted.seed, **asdict(report)}
    _place(wanted.out, final, told, wanted.as_json, sheet)
    if sheet:
        place_sheet(sheet, [master, final], ["before", f"after: {wanted.prompt[:40]}"])
        print(sheet, file=sys.stderr if wanted.as_json else sys.stdout)


def make_brush(*, negative: str, seed: int, steps: int | None, strength: float = 1.0, guidance: float | None = None) -> "Brush":
    """How to paint, over the settings. Raises ValueError."""
    from generator.edit import Brush

    settings = ports().settings.generator
    return Brush(negative=negative, seed=seed, steps=settings.steps if steps is None else steps, strength=strength,
                 guidance=settings.guidance if guidance is None else guidance, progress=hear)


class MaskSpec(BaseModel):
    """One mask of a variants file: exactly one shape."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    rect: tuple[int, int, int, int] | None = None
    ellipse: tuple[int, int, int, int] | None = None
    polygon: tuple[tuple[float, float], ...] | None = None
    file: Path | None = None
    invert: bool = False
    feather: int = 0

    def draw(self, name: str, folder: Path) -> Mask:
        """The mask; its file is looked for beside the spec. Raises ValueError."""
        shapes = [shape for shape in (self.rect, self.ellipse, self.polygon, self.file) if shape is not None]
        if len(shapes) != 1:
            raise ValueError(f"mask {name}: give one of rect, ellipse, polygon and file")
        if self.rect:
            mask = create_rectangular_mask(*self.rect, feather_px=self.feather)
        elif self.ellipse:
            mask = create_elliptical_mask(*self.ellipse, feather_px=self.feather)
        elif self.polygon is not None:
            mask = create_polygonal_mask(self.polygon, self.feather)
        else:
            assert self.file is not None
            mask = create_drawn_mask(_open(folder / self.file, "black"), str(self.file), self.feather)
        return ~mask if self.invert else mask


class VariantsSpec(BaseModel):
    """A variants file. combinations: for each picture, which prompt of each mask, from 0; none: all of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    masks: dict[str, MaskSpec] = Field(min_length=1, max_length=16)
    prompts: dict[str, Annotated[tuple[str, ...], BeforeValidator(lambda given: (given,) if isinstance(given, str) else given)]]
    combinations: tuple[tuple[int, ...], ...] | None = None
    negative: str = ""
    seed: int = 0
    steps: int | None = None
    guidance: float | None = None


def variants(picture: Path, spec_file: Path, out: Path, *, sheet: bool, as_json: bool) -> None:
    """Paint every variant that the spec asks for into the folder `out`."""
    master, spec = _open(picture), read_spec(spec_file)
    check_folder(out)
    for file in (*out.glob("variant-*.png"), out / "sheet.png"):
        _check_apart(file, picture)
    with _asked():
        prompts = {mask.draw(name, spec_file.parent): spec.prompts[name] for name, mask in spec.masks.items()}
        if len(prompts) < len(spec.masks):
            bad(f"{spec_file}: two of its masks are one region: {', '.join(spec.masks)}")
        with Watcher("variants"):
            editor = ports().painter.editor
            brush = make_brush(negative=spec.negative, seed=spec.seed, steps=spec.steps, guidance=spec.guidance)
            found = editor.variants(editor.open(master), prompts, brush, spec.combinations)
    finals, captions = [master], ["before"]
    for number, variant in enumerate(found):
        final, report = editor.render(variant.canvas)
        named = dict(zip(spec.masks, variant.prompts, strict=True))
        _place(out / f"variant-{number:03}.png", final, {"prompts": named, "seed": spec.seed, **asdict(report)}, as_json,
               out / "sheet.png" if sheet else None)
        finals.append(final)
        captions.append(" + ".join(variant.prompts))
    if sheet:
        print(place_sheet(out / "sheet.png", finals, captions), file=sys.stderr if as_json else sys.stdout)


def read_spec(file: Path) -> VariantsSpec:
    """The spec in `file`. Raises BadInput naming the file, the field and the rule."""
    try:
        if file.stat().st_size > MAX_SPEC_BYTES:
            bad(f"{file}: it is larger than {MAX_SPEC_BYTES // 2**20} MiB")
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        spec = VariantsSpec.model_validate(content)
    except OSError as exc:
        raise BadInput(f"{file}: {exc.strerror}") from exc
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        raise BadInput(f"{file}: {'.'.join(map(str, first['loc'])) or 'the whole'}: {first['msg']}") from exc
    except (yaml.YAMLError, ValueError, RecursionError) as exc:  # ValueError: bytes, dates, numbers that are none
        raise BadInput(f"{file}: not readable as YAML: {' '.join(str(exc).split())}") from exc
    if set(spec.prompts) != set(spec.masks) or not all(spec.prompts.values()):
        bad(f"{file}: prompts must name at least one for each of the masks {', '.join(spec.masks)}, and nothing else")
    return spec


def _place(path: Path, picture: CoverImage, told: dict[str, Any], as_json: bool, sheet: Path | None) -> None:
    data = encode(picture, "png")
    place_file(path, data)
    if as_json:
        print_json({"path": str(path), "width": picture.width, "height": picture.height, "format": "png",
                    "sha256": hashlib.sha256(data).hexdigest(), "checkpoint": ports().generator.checkpoint, **told,
                    "sheet": str(sheet) if sheet else None})
    else:
        ratio = told["seam_gradient_ratio"]
        seam = "no seam" if ratio is None else f"seam gradient {ratio:.2f} of the picture's own"
        outside = told["outside_max_difference"]
        kept = "everything was painted" if outside is None else f"largest difference outside: {outside}"
        print(f"{path}\n  {kept}; {seam}")


def _check_out(out: Path, sheet: Path | None, picture: Path) -> None:
    if out.suffix.lower() != ".png":
        bad(f"out: {str(out)!r} must end in .png, which keeps every pixel as it is")
    if out.is_dir():
        bad(f"out: {str(out)!r} is a folder; give a file")
    check_folder(out.parent)
    for file in (out, sheet):
        if file is not None:
            _check_apart(file, picture)


def _check_apart(file: Path, picture: Path) -> None:
    if file.exists() and file.samefile(picture):
        bad(f"out: {str(file)!r} is the picture itself, which stays as it is; give another name")


def _open(file: Path, background: Background = "white") -> CoverImage:
    """The picture in `file`; what is transparent is white, or in a mask black: it stays."""
    try:
        return decode_file(file, background)
    except (NotFound, Refused) as exc:
        raise BadInput(str(exc)) from exc


@contextmanager
def _asked() -> Iterator[None]:
    """What the editor will not do is the question's fault."""
    try:
        yield
    except ValueError as exc:
        raise BadInput(str(exc)) from exc
