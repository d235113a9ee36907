"""MarkdownPosts: the Markdown and HTML files of a static site as a source of posts."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from integrations.cms.charset import Decoded, decode
from integrations.cms.cover_edit import with_cover
from integrations.cms.cover_undo import Covered, describe, undone
from integrations.cms.front_matter import FrontMatter, choose_dialect, cover_of, read_front_matter
from integrations.cms.html_cover import with_meta_cover
from integrations.cms.html_text import Page, declared_charset, read_page
from integrations.cms.markdown_text import markdown_words
from integrations.cms.post_files import find_posts, is_post_file, open_path, read_bytes, replace_whole
from integrations.cms.version import version_of
from integrations.errors import IntegrationError, NotFound, Refused
from integrations.ports import PostCover, PostSource, Written
from prompts.article import Article, detect_language
from prompts.plain import plain

MAX_SIBLINGS = 20
MAX_ITEMS = 100
_HTML = (".html", ".htm")


class MarkdownPosts(PostSource):
    """Posts in a folder and the folders below it, or one post file. Ids are paths relative to that folder."""

    def __init__(self, place: Path | str) -> None:
        """place: the folder, or the one file. Raises Refused if it cannot be looked at."""
        place = Path(place)
        self._only = place.name if is_post_file(place) else ""
        self._root = place.parent if self._only else place

    def list_posts(self) -> Iterator[str]:
        """The ids, sorted folder by folder, without hidden folders, node_modules and `_folders` other than _posts."""
        return iter([self._only]) if self._only else find_posts(self._root)

    def read(self, post_id: str) -> Article:
        """The post as an Article. Raises NotFound, or Refused naming the post and what is wrong with it."""
        path = self._path(post_id)
        decoded = _decoded(path, post_id)
        matter = read_front_matter(decoded.text, post_id)
        body = decoded.text[matter.body_start :]
        page = read_page(body, post_id) if path.suffix.lower() in _HTML else _markdown_page(body)
        fields = matter.fields
        title = _one(fields, "title") or page.title
        if not any(map(str.isalnum, title + page.text)):
            raise Refused(f"{post_id}: the post has no words")
        return Article(
            id=post_id, title=title or _title_of(path), text=_without_title(page.text, title), source=str(path),
            language=detect_language(f"{title}\n{page.text}"),
            description=_one(fields, "description", "summary", "excerpt", "subtitle") or page.description,
            section=_one(fields, "section", "categories", "category") or page.section or _folder_of(post_id),
            tags=_many(fields, "tags", "keywords") or page.tags, cover=cover_of(fields) or page.cover)

    def version(self, post_id: str) -> str:
        """A hash over the post's words, of which its cover is none. Raises as `read` does."""
        return version_of(self.read(post_id))

    def write_cover(self, post_id: str, cover: PostCover, *, force: bool = False,
                    about_to: Callable[[Written], None] | None = None) -> Written:
        """Set the cover in the front matter, in the fields this post or its siblings use; every other byte stays.

        A plain HTML page gets og:image instead. Nothing changes if the post says all this already, or has a cover and
        `force` is not set. Raises NotFound, Refused, Unavailable.
        """
        path = self._path(post_id)
        decoded = _decoded(path, post_id)
        text = self._with_cover(path, post_id, decoded, cover.reference, cover.alt_text, force=force)
        if text == decoded.text:
            return Written(changed=False)
        written = describe(_covered(path, post_id, decoded.text), _covered(path, post_id, text))
        if about_to:
            about_to(written)
        replace_whole(path, decoded.encode(text), post_id)
        return written

    def restore(self, post_id: str, written: Written) -> bool:
        """Put back the lines that gave the post its cover; every other byte stays, and what was written since too.

        False if the post has its old cover again. Raises Refused, naming both covers, where those lines are not as they
        were written; NotFound, Unavailable.
        """
        if not written.changed:
            return False
        path = self._path(post_id)
        decoded = _decoded(path, post_id)
        read = partial(_covered, path, post_id)
        text = undone(read(decoded.text), written, read, post_id)
        if text == decoded.text:
            return False
        replace_whole(path, decoded.encode(text), post_id)
        return True

    def check_writable(self, post_id: str) -> None:
        """Make the edit and throw it away. Raises NotFound, Refused."""
        path = self._path(post_id)
        self._with_cover(path, post_id, _decoded(path, post_id), "cover.webp", "alt", force=True)

    def _with_cover(self, path: Path, post_id: str, decoded: Decoded, cover: str, alt_text: str, *, force: bool) -> str:
        """The post's text with the cover; as it is if it has one and `force` is not set."""
        matter = read_front_matter(decoded.text, post_id)
        if not force and _covered(path, post_id, decoded.text).cover:
            return decoded.text
        if _is_page(path, matter):
            return with_meta_cover(decoded.text, cover, alt_text, post_id, decoded.encoding)
        dialect = choose_dialect(matter.fields, self._siblings(path), matter.format)
        return with_cover(decoded.text, cover, alt_text, dialect, name=post_id, encoding=decoded.encoding)

    def _path(self, post_id: str) -> Path:
        if self._only and post_id != self._only:
            raise NotFound(f"posts: {post_id[:200]!r} does not exist; the only post here is {self._only!r}")
        return open_path(self._root, post_id)

    def _siblings(self, path: Path) -> Iterator[Mapping[str, Any]]:
        """The front matter of the posts in the same folder, as far as they can be listed and read."""
        try:
            files = sorted(path.parent.iterdir())
        except OSError:  # a folder may be entered and yet not listed
            return
        others = (file for file in files if file.suffix == path.suffix and file != path)
        for file in islice(others, MAX_SIBLINGS):
            try:
                yield _matter(file).fields
            except IntegrationError:
                continue


