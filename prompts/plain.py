"""Plain characters: words from outside made safe to stand in a prompt."""

import re
import unicodedata

# Letters and marks that are drawn as nothing although Unicode does not call them control or format characters.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")
_INVISIBLE = ("Cf", "Cs", "Co", "Cn")


def plain(text: str) -> str:
    """`text` on one line with single spaces, without control, bidi, zero-width, surrogate and unassigned characters."""
    if text.isprintable() and not _BLANK.search(text):
        return " ".join(text.split())
    spaced = "".join(" " if unicodedata.category(c) == "Cc" else c for c in _BLANK.sub("", text))
    return " ".join("".join(c for c in spaced if unicodedata.category(c) not in _INVISIBLE).split())
