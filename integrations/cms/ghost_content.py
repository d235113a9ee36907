"""What stands in a Ghost post's HTML: the author's words between the editor's cards."""

from integrations.cms.html_clean import check_depth, tags, without_classes, without_comments
from integrations.cms.html_text import html_words

# Cards whose words are somebody else's (a linked page, a tweet), a player's (0:00), or a call to do something.
_CARDS = ("kg-bookmark-container", "kg-embed-card", "kg-video-container", "kg-audio-card", "kg-file-card", "kg-button-card",
          "kg-cta-card", "kg-signup-card", "kg-product-card-button")


def content_words(html: str, name: str) -> str:
    """The words of a post's HTML, paragraphs one per line. name: of the post, for errors.

    Raises Refused for HTML that is nested too deep or has too many tags.
    """
    html = without_comments(html.encode(errors="ignore").decode())  # parsers fail on lone surrogates
    check_depth(tags(html), name)
    return html_words(without_classes(html, _CARDS))
