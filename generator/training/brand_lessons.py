"""What a brand LoRA learns from: approved pictures as latents, and the different ways of asking for each of them."""

import re
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from generator.denoise import Draft
from generator.grounding import Grounded, varied_seeds
from generator.house import House
from generator.latents import PATCH, pack
from generator.parts import Parts
from generator.pipeline import CoverPainter
from generator.request import CoverImage
from generator.scene_code import CHOICES, COLOURS, not_said

LOOK = re.compile(r"#[0-9a-f]{6}|配色|颜色|色调|主色|背景色|点缀色|质感|材质|光线|"
                  r"palette|colou?r|texture|material|light:|lighting|\btones?\b", re.IGNORECASE)
"""What a clause holds that speaks of colours or material."""
CLAUSE = re.compile(r"[^，。；,.;\n]+[，。；,.;\n\s]*")
LOOK_STATES = (*(row for row, (name, _) in enumerate(CHOICES) if name == "material"),
               *range(len(CHOICES), len(CHOICES) + COLOURS))
"""The states of a grounded checkpoint's prompts that speak of colours or material."""
PRIOR_TOPICS = ("山峦", "book", "齿轮", "cloud", "树叶", "a bridge", "时钟", "rocket", "锁", "stairs", "海浪", "a lamp")
PRIOR_LOOKS = (("玻璃质感", "#F2F5FA、#1F4FA3、#3FB0E0"), ("brushed metal", "#22252A, #F0A030, #8B929B"),
               ("黏土质感", "#F6E8DD、#B85C38、#5C3D2E"), ("neon, made of light", "#17122B, #E0457B, #3FD0C9"))
PRIOR_STEPS, PRIOR_GUIDANCE = 20, 3.0


@dataclass(frozen=True, kw_only=True)
class ApprovedCover:
    """A picture and what one would ask for it with; prompt empty: nothing is known."""

    picture: CoverImage
    prompt: str


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """A picture to learn. clean: [T, C*4] float32. inside: [T], 1 for tokens that show the picture, 0 beyond its edge.

    grid: rows and columns. full, bare, empty: what its prompt tells, that without colours and material, and no prompt at all.
    """

    clean: Tensor
    inside: Tensor
    grid: tuple[int, int]
    full: Grounded
    bare: Grounded
    empty: Grounded


@dataclass(frozen=True, kw_only=True)
class Sketch:
    """A cover on the grid that the checkpoint paints its size with, before it is decided what it is asked for with. states: of
    its prompt, [T, W]. Others as in Lesson.
    """

    clean: Tensor
    inside: Tensor
    grid: tuple[int, int]
    prompt: str
    states: Tensor


def make_sketch(painter: CoverPainter, cover: ApprovedCover) -> Sketch:
    """The cover as latents. Raises CheckpointError, DoesNotFit."""
    parts, picture = painter.parts, cover.picture
    grid = parts.grid(picture.width, picture.height)
    cell = PATCH * parts.vae_config.spatial_factor
    pixels, edge = lay_on_canvas(picture, grid[1] * cell, grid[0] * cell)
    return Sketch(clean=pack(painter.encode(pixels).clone())[0], inside=find_inside(grid, cell, edge), grid=grid,
                  prompt=cover.prompt, states=parts.read([cover.prompt])[cover.prompt])


def make_lesson(painter: CoverPainter, sketch: Sketch, house: House | None = None) -> Lesson:
    """The cover with what its prompt tells in a house."""
    seed, _ = find_seed(painter.parts, sketch, house)
    full, bare, empty = read_prompts(painter, sketch.prompt, sketch.grid, seed, house)
    return Lesson(clean=sketch.clean, inside=sketch.inside, grid=sketch.grid, full=full, bare=bare, empty=empty)


@torch.inference_mode()
def find_seed(parts: Parts, sketch: Sketch, house: House | None) -> tuple[int, float]:
    """The seed by which a prompt is best grounded on the cover, and how far it then is from what is expected. A prompt that
    leaves the place open would else be learned with the subject elsewhere.
    """
    if not parts.has_canvases:
        return 0, 0.0
    prior, found = parts.transformer().prior, list[tuple[float, int]]()
    for seed in varied_seeds():
        told = parts.ground(sketch.states, sketch.grid, seed, house=house)
        assert told.shown is not None
        belief = prior(told.shown[None], told.states.sum(0, keepdim=True))
        wrong = (sketch.clean - belief.mean[0].float().cpu()).square().mean(-1)
        found.append((float((wrong * sketch.inside).sum()), seed))
    least, best = min(found)
    return best, least


