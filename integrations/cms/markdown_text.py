"""Markdown to plain paragraphs: what a reader reads, without code, tables, pictures, addresses, tags and shortcodes.

Every step is linear in the length of the text; a post may have 10 MB.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from integrations.cms.boilerplate import is_boilerplate, without_credits
from integrations.cms.html_clean import without_comments, words_between_tags
from prompts.plain import plain

_FENCE = re.compile(r"\s*(?:>\s*)*(`{3,}|~{3,})([^`\n]*)$")
_CODE_TAG = re.compile(r"\{[%{]<?-?\s*(codeblock|highlight|code|mermaid|plantuml|math|raw)\b[^{}]*[%>]?\}")
_SHORTCODE = re.compile(r"\{\{[<%]?[^{}]{0,2000}[>%]?\}\}|\{%[^{}]{0,2000}%\}")
_RULER = re.compile(r"\s*\|?\s*:?-+:?\s*(?:\|\s*:?-+:?\s*)*\|?\s*$")
_HEADING = re.compile(r"\s{0,3}#{1,6}(?:\s+|$)(.*?)#*\s*$")
_UNDERLINE = re.compile(r"\s{0,3}(?:=+|-+)\s*$")
_LINE_RULE = re.compile(r"\s{0,3}(?:[-*_]\s*){3,}$")
_DEFINITION = re.compile(r"\s{0,3}\[(?!\^)[^\]\n]{1,200}\]:\s*\S+")
_QUOTE = re.compile(r"\s*(?:>\s?)+")
_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])\s+(?:\[[ xX]\]\s+)?|\s*\[\^[^\]\s]{1,60}\]:\s*")
_MDX = re.compile(r"(?:import|export)\s.*(?:\sfrom\s+|=)\s*\S")
_INLINE_CODE = re.compile(r"`{1,3}([^`\n]{1,300})`{1,3}")
_TARGET = r"\([^()\n]{0,3000}(?:\([^()\n]{0,500}\)[^()\n]{0,500})?\)"
_IMAGE = re.compile(r"!\[[^\[\]\n]{0,1000}\](?:" + _TARGET + r"|\[[^\[\]\n]{0,200}\])")
_LINK = re.compile(r"\[([^\[\]\n]{0,1000})\](?:" + _TARGET + r"|\[[^\[\]\n]{0,200}\])")
_FOOTNOTE = re.compile(r"\[\^[^\]\s]{1,60}\]|\[\[?toc\]\]?", re.I)
_ADDRESS = re.compile(r"(?:https?|ftp)://[^\s<>（）()\[\]「」《》，。；、！？“”\"']{1,3000}|\bwww\.[\w./?=&%#-]{1,2000}"
                      r"|\b[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}")
_MARKS = re.compile(r"(?<!\\)(?:\*{1,3}(?=\S)|(?<=\S)\*{1,3}|~~|(?<!\w)_{1,3}(?=\S)|(?<=\S)_{1,3}(?!\w))")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_EAST = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef，。！？；：、“”‘’（）《》—…]")


@dataclass(frozen=True, kw_only=True)
class Words:
    """heading: the first one, or empty. text: headings and paragraphs, one per line."""

    heading: str
    text: str


def markdown_words(body: str) -> Words:
    """What `body` says in plain words."""
    prose = "\n".join(_prose_lines(without_comments(body.replace("\r\n", "\n").replace("\r", "\n"))))
    # Code spans go first: what they quote must not be taken for tags.
    prose = _INLINE_CODE.sub(lambda code: "" if re.search(r"[<>{}\[\]|=/\\]", code[1]) else code[1], prose)
    heading = ""
    paragraphs = []
    for paragraph, is_heading in _paragraphs(words_between_tags(_SHORTCODE.sub("", prose))):
        words = plain(without_credits(_inline(paragraph)))
        heading = heading or (words if is_heading else "")
        if any(character.isalnum() for character in words) and not is_boilerplate(words):
            paragraphs.append(words)
    return Words(heading=heading, text="\n".join(paragraphs))


def _prose_lines(text: str) -> Iterator[str]:
    """The lines that are neither fenced code, shortcode code, indented code, formulas nor tables."""
    fence = ending = ""
    in_list = in_formula = in_table = False
    was_blank = True
    held = ""  # one line back: a table's head is known by the ruler below it
    for line in text.split("\n"):
        if fence:
            mark = _FENCE.match(line)
            if mark and mark[1].startswith(fence) and not mark[2].strip():
                fence = ""
            continue
        if ending:
            ending = "" if ending in line else ending
            continue
        mark, tag = _FENCE.match(line), _CODE_TAG.search(line)
        if mark:
            fence = mark[1]
        elif tag and f"end{tag[1]}" not in line and f"/{tag[1]}" not in line:
            ending = f"end{tag[1]}" if line[tag.start() + 1] == "%" else f"/{tag[1]}"
        if mark or tag:
            yield held
            held, was_blank = "", True
            continue
        if line.strip().startswith("$$"):
            in_formula = not in_formula if line.count("$$") == 1 else in_formula
            continue
        if in_formula:
            continue
        if "|" in line and (in_table or _RULER.match(line)):
            in_table, held = True, ""
            continue
        in_table = False
        indented = line.startswith(("    ", "\t"))
        if line.strip() and not indented:
            in_list = bool(_ITEM.match(line)) or (in_list and not was_blank)
        is_code = indented and was_blank and not in_list
        if not is_code:
            yield held
            held = line
            was_blank = not line.strip()
    yield held


def _paragraphs(prose: str) -> Iterator[tuple[str, bool]]:
    """Paragraphs, items and headings as one line each, and whether it is a heading."""
    lines: list[str] = []
    for line in [*prose.split("\n"), ""]:
        heading = _HEADING.match(line)
        if lines and len(lines) == 1 and _UNDERLINE.match(line):
            yield lines.pop(), True
            continue
        is_break = not line.strip() or heading or _ITEM.match(line) or _LINE_RULE.match(line)
        if lines and is_break:
            yield _joined(lines), False
            lines = []
        if heading:
            yield heading[1], True
        elif not (_LINE_RULE.match(line) or _DEFINITION.match(line) or line.startswith(":::") or _MDX.match(line)):
            stripped = _QUOTE.sub("", line, count=1) if line.lstrip().startswith(">") else line
            stripped = _ITEM.sub("", stripped, count=1) if _ITEM.match(stripped) else stripped
            if stripped.strip():
                lines.append(stripped.strip())


def _joined(lines: list[str]) -> str:
    """Lines of one paragraph; Chinese is not spaced where it wraps."""
    pieces = lines[:1]
    for before, line in pairwise(lines):
        pieces.append(line if _EAST.match(before[-1]) and _EAST.match(line[0]) else f" {line}")
    return "".join(pieces)


def _inline(text: str) -> str:
    text = _LINK.sub(r"\1", _IMAGE.sub("", text))
    text = _ADDRESS.sub("", _LINK.sub(r"\1", _FOOTNOTE.sub("", text)))
    return html.unescape(_ESCAPED.sub(r"\1", _MARKS.sub("", text)))
