"""Article: one post as words. How it is fetched lives in integrations/cms; how it is judged lives elsewhere."""

from dataclasses import dataclass
from typing import Literal

Language = Literal["zh", "en"]


@dataclass(frozen=True, kw_only=True)
class Article:
    """One post, ready to be read: no markup, code, tables or link addresses are left in `text`."""

    id: str
    """Stable name of the post in its source: a path relative to the folder, a URL, or a CMS id."""
    title: str
    text: str
    language: Language
    source: str
    """Where it came from, as a person would open it: a file path or a URL."""
    description: str = ""
    """The author's own summary (front matter, meta description), or empty."""
    section: str = ""
    tags: tuple[str, ...] = ()
    cover: str = ""
    """The cover the post already has (path or URL), or empty."""


def detect_language(text: str) -> Language:
    """Chinese if at least one letter in eight is a Chinese character (Chinese posts quote English freely), else English."""
    letters = [letter for letter in text if letter.isalpha()]
    chinese = sum("\u3400" <= letter <= "\u9fff" or "\uf900" <= letter <= "\ufaff" for letter in letters)
    return "zh" if letters and chinese * 8 >= len(letters) else "en"
