"""Which sentence says what an article is about, and which subjects: TextRank, led by the title and the opening.

Source: Mihalcea and Tarau 2004, "TextRank: Bringing Order into Texts"; the walk restarts at the title's words.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from generator.lexicon import stem
from generator.plain_words import is_plain
from generator.topics import topics_in
from integrations.summarizer.stop_words import STOP_WORDS
from integrations.summarizer.words import is_known, is_noun, is_verb, rarity, sentences_of, words_of
from prompts.article import Article
from prompts.brief import MAX_SUBJECTS, Subject

DAMPING = 0.85
ROUNDS = 30
OPENING_SENTENCES = 12
TITLE_WEIGHT = 4.0
VERB_WEIGHT = 0.4
HINT_WEIGHT = 1.5
TITLE_TIMES = 3.0
"""So much does a word of title, tags or description count where it is asked what a cover can show; one of the text counts 1 on
average."""
PHRASE_TIMES = 3

_SERIES = re.compile(r"第\s*[0-9０-９〇零一二三四五六七八九十百千]+\s*[期章篇讲回周集季]|周刊|周报|日报|月刊|连载|专栏|"
                     r"\b(?:vol|issue|part|episode|no|weekly|newsletter|digest)\b\.?\s*#?\d*|#\d+", re.I)
_PARTS = re.compile(r"[：:｜|»]|\s[-–—·]\s|——|--")
# A sentence that points at something the reader of one sentence does not see, or that calls him to do something.
_POINTING = re.compile(r"下图|上图|见图|如图|如下|上文|下文|下面是|本文|这篇文章|点击|扫码|关注|投稿|报名|分享给|"
                       r"跟大家分享|[：:]$|\b(?:below|above|figure|click|subscribe|this (?:post|article))\b", re.I)
_LEANING = re.compile(r"^(?:这|那|它|他|她|其|此|比如|例如|(?:this|that|these|those|it|he|she|they|for example)\b)",
                      re.I)
_CONNECTIVE = re.compile(
    r"^(?:但是?|可是|不过|然而|而且|并且|因此|所以|于是|首先|其次|再次|另外|此外|换言之|也就是说|最终来说|总之|"
    r"总的来说|事实上|其实|最后)[，,、]\s*|"
    r"^(?:but|and|so|however|therefore|thus|first|second|finally|in short|in fact|also),?\s+", re.I)
_ENDED = re.compile(r"[。！？!?.…；;][”’」』）)\"']*$")


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """One sentence with its share of attention."""

    text: str
    words: tuple[str, ...]
    score: float
    place: int


def theme_of(title: str) -> str:
    """The part of a title that says something: without the name and number of a series."""
    parts = [part.strip(" -–—·()（）[]【】") for part in _PARTS.split(title)]
    telling = [part for part in parts if part and not _SERIES.search(part)]
    return " ".join(telling) or _SERIES.sub(" ", title).strip(" -–—·:：()（）[]【】") or title


class Ranking:
    """The sentences and words of one article by how much they tell. Deterministic."""

    def __init__(self, article: Article) -> None:
        self._language = article.language
        self.theme = theme_of(article.title)
        self._hints = [*article.tags, article.description]
        self._hinted = {word.lower() for hint in self._hints for word in words_of(hint, article.language)}
        texts = list(dict.fromkeys(sentences_of(article.text)))
        cut = [words_of(text, article.language) for text in [self.theme, *texts]]
        merged = _with_phrases(cut, [self.theme, *texts], " " if article.language == "en" else "")
        self._title = {word.lower(): word for word in merged[0]}
        self._sentences = list(zip(texts, merged[1:], strict=True))

    @cached_property
    def sentences(self) -> list[Ranked]:
        """All sentences, best first."""
        if not self._sentences:
            return []
        scores = self._scores()
        ranked = [Ranked(text=text, words=words, score=float(score), place=place)
                  for place, ((text, words), score) in enumerate(zip(self._sentences, scores, strict=True))]
        return sorted(ranked, key=lambda sentence: (-sentence.score, sentence.place))

    def best_sentence(self, shortest: int, longest: int) -> str:
        """The sentence that tells most on its own, or empty. shortest, longest: characters, or words in English."""
        best, best_score = "", 0.0
        for sentence in self.sentences:
            text = _CONNECTIVE.sub("", sentence.text)
            length = len(text) if self._language == "zh" else len(text.split())
            if length < shortest:
                continue
            score = sentence.score * (0.35 if length > longest else 1.0)
            score *= 1.0 if _ENDED.search(text) else 0.1  # headings end in nothing
            score *= 0.2 if _POINTING.search(text) else 1.0
            score *= 0.6 if _LEANING.match(text) else 1.0
            score *= 0.5 if text.endswith(("？", "?")) else 1.0
            if score > best_score:
                best, best_score = text, score
        return best[:1].upper() + best[1:]

    def covers_title(self, sentence: str) -> float:
        """The share of the title's telling words that `sentence` has, by their rarity: 0 to 1."""
        weight = {word: rarity(word) for word in self._title}
        return sum(weight[word] for word in weight if word in sentence.lower()) / (sum(weight.values()) or 1.0)

    def subjects(self) -> tuple[Subject, ...]:
        """At most five subjects whose weights sum to 1, first the one that a cover can show best; none for an article without
        telling words.
        """
        weights: defaultdict[str, float] = defaultdict(float)
        spelling: dict[str, Counter[str]] = defaultdict(Counter)
        for sentence in self.sentences:
            for word in sentence.words:
                weights[word.lower()] += sentence.score
                spelling[word.lower()][word] += 1
        mean = sum(weights.values()) / max(len(weights), 1) or 1.0
        for word in self._title:
            weights[word] = max(weights[word], mean) + TITLE_WEIGHT * mean
            spelling[word][self._title[word]] += 1
        scored = {word: weight * self._fitness(word, spelling[word].total()) for word, weight in weights.items()}
        names = sorted((word for word in scored if scored[word] > 0), key=lambda word: (-scored[word], word))
        if lead := self.lead():
            names.insert(0, lead.lower())
            spelling[lead.lower()][lead] += 1
            scored[lead.lower()] = scored[names[1]] if len(names) > 1 else mean
        chosen = _distinct(names)
        total = sum(scored[word] for word in chosen)
        shares = [round(scored[word] / total, 3) for word in chosen]
        if shares:
            shares[0] = round(shares[0] + 1 - sum(shares), 3)
        return tuple(Subject(name=spelling[word].most_common(1)[0][0], weight=share)
                     for word, share in zip(chosen, shares, strict=True))

    def lead(self) -> str:
        """The article's own word for what it speaks of most among what a cover can show; empty where it speaks of nothing such
        twice.
        """
        times, words = Counter[str](), defaultdict[str, defaultdict[str, float]](lambda: defaultdict(float))
        weighed = [(text, TITLE_TIMES) for text in (self.theme, *self._hints)]
        weighed += [(sentence.text, math.sqrt(sentence.score * len(self.sentences))) for sentence in self.sentences]
        for text, weight in weighed:
            for word, motif in topics_in(text):
                if word.lower() not in STOP_WORDS and not is_plain(word):
                    times[motif] += 1
                    words[motif][word] += weight
        often = [motif for motif in words if times[motif] > 1]
        return _heaviest(words[_heaviest({motif: sum(words[motif].values()) for motif in often})]) if often else ""

    def _fitness(self, word: str, times: int) -> float:
        """How well `word`, said so many times, names something to paint. Verbs only where the title has them; what no dictionary
        has only where it is said twice: much of it is cut wrongly.
        """
        if is_plain(word) or (times < 2 and not is_known(word)):
            return 0.0
        if not is_noun(word):
            return VERB_WEIGHT if word in self._title and is_verb(word) else 0.0
        return rarity(word) * (HINT_WEIGHT if word in self._hinted else 1.0)

    def _scores(self) -> np.ndarray:
        """Each sentence's share of attention: [N] float64, summing to 1."""
        count = len(self._sentences)
        vectors = self._vectors()
        # Not `@`: its threads wait for each other where a generator keeps the cores busy, 300 ms instead of 10.
        likeness = np.einsum("iv,jv->ij", vectors, vectors)                     # [N, N]
        np.fill_diagonal(likeness, 0.0)
        out = likeness.sum(axis=1, keepdims=True)
        step = np.divide(likeness, out, out=np.full_like(likeness, 1.0 / count), where=out > 1e-9)
        restart = self._restart()
        scores = restart
        for _ in range(ROUNDS):
            scores = (1 - DAMPING) * restart + DAMPING * (scores[:, None] * step).sum(axis=0)
        # The walk alone forgets the title in a long article of many parts, so it is counted once more.
        scores = scores * (restart / restart.max() + 0.1)
        return np.asarray(scores / scores.sum())

    def _restart(self) -> np.ndarray:
        """Where the walk begins again: sentences with the title's words, and the opening. [N], summing to 1."""
        weight = {word: rarity(word) for word in self._title}
        whole = sum(weight.values()) or 1.0
        shares = []
        for place, (_, words) in enumerate(self._sentences):
            covered = sum(weight[word] for word in {word.lower() for word in words} & weight.keys()) / whole
            shares.append(0.05 + 2 * covered + 0.5 * max(0.0, 1 - place / OPENING_SENTENCES))
        restart = np.array(shares)
        return np.asarray(restart / restart.sum())

    def _vectors(self) -> np.ndarray:
        """Sentences as vectors of length at most 1 over the words that two of them share, rare words counting more.

        [N, V] float64. A word of one sentence only makes that sentence's vector shorter.
        """
        bags = [Counter(word.lower() for word in words) for _, words in self._sentences]
        spread = Counter(word for bag in bags for word in bag)
        index = {word: place for place, word in enumerate(word for word in spread if spread[word] > 1)}
        vectors = np.zeros((len(bags), max(len(index), 1)))
        for place, bag in enumerate(bags):
            weights = {word: count * rarity(word) for word, count in bag.items()}
            length = math.sqrt(sum(weight**2 for weight in weights.values()))
            for word in weights.keys() & index.keys():
                vectors[place, index[word]] = weights[word] / length
        return vectors