def lay_on_canvas(picture: CoverImage, width: int, height: int) -> tuple[Tensor, tuple[int, int]]:
    """(pixels [3, height, width] in -1..1, (left, top)): what `pipeline.fit` would make this picture of. left, top: how much of
    the canvas lies beyond the picture on either side; its border goes on there.
    """
    rgb = np.frombuffer(picture.rgb, np.uint8).reshape(1, picture.height, picture.width, 3)
    pixels = torch.from_numpy(rgb.copy()).permute(0, 3, 1, 2).float() / 127.5 - 1
    scale = min(width / picture.width, height / picture.height)
    sides = [min(max(round(picture.height * scale), 1), height), min(max(round(picture.width * scale), 1), width)]
    if sides != list(pixels.shape[2:]):
        pixels = F.interpolate(pixels, size=sides, mode="bicubic", antialias=True).clamp(-1, 1)
    high, wide = height - sides[0], width - sides[1]
    padded = F.pad(pixels, (wide // 2, wide - wide // 2, high // 2, high - high // 2), mode="replicate")
    return padded[0], (wide // 2, high // 2)


def find_inside(grid: tuple[int, int], cell: int, edge: tuple[int, int]) -> Tensor:
    """[T], 1 for tokens whose middle lies within the picture."""
    along = [(torch.arange(count) + 0.5) * cell for count in grid]
    rows, columns = ((middle > beyond) & (middle < len(middle) * cell - beyond)
                     for middle, beyond in zip(along, (edge[1], edge[0]), strict=True))
    return (rows[:, None] & columns[None]).flatten().float()


def read_prompts(painter: CoverPainter, prompt: str, grid: tuple[int, int],
                 seed: int = 0, house: House | None = None) -> tuple[Grounded, Grounded, Grounded]:
    """(full, bare, empty) of a prompt, grounded. A picture without one is asked for with nothing said of its look."""
    bare_text = prompt if painter.parts.has_canvases else leave_out_look(prompt)
    unsaid = prompt if painter.parts.has_canvases else ""  # with canvases it paints without guidance, and so never nothing
    states = painter.parts.read([prompt, bare_text, unsaid])
    full, bare, empty = (states[text].detach().clone().float() for text in (prompt, bare_text, unsaid))
    if painter.parts.has_canvases:
        bare, empty = silence(bare), silence(empty)
    full = full if prompt else bare
    told = [painter.parts.ground(one, grid, seed, house=house) for one in (full, bare, empty)]
    return told[0], told[1], told[2]


def silence(states: Tensor) -> Tensor:
    """A grounded checkpoint's states [12, 256] with colours and material not said."""
    rows = list(LOOK_STATES)
    states = states.clone()
    states[rows] = not_said()[rows].to(states)
    return states


def leave_out_look(prompt: str) -> str:
    """The prompt without the clauses that speak of colours or material."""
    return "".join(clause for clause in CLAUSE.findall(prompt) if not LOOK.search(clause)).strip()


def paint_priors(painter: CoverPainter, lessons: Sequence[Lesson], seconds: float, seed: int) -> list[Lesson]:
    """What the checkpoint itself paints where colours and material are said: learned beside the brand, so that they go on being
    obeyed. On the lessons' commonest grid, as many as the time allows.
    """
    grid, _ = Counter(lesson.grid for lesson in lessons).most_common(1)[0]
    rng, ends = Random(seed), time.monotonic() + seconds
    prompts = [f"{topic}，{material}，{colours}" for topic in PRIOR_TOPICS for material, colours in PRIOR_LOOKS]
    rng.shuffle(prompts)
    priors: list[Lesson] = []
    for prompt in prompts:
        if time.monotonic() >= ends:
            break
        seed = rng.randrange(2**31)
        draft = Draft(prompt=prompt, negative="", grid=grid, steps=PRIOR_STEPS, guidance=PRIOR_GUIDANCE, seed=seed)
        latents, = painter.sample([draft], painter.checkpoint)
        assert latents is not None
        full, _, _ = read_prompts(painter, prompt, grid, seed)
        priors.append(Lesson(clean=pack(latents.clone())[0].float().cpu(), inside=torch.ones(grid[0] * grid[1]), grid=grid,
                             full=full, bare=full, empty=full))
    return priors


def group_by_grid(lessons: Iterable[Lesson]) -> dict[tuple[int, int], list[Lesson]]:
    """Lessons that can be learned in one batch."""
    groups: dict[tuple[int, int], list[Lesson]] = {}
    for lesson in lessons:
        groups.setdefault(lesson.grid, []).append(lesson)
    return groups
