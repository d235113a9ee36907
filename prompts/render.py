"""Brief + StyleGuide → Prompt. An article's words enter only as variables, never as template source.

The templates in prompts/templates say the sentence the bundled model was trained on. A site may give its own folder
with cover.zh.j2 and cover.en.j2; those run in a process of their own with limits on time, memory and length.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from prompts.article import Language
from prompts.brief import Brief
from prompts.errors import PromptError
from prompts.plain import plain
from prompts.style import Colour, Density, StyleGuide, Subject, Tone, Words

MAX_PROMPT_CHARACTERS = 1200
MAX_SENTENCE_CHARACTERS = 200
MAX_SUBJECT_CHARACTERS = 30

OUR_TEMPLATES = Path(__file__).parent / "templates"
SITE_TEMPLATE_BYTES = 64 * 1024
SITE_TEMPLATE_S = 3
SITE_TEMPLATE_MEMORY_BYTES = 512 * 1024 * 1024

PLACES: dict[Subject, Words] = {
    "left": Words("左侧", "on the left"), "right": Words("右侧", "on the right"),
    "centre": Words("中央", "in the centre"), "top": Words("上方", "at the top"),
    "bottom": Words("下方", "at the bottom"),
}
DENSITIES: dict[Density, Words] = {
    "sparse": Words("疏朗留白", "sparse with generous empty space"),
    "balanced": Words("疏密适中", "balanced"), "dense": Words("饱满密集", "rich and dense"),
}
TONES: dict[Tone, Words] = {"light": Words("浅色调", "light tones"), "dark": Words("深色调", "dark tones")}
NO_SUBJECT = Words("层叠的几何形体", "layered geometric shapes")


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """What the painter is told. text: at most 1200 visible characters. negative: what must not be in the picture."""

    text: str
    negative: str
    style: str
    language: Language


def render(brief: Brief, style: StyleGuide, language: Language, templates: Path | None = None) -> Prompt:
    """The prompt for `brief` in the look of `style`, worded in `language`.

    templates: the site's own folder, whose cover.<language>.j2 is used if it is there. Raises PromptError for a
    template that is broken, uses an unknown variable, runs too long or writes too much.
    """
    variables = _variables(brief, style, language)
    name = f"cover.{language}.j2"
    if templates and not templates.is_dir():
        raise PromptError(f"template folder {templates}: there is no such folder")
    site = templates / name if templates else None
    written = _render_site(site, variables) if site and site.is_file() else _our_template(name).render(variables)
    text = plain(written)
    if not text:
        raise PromptError(f"template {name}: the prompt is empty")
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise PromptError(f"template {name}: the prompt has {len(text)} characters; "
                          f"at most {MAX_PROMPT_CHARACTERS} are allowed")
    negative = ("、" if language == "zh" else ", ").join(style.forbidden(language))
    return Prompt(text=text, negative=negative, style=style.name, language=language)


def _variables(brief: Brief, style: StyleGuide, language: Language) -> dict[str, object]:
    """Everything a template may use: short, plain strings and lists of them."""
    medium = style.medium.said_in(language)
    names = [plain(subject.name)[:MAX_SUBJECT_CHARACTERS].strip() for subject in brief.subjects]
    sentence = plain(brief.sentence)[:MAX_SENTENCE_CHARACTERS]
    return {
        "medium": medium[:1].upper() + medium[1:],
        "sentence": sentence.rstrip(" 。.！!？?；;，,…") or NO_SUBJECT.said_in(language),
        "subjects": [name for name in names if name] or [NO_SUBJECT.said_in(language)],
        "place": PLACES[style.subject].said_in(language),
        "quiet": style.quiet.said_in(language),
        "density": DENSITIES[style.density].said_in(language),
        "palette": [_said(colour, language) for colour in style.palette],
        "tone": TONES[style.tone].said_in(language),
        "light": style.light.said_in(language),
        "texture": style.texture.said_in(language),
        "rules": style.rules.said_in(language),
    }


def _said(colour: Colour, language: Language) -> str:
    return f"{colour.name.said_in(language)} {colour.hex}"


@cache
def _our_template(name: str) -> Template:
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    return environment.from_string((OUR_TEMPLATES / name).read_text(encoding="utf-8"))


def _render_site(file: Path, variables: dict[str, object]) -> str:
    """Render a site's template where it can do no harm: jinja2's sandbox stops neither loops nor `'a' * 10**8`."""
    task = {"template": _source(file), "variables": variables, "most_characters": 4 * MAX_PROMPT_CHARACTERS,
            "cpu_s": SITE_TEMPLATE_S, "memory_bytes": SITE_TEMPLATE_MEMORY_BYTES}
    script = Path(__file__).with_name("site_template.py")
    try:
        child = subprocess.run([sys.executable, "-I", str(script)], input=json.dumps(task).encode(),
                               capture_output=True, timeout=SITE_TEMPLATE_S + 2, check=False)
    except subprocess.TimeoutExpired as exc:
        raise PromptError(f"template {file.name}: it runs longer than {SITE_TEMPLATE_S} s") from exc
    if child.returncode < 0:
        raise PromptError(f"template {file.name}: it runs longer than {SITE_TEMPLATE_S} s")
    if child.returncode > 0:
        raise PromptError(f"template {file.name}: it needs too much memory, or broke the process that runs it")
    reply: dict[str, str] = json.loads(child.stdout)
    if "error" in reply:
        raise PromptError(f"template {file.name}: {plain(reply['error'])[:300]}")
    return reply["text"]


def _source(file: Path) -> str:
    try:
        content = file.read_bytes()
        if len(content) > SITE_TEMPLATE_BYTES:
            raise PromptError(f"template {file.name}: it has {len(content)} bytes; "
                              f"at most {SITE_TEMPLATE_BYTES} are allowed")
        return content.decode("utf-8-sig")
    except OSError as exc:
        raise PromptError(f"template {file.name}: cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise PromptError(f"template {file.name}: byte {exc.start + 1} is not UTF-8") from exc
