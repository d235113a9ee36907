"""GitPosts: the Markdown posts of a Git repository, whose covers come as commits."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

from integrations.cms.markdown_posts import MarkdownPosts
from integrations.cms.post_files import open_path, place_file
from integrations.errors import Refused
from integrations.git import Git
from integrations.ports import PostCover, PostSource, Written
from prompts.article import Article

Result = TypeVar("Result", Written, bool)


@dataclass(frozen=True, kw_only=True)
class Repository:
    """Where posts and pictures lie, and who commits. Raises ValueError for values that git would take for something else.

    folder: of the working tree. posts, pictures: folders in it, such as "content/posts" and "static/covers". address: how
    posts name `pictures`, such as "/covers". remote: where commits are pushed, such as "origin"; empty: nowhere.
    timeout_s: for one call of git.
    """

    folder: Path
    posts: str = ""
    pictures: str = "static/covers"
    address: str = "/covers"
    branch: str = "main"
    name: str = "Fengmian"
    mail: str = "fengmian@localhost"
    remote: str = ""
    timeout_s: float = 60

    def __post_init__(self) -> None:
        for place in (self.posts, self.pictures):
            if PurePosixPath(place).is_absolute() or ".." in PurePosixPath(place).parts:
                raise ValueError(f"git: {place!r} is not a folder inside the repository")
        for word in (self.branch, self.remote):
            if word.startswith("-") or not word.isprintable() or " " in word or ":" in word:
                raise ValueError(f"git: {word!r} is not the name of a branch or remote")
        if not self.branch or not self.name.strip() or re.search(r"[<>\n\0]", self.name + self.mail):
            raise ValueError(f"git: commits need a branch, a name and a mail address without < and >, not {self.branch!r}, "
                             f"{self.name!r} and {self.mail!r}")


class GitPosts(PostSource):
    """Posts of a checked-out branch. Writing and restoring are one commit each, pushed if there is a remote, or did not happen.

    The pictures stay in the repository after `restore` too. Nothing is written into a tree with changes of somebody's.
    """

    keeps_pictures = True

    def __init__(self, repository: Repository) -> None:
        self._at = repository
        self._git = Git(repository.folder, repository.timeout_s)
        self._posts = MarkdownPosts(repository.folder / repository.posts)

    def list_posts(self) -> Iterator[str]:
        """The ids, as MarkdownPosts has them, after taking over what others have pushed. Raises Refused, Unavailable."""
        with self._git.locked():
            self._catch_up()
        return self._posts.list_posts()

    def read(self, post_id: str) -> Article:
        """The post as an Article. Raises NotFound, Refused, Unavailable."""
        return self._posts.read(post_id)

    def version(self, post_id: str) -> str:
        """A hash over the post's words. Raises as `read` does."""
        return self._posts.version(post_id)

    def check_writable(self, post_id: str) -> None:
        """Raise Refused where the post takes no cover, the tree is not clean or another branch is checked out."""
        self._posts.check_writable(post_id)
        self._path(post_id)
        with self._git.locked():
            self._check_clean()

    def write_cover(self, post_id: str, cover: PostCover, *, force: bool = False,
                    about_to: Callable[[Written], None] | None = None) -> Written:
        """Commit the picture and the post that names it. Raises NotFound, Refused, Unavailable; then nothing has changed."""
        with self._git.locked():
            return self._write_cover(post_id, cover, force, about_to)

    def _write_cover(self, post_id: str, cover: PostCover, force: bool, about_to: Callable[[Written], None] | None) -> Written:
        self._catch_up()
        if self._posts.read(post_id).cover and not force:
            return Written(changed=False)
        picture = PurePosixPath(self._at.pictures, cover.name).as_posix()
        named = replace(cover, reference=f"{self._at.address.rstrip('/')}/{cover.name}")

        def tell(written: Written) -> None:
            if about_to:
                about_to(replace(written, address=named.reference))

        def write() -> Written:
            place_file(self._at.folder / picture, cover.data, picture)
            return self._posts.write_cover(post_id, named, force=force, about_to=tell)

        written = self._committed(write, f"Cover of {post_id}", self._path(post_id), picture)
        return replace(written, address=named.reference)

    def restore(self, post_id: str, written: Written) -> bool:
        """Commit the post as it was before, as MarkdownPosts restores it; False if it is so already. Raises as that does."""
        with self._git.locked():
            self._catch_up()
            return self._committed(
                lambda: self._posts.restore(post_id, written), f"Take the cover of {post_id} back", self._path(post_id))

    def _path(self, post_id: str) -> str:
        """The post's real file, as the repository names it. Raises Refused for a draft that nobody has committed."""
        path = open_path(self._at.folder / self._at.posts, post_id).relative_to(self._at.folder.resolve()).as_posix()
        if not self._is_committed("HEAD", path):
            raise Refused(f"git: {path} is not committed yet, so its cover would publish it; commit it first")
        return path

    def _is_committed(self, commit: str, path: str) -> bool:
        return self._git.succeeds("cat-file", "-e", f"{commit}:{path}")

    def _check_clean(self) -> None:
        branch = self._git.ask("rev-parse", "--abbrev-ref", "HEAD").strip()
        if branch != self._at.branch:
            raise Refused(f"git: {self._at.folder} has the branch {branch!r} checked out, not {self._at.branch!r}")
        changes = self._git.ask("status", "--porcelain", "--untracked-files=no").splitlines()
        if changes:
            raise Refused(f"git: {self._at.folder} has {len(changes)} changes that are not committed, first {changes[0]!r}; "
                          "commit them or put them away")

    def _catch_up(self) -> None:
        """Take over what others have pushed. Raises Refused for a tree that is not clean, and for branches that went apart."""
        self._check_clean()
        if not self._at.remote:
            return
        there = f"refs/remotes/{self._at.remote}/{self._at.branch}"
        self._git.reach("fetch", "--quiet", "--prune", self._at.remote)
        if not self._git.succeeds("rev-parse", "--verify", "--quiet", there):
            return  # the first push makes it
        behind = int(self._git.ask("rev-list", "--count", f"HEAD..{there}"))
        ahead = self._git.ask("log", "--format=%ce", f"{there}..HEAD").splitlines()
        if ahead and (behind or set(ahead) != {self._at.mail}):
            raise Refused(f"git: {self._at.branch!r} has {len(ahead)} commits that {self._at.remote!r} lacks, and lacks {behind} "
                          "of its commits; bring them together by hand")
        if ahead:  # our own, of a process that ended before it could push
            self._push()
        if behind:
            self._git.ask("merge", "--quiet", "--ff-only", there)

    def _committed(self, change: Callable[[], Result], message: str, *paths: str) -> Result:
        """Change these files of a clean tree, commit and push; if any of that fails, it is as if nothing had been done."""
        head = self._git.ask("rev-parse", "HEAD").strip()
        with ExitStack() as undoing:
            undoing.callback(self._undo, head, paths)
            result = change()
            self._git.ask("add", "--", *paths)
            if not self._git.succeeds("diff", "--cached", "--quiet", "--", *paths):
                self._git.ask("-c", f"user.name={self._at.name}", "-c", f"user.email={self._at.mail}", "commit", "--quiet",
                              "--message", message, "--", *paths)
                self._push()
            undoing.pop_all()
        return result

    def _push(self) -> None:
        if self._at.remote:
            self._git.reach("push", "--quiet", self._at.remote, f"HEAD:refs/heads/{self._at.branch}")

    def _undo(self, head: str, paths: tuple[str, ...]) -> None:
        """These files, and the branch if only our commit was added to it, as they were at `head`."""
        now, *parents = self._git.ask("rev-list", "--parents", "--max-count=1", "HEAD").split()
        if parents == [head]:
            self._git.ask("update-ref", "HEAD", head, now)
        for path in paths:
            if self._is_committed(head, path):
                self._git.ask("restore", f"--source={head}", "--staged", "--worktree", "--", path)
            else:
                self._git.ask("rm", "--quiet", "--cached", "--force", "--ignore-unmatch", "--", path)
                (self._at.folder / path).unlink(missing_ok=True)
