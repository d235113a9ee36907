"""Brief: what an article is about, short enough to paint."""

import re
from dataclasses import dataclass

from prompts.article import Language

MAX_CHARACTERS_ZH = 60
MAX_WORDS_EN = 30
MAX_SUBJECTS = 5


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One thing the article is about. weight: share of attention, in (0, 1]; a brief's weights sum to 1."""

    name: str
    weight: float


@dataclass(frozen=True, kw_only=True)
class Brief:
    """One sentence (at most 60 characters in Chinese, 30 words in English) and at most five weighted subjects."""

    sentence: str
    subjects: tuple[Subject, ...]
    language: Language
    method: str
    """Who wrote it, as shown in the record: "extractive" or "t5:NAME"."""

    def __post_init__(self) -> None:
        if not self.sentence.strip():
            raise ValueError("brief: the sentence is empty")
        length = len(self.sentence) if self.language == "zh" else len(self.sentence.split())
        limit = MAX_CHARACTERS_ZH if self.language == "zh" else MAX_WORDS_EN
        if length > limit:
            raise ValueError(f"brief: the sentence has {length} {'characters' if self.language == 'zh' else 'words'}; "
                             f"at most {limit} are allowed")
        if len(self.subjects) > MAX_SUBJECTS:
            raise ValueError(f"brief: {len(self.subjects)} subjects; at most {MAX_SUBJECTS} are allowed")


def shorten(sentence: str, language: Language) -> str:
    """`sentence` cut to a brief's length: at the last clause mark if that keeps half of it, else at the limit."""
    sentence = " ".join(sentence.split())
    if language == "en":
        words = sentence.split()
        if len(words) <= MAX_WORDS_EN:
            return sentence
        cut = " ".join(words[:MAX_WORDS_EN])
    else:
        if len(sentence) <= MAX_CHARACTERS_ZH:
            return sentence
        cut = sentence[:MAX_CHARACTERS_ZH]
    clauses = list(re.finditer(r"[，。！？；：、,;:.!?…]", cut))
    if clauses and clauses[-1].start() >= len(cut) // 2:
        return cut[: clauses[-1].start()].rstrip()
    return cut.rstrip()
