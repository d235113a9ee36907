"""ExtractiveSummarizer: briefs in the article's own words, without any model. The default."""

from collections.abc import Sequence

from integrations.errors import Refused
from integrations.ports import Summarizer
from integrations.summarizer.ranking import Ranking
from integrations.summarizer.words import sentences_of
from prompts.article import Article, Language, detect_language
from prompts.brief import MAX_CHARACTERS_ZH, MAX_WORDS_EN, Brief, shorten
from prompts.plain import plain

SHORTEST = {"zh": 10, "en": 5}
MOSTLY = 0.6
LONGEST = {"zh": MAX_CHARACTERS_ZH, "en": MAX_WORDS_EN}


class ExtractiveSummarizer(Summarizer):
    """Takes the author's description if there is one, else the sentence that tells most, led by the title."""

    @property
    def name(self) -> str:
        """As shown in the record."""
        return "extractive"

    def summarise(self, articles: Sequence[Article]) -> list[Brief]:
        """One brief per article, in order. Raises Refused for an article without words."""
        return [self._brief(article) for article in articles]

    def _brief(self, article: Article) -> Brief:
        ranking = Ranking(article)
        shortest, longest = SHORTEST[article.language], LONGEST[article.language]
        best = _titled(ranking, ranking.best_sentence(shortest, longest), article.language)
        candidates = (_described(article, shortest), best, ranking.theme, ranking.best_sentence(1, longest))
        short = (shorten(plain(candidate), article.language) for candidate in candidates)
        sentence = next((words for words in short if any(map(str.isalnum, words))), "")
        if not sentence:
            raise Refused(f"summary: {article.id[:200]!r} has no words to summarise")
        return Brief(sentence=sentence, subjects=ranking.subjects(), language=article.language, method=self.name)


def _titled(ranking: Ranking, sentence: str, language: Language) -> str:
    """`sentence` led by the title's theme where it does not repeat or answer it, if both fit."""
    is_question = ranking.theme.endswith(("？", "?"))
    if not sentence or (ranking.covers_title(sentence) >= MOSTLY and not is_question):
        return sentence
    led = f"{ranking.theme.rstrip('？?！!。.')}{'：' if language == 'zh' else ': '}{sentence}"
    length = len(led) if language == "zh" else len(led.split())
    return led if length <= LONGEST[language] else sentence


def _described(article: Article, shortest: int) -> str:
    """The first sentence of the author's own summary, if it is one and in the article's language."""
    first = next(iter(sentences_of(plain(article.description))), "")
    length = len(first) if article.language == "zh" else len(first.split())
    return first if length >= shortest and detect_language(first) == article.language else ""
