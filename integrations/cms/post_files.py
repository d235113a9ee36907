"""Post files in a folder: which there are, which may be opened, and how one is replaced whole or not at all."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from integrations.cms.charset import MAX_BYTES
from integrations.errors import NotFound, Refused, Unavailable

SUFFIXES = (".md", ".markdown", ".mdx", ".html", ".htm")
# What tells a site's own folder from a folder of posts.
_SITE_FILES = ("_config.yml", "_config.yaml", "hugo.toml", "hugo.yaml", "astro.config.mjs")
_OLD_HUGO_FILES = ("config.toml", "config.yaml")  # beside content/ only: many a folder has a file of this name
_SITE_SIGNS = ("archetypes", "layouts", "themes", "_layouts", "source/_posts", "src/content")
# There, these hold what the site generator made or is made of, and the files beside them are no posts either.
_SITE_FOLDERS = frozenset((
    "public", "themes", "layouts", "archetypes", "scaffolds", "static", "resources", "dist", "vendor"))


def is_post_file(place: Path) -> bool:
    """True for a file, False for a folder or nothing. Raises Refused for a place that cannot be looked at."""
    try:
        return place.is_file()
    except OSError as exc:
        raise Refused(f"posts: {str(place)[:200]!r} cannot be opened: {exc.strerror}") from exc


def find_posts(root: Path) -> Iterator[str]:
    """Ids (paths relative to `root`) of the posts in it, in a stable order. Raises NotFound, Refused.

    Of a site's own folder, neither the files at its top (README.md, index.html) nor themes, layouts and what was built.
    """
    if not root.is_dir():
        raise NotFound(f"posts: {str(root)[:200]!r} is neither a file nor a folder")
    is_site = _is_site(root)
    for folder, folders, files in os.walk(root):
        at_top = is_site and Path(folder) == root
        folders[:] = sorted(name for name in folders if _is_listed(name) and not (at_top and name in _SITE_FOLDERS))
        for name in () if at_top else sorted(files):
            path = Path(folder, name)
            if path.suffix.lower() in SUFFIXES and not name.startswith((".", "_")) and _is_inside(path, root):
                yield path.relative_to(root).as_posix()


def _is_site(root: Path) -> bool:
    files = _SITE_FILES + (_OLD_HUGO_FILES if os.path.isdir(root / "content") else ())
    return any(is_post_file(root / file) for file in files) or any(os.path.isdir(root / folder) for folder in _SITE_SIGNS)


def _is_listed(folder: str) -> bool:
    """Hidden folders, packages and `_site`, `_includes`, `_drafts` hold no posts; Hexo's and Jekyll's `_posts` does."""
    return folder == "_posts" or not (folder.startswith((".", "_")) or folder == "node_modules")


def _is_inside(path: Path, root: Path) -> bool:
    """True also for a file that cannot be looked at, so that opening it says why."""
    try:
        return path.resolve().is_relative_to(root.resolve()) and path.is_file()
    except (OSError, RuntimeError):  # no permission to enter its folder, or a link that leads to itself
        return True


def open_path(root: Path, post_id: str) -> Path:
    """The real file of the post `post_id`. Raises Refused for an id that leads out of `root`, NotFound."""
    parts = post_id.split("/")
    if not post_id or "\0" in post_id or "\\" in post_id or ".." in parts or Path(post_id).is_absolute():
        raise Refused(f"posts: {post_id[:200]!r} is not the id of a post: it must be a path inside the folder")
    try:
        path = (root / post_id).resolve()
        if not path.is_relative_to(root.resolve()):
            raise Refused(f"posts: {post_id[:200]!r} is a link that leads out of the folder")
        if not path.is_file():
            raise NotFound(f"posts: {post_id[:200]!r} does not exist")
    except (OSError, RuntimeError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise Refused(f"posts: {post_id[:200]!r} cannot be opened: {reason}") from exc
    if path.suffix.lower() not in SUFFIXES:
        raise Refused(f"posts: {post_id[:200]!r} is no post; posts end in {', '.join(SUFFIXES)}")
    return path


def read_bytes(path: Path, name: str) -> bytes:
    """The file's bytes. Raises Refused for more than 10 MB, before reading them, and for what is no file; NotFound."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise Refused(f"{name}: it is no file")
        if found.st_size > MAX_BYTES:
            raise Refused(f"{name}: it has {found.st_size} bytes; at most {MAX_BYTES} are allowed")
        return path.read_bytes()
    except FileNotFoundError as exc:
        raise NotFound(f"{name}: it does not exist") from exc
    except OSError as exc:
        raise Unavailable(f"{name}: cannot be read: {exc.strerror}") from exc


def place_file(path: Path, data: bytes, name: str) -> None:
    """A file with these bytes, in a folder that is made if it is missing. Raises Unavailable."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.touch()
    except OSError as exc:
        raise Unavailable(f"{name}: cannot be written: {exc.strerror}") from exc
    replace_whole(path, data, name)


def replace_whole(path: Path, data: bytes, name: str) -> None:
    """Put `data` in place of the file, with its mode, so that a reader sees the old file or the new one."""
    try:
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:60]}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            shutil.copymode(path, draft)
            os.replace(draft, path)
        finally:  # Ctrl-C too must leave no draft in the site
            Path(draft).unlink(missing_ok=True)
    except OSError as exc:
        raise Unavailable(f"{name}: cannot be written: {exc.strerror}") from exc