def _matter(path: Path) -> FrontMatter:
    return read_front_matter(_decoded(path, path.name).text, path.name)


def _is_page(path: Path, matter: FrontMatter) -> bool:
    """Whether it is plain HTML, whose cover stands in its own head."""
    return path.suffix.lower() in _HTML and matter.format == "none"


def _covered(path: Path, name: str, text: str) -> Covered:
    matter = read_front_matter(text, name)
    if _is_page(path, matter):
        return Covered(text=text, cover=read_page(text, name).cover, head_end=len(text))
    return Covered(text=text, cover=cover_of(matter.fields), head_end=matter.body_start, fields=matter.fields)


def _decoded(path: Path, name: str) -> Decoded:
    data = read_bytes(path, name)
    declared = declared_charset(data) if path.suffix.lower() in _HTML else ""
    return decode(data, name, declared)


def _markdown_page(body: str) -> Page:
    words = markdown_words(body)
    return Page(title=words.heading, description="", text=words.text, cover="", section="", tags=())


def _one(fields: Mapping[str, Any], *keys: str) -> str:
    """The first of `keys` that says something, in plain characters; of a list, its first item."""
    return next((text for key in keys for text in _many(fields, key)), "")


def _many(fields: Mapping[str, Any], *keys: str) -> tuple[str, ...]:
    """The first 100 items of the first of `keys` that says something. Hexo nests its categories; others write "a, b"."""
    for key in keys:
        items = islice(_flat(fields.get(key), split=key in ("tags", "keywords")), MAX_ITEMS)
        found = tuple(dict.fromkeys(items))
        if found:
            return found
    return ()


def _flat(value: Any, *, split: bool, depth: int = 0) -> Iterator[str]:
    """The words in `value` and in lists up to three deep: YAML's aliases can make ten lines a list without end."""
    if isinstance(value, list):
        for item in value[:MAX_ITEMS] if depth < 3 else ():
            yield from _flat(item, split=False, depth=depth + 1)
    elif value is not None and not isinstance(value, dict | bool):
        words = plain(str(value))
        pieces = words.replace("，", ",").replace("、", ",").split(",") if split else [words]
        yield from (piece.strip() for piece in pieces if piece.strip() and piece.strip() not in ("~", "null"))


def _without_title(text: str, title: str) -> str:
    first, _, rest = text.partition("\n")
    return rest if first == title and rest else text


def _title_of(path: Path) -> str:
    """A title from the file's name: "2024-01-02-open-source.md" is "open source"."""
    stem = path.parent.name if path.stem == "index" else path.stem
    words = plain(stem.replace("-", " ").replace("_", " "))
    return " ".join(word for word in words.split() if not word.isdigit()) or words


def _folder_of(post_id: str) -> str:
    folders = [part for part in post_id.split("/")[:-1] if not part.startswith("_")]
    return folders[0] if folders else ""
