"""The version of a post: what its cover is made from, as a hash. A new cover leaves it as it is."""

import hashlib
import json

from prompts.article import Article


def version_of(article: Article, *beside: str) -> str:
    """64 hex digits over the article's words, and over whatever else matters to its source."""
    said = (article.title, article.text, article.description, article.section, article.tags, beside)
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()
