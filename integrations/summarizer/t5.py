"""T5Summarizer: briefs by a T5 checkpoint, from a local folder or by model id. Subjects come as in the default.

A checkpoint that is only pre-trained (uer/t5-base-chinese-cluecorpussmall) fills a gap ("cloze"); one that was taught
to summarise answers a prefix. A bad answer is an error here, never quietly replaced.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from integrations.checkpoints import FAILURES, list_strays
from integrations.errors import NotFound, Refused
from integrations.ports import Summarizer
from integrations.summarizer.ranking import Ranking
from prompts.article import Article, Language
from prompts.brief import Brief, shorten
from prompts.plain import plain

SENTINELS = (("extra0", "extra1"), ("<extra_id_0>", "<extra_id_1>"))
CLOZE = {"zh": "这篇文章讲的是{gap}。", "en": "This article is about {gap}."}
PREFIX = {"zh": "摘要：", "en": "summarize: "}
_EAST_GAP = re.compile(r"(?<=[\u2e80-\u9fff\uff00-\uffef，。、：；])\s+|\s+(?=[\u2e80-\u9fff\uff00-\uffef，。、：；])")
SHORTEST_ANSWER = 2
DISTINCT_SHARE = 0.34
"""An answer with a smaller share of different characters (Chinese) or words (English) repeats itself."""


@dataclass(frozen=True, kw_only=True)
class T5Settings:
    """Which checkpoint answers, and how it is asked. model: a folder, or an id on the hub."""

    model: str
    asking: Literal["cloze", "prefix"]
    question: str = ""
    """Cloze: a sentence with {gap}. Prefix: what stands before the text. Empty takes the usual one."""
    revision: str | None = None
    local_files_only: bool = True
    safetensors_only: bool = True
    """Refuse pickled weights. Some published checkpoints have nothing else; convert them, or trust them knowingly."""
    max_input_tokens: int = 512
    max_new_tokens: int = 64
    batch_size: int = 4
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.asking not in ("cloze", "prefix"):
            raise Refused(f"summarizer: asking is {self.asking!r}; it must be cloze or prefix")
        if self.asking == "cloze" and self.question and "{gap}" not in self.question:
            raise Refused(f"summarizer: the cloze question {self.question!r} has no {{gap}}")


class T5Summarizer(Summarizer):
    """Loads the checkpoint at the first summary and keeps it."""

    def __init__(self, settings: T5Settings) -> None:
        self._settings = settings

    @property
    def name(self) -> str:
        """As shown in the record. Loads nothing."""
        return f"t5:{self._settings.model.rstrip('/').rsplit('/', 1)[-1]}"

    def summarise(self, articles: Sequence[Article]) -> list[Brief]:
        """One brief per article, in order.

        Raises Refused for an empty or repeating answer, NotFound for a checkpoint that cannot be loaded.
        """
        answers: list[str] = []
        for start in range(0, len(articles), self._settings.batch_size):
            answers.extend(self._answers(articles[start : start + self._settings.batch_size]))
        return [self._brief(article, answer) for article, answer in zip(articles, answers, strict=True)]

    def _brief(self, article: Article, answer: str) -> Brief:
        sentence = shorten(plain(_EAST_GAP.sub("", answer)), article.language)
        fault = _fault(sentence, article.language)
        if fault:
            raise Refused(f"summarizer: {self.name} gave {fault} answer for {article.id[:200]!r}: {sentence[:60]!r}")
        return Brief(sentence=sentence, subjects=Ranking(article).subjects(), language=article.language,
                     method=self.name)

    def _answers(self, articles: Sequence[Article]) -> list[str]:
        """What the model says of each, in one batch. Greedy, so the same article gives the same words."""
        import torch

        tokenizer, model = self._checkpoint
        settings = self._settings
        batch = tokenizer([self._asked(article) for article in articles], padding=True, return_tensors="pt")
        given = {"input_ids": batch["input_ids"].to(settings.device),
                 "attention_mask": batch["attention_mask"].to(settings.device)}
        stops = [token for token in (model.config.eos_token_id, tokenizer.eos_token_id, tokenizer.sep_token_id)
                 if isinstance(token, int)]
        if settings.asking == "cloze":
            # The answer is begun for the model, so that it fills this gap and no other; the next sentinel ends it.
            gap, after = (tokenizer.convert_tokens_to_ids(sentinel) for sentinel in self._sentinels)
            begun = [model.config.decoder_start_token_id, gap]
            given["decoder_input_ids"] = torch.tensor([begun] * len(articles), device=settings.device)
            stops.append(after)
        with torch.inference_mode():
            said = model.generate(**given, max_new_tokens=settings.max_new_tokens, do_sample=False, num_beams=1,
                                  eos_token_id=sorted(set(stops)), pad_token_id=tokenizer.pad_token_id)
        return [self._read(row.tolist(), frozenset(stops)) for row in said]

    def _read(self, tokens: list[int], stops: frozenset[int]) -> str:
        """The words of one answer: behind what was begun, up to the first stop."""
        tokenizer, _ = self._checkpoint
        words = tokens[2 if self._settings.asking == "cloze" else 1 :]
        end = next((place for place, token in enumerate(words) if token in stops), len(words))
        return str(tokenizer.decode(words[:end], skip_special_tokens=True))

    def _asked(self, article: Article) -> str:
        """The article with the question, cut so that both fit the model's input."""
        tokenizer, _ = self._checkpoint
        settings = self._settings
        body = plain(f"{article.title}\n{article.text[: settings.max_input_tokens * 8]}")
        if settings.asking == "cloze":
            question = (settings.question or CLOZE[article.language]).replace("{gap}", self._sentinels[0])
        else:
            question = settings.question or PREFIX[article.language]

        def whole(length: int) -> str:
            return body[:length] + question if settings.asking == "cloze" else question + body[:length]

        shortest, longest = 0, len(body)
        while shortest < longest:  # tokenizers differ in what they can tell of places, but all can count
            middle = (shortest + longest + 1) // 2
            fits = len(tokenizer(whole(middle))["input_ids"]) <= settings.max_input_tokens
            shortest, longest = (middle, longest) if fits else (shortest, middle - 1)
        return whole(shortest)

    @cached_property
    def _sentinels(self) -> tuple[str, str]:
        vocabulary = self._checkpoint[0].get_vocab()
        for pair in SENTINELS:
            if all(sentinel in vocabulary for sentinel in pair):
                return pair
        raise Refused(f"summarizer: {self._settings.model} knows neither extra0 nor <extra_id_0>, "
                      "so it cannot be asked by cloze; set asking to prefix")

    @cached_property
    def _checkpoint(self) -> tuple[Any, Any]:
        """Tokenizer and model, ready to answer."""
        from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

        settings = self._settings
        where = {"revision": settings.revision, "local_files_only": settings.local_files_only,
                 "trust_remote_code": False}
        try:
            tokenizer = AutoTokenizer.from_pretrained(settings.model, **where)
            # Missing tensors are filled with random numbers; the report names them and the misshapen ones, and we refuse.
            model, report = AutoModelForSeq2SeqLM.from_pretrained(
                settings.model, use_safetensors=settings.safetensors_only or None, output_loading_info=True,
                ignore_mismatched_sizes=True, **where)
        except FAILURES as exc:
            reason = " ".join(str(exc).split())[:300]
            raise NotFound(f"summarizer: checkpoint {settings.model!r} cannot be loaded: {reason}") from exc
        if strays := list_strays(report):
            raise Refused(f"summarizer: {settings.model} lacks {len(strays)} tensors of its kind, {strays[0]} for one")
        return tokenizer, model.to(settings.device).eval()


def _fault(sentence: str, language: Language) -> str:
    """What is wrong with an answer ("an empty", "a repeating"), or nothing."""
    if sum(map(str.isalnum, sentence)) < SHORTEST_ANSWER:
        return "an empty"
    parts = sentence.lower().split() if language == "en" else list(filter(str.isalnum, sentence))
    is_long = len(parts) >= 6
    if re.search(r"extra(?:_id_)?\d", sentence) or (is_long and len(set(parts)) < DISTINCT_SHARE * len(parts)):
        return "a repeating"
    return ""