def _heaviest(weights: Mapping[str, float]) -> str:
    """The heaviest word; of equals, the longest."""
    return max(weights, key=lambda word: (weights[word], len(word)))


def _with_phrases(cut: list[list[str]], texts: list[str], space: str) -> list[tuple[str, ...]]:
    """`cut` words with neighbours joined where the text writes them side by side often enough to be one term."""
    lowered = ([word.lower() for word in words] for words in cut)
    pairs = Counter(pair for words in lowered for pair in pairwise(words) if all(map(is_noun, pair)))
    often = {pair for pair, count in pairs.items() if count >= PHRASE_TIMES}
    whole = "\n".join(texts).lower()
    terms = {pair for pair in often if whole.count(space.join(pair)) >= PHRASE_TIMES}
    joined = []
    for words in cut:
        out: list[str] = []
        is_taken = False  # the last word already ends a term
        for word in words:
            if out and not is_taken and (out[-1].lower(), word.lower()) in terms:
                out[-1] += space + word
                is_taken = True
            else:
                out.append(word)
                is_taken = False
        joined.append(tuple(out))
    return joined


def _distinct(names: list[str]) -> list[str]:
    """The first five of `names` (in lower case) of which none is part, or the plural, of another."""
    chosen: list[str] = []
    for name in names:
        if len(chosen) == MAX_SUBJECTS:
            break
        if not any(_says_the_same(name, other) for other in chosen):
            chosen.append(name)
    return chosen


def _says_the_same(one: str, other: str) -> bool:
    """Whether one of two words or terms has the other in it: English by whole words, Chinese from two characters on."""
    short, long = sorted((one, other), key=len)
    if short.isascii():
        words, whole = [stem(word) for word in short.split()], [stem(word) for word in long.split()]
        return any(whole[place:place + len(words)] == words for place in range(len(whole)))
    return len(short) > 1 and short in long
