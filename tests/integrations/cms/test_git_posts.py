"""The traps of a Git repository: other people's changes, remotes that went on, hooks that say no, and calls that hang."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from integrations.cms.git_posts import GitPosts, Repository
from integrations.errors import Refused, Unavailable
from tests.integrations.cms.desks import GitFolder
from tests.integrations.cms.pictures import a_cover

COVER = a_cover("", "一幅画")
PICTURE = f"static/covers/{COVER.name}"


@pytest.fixture
def desk(tmp_path):
    return GitFolder(tmp_path / "site", origin=tmp_path / "origin")


@pytest.fixture
def alone(tmp_path):
    return GitFolder(tmp_path / "alone")


@pytest.fixture
def elsewhere(desk, tmp_path):
    """Another clone, and a way to commit and push something there."""
    other = tmp_path / "elsewhere"
    desk.git("clone", "--quiet", str(desk.origin), str(other))

    def push(name, text):
        (other / name).write_text(text)
        desk.git("add", "--all", folder=other)
        desk.git("commit", "--quiet", "--message", "from elsewhere", folder=other)
        desk.git("push", "--quiet", folder=other)
        desk.git("fetch", "--quiet", folder=other)
    return push


def state(desk):
    """All that a failed writing must leave as it was."""
    files = {path: path.read_bytes() for path in desk.repository.rglob("*") if path.is_file() and ".git" not in path.parts}
    return desk.git("rev-parse", "HEAD"), desk.git("status", "--porcelain"), files


def is_running(pid):
    """False also for a process that has ended and that nobody has asked about yet."""
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] not in "ZX"


def hook(desk, name, script, where=None):
    path = (where or desk.repository / ".git") / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_cover_is_one_commit_of_two_files_by_the_author_given(tmp_path):
    desk = GitFolder(tmp_path / "site", options={"name": "封面 Bot", "mail": "bot@example.test"})
    post = desk.add("题", "一段文字")
    before = desk.git("rev-parse", "HEAD").strip()
    desk.posts.write_cover(post, COVER)
    told = desk.git("log", "--format=%P|%an|%ae|%cn|%s", "-1").strip()
    assert told == f"{before}|封面 Bot|bot@example.test|封面 Bot|Cover of {post}"
    assert desk.git("show", "--name-only", "--format=", "HEAD").split() == [f"posts/{post}", PICTURE]
    assert (desk.repository / PICTURE).read_bytes() == COVER.data
    assert desk.posts.read(post).cover == f"/covers/{COVER.name}"
    assert desk.git("status", "--porcelain") == ""


def test_writing_and_restoring_are_pushed(desk):
    post = desk.add("题", "一段文字")
    written = desk.posts.write_cover(post, COVER)
    assert desk.git("rev-parse", "main", folder=desk.origin) == desk.git("rev-parse", "HEAD")
    desk.posts.restore(post, written)
    assert desk.git("rev-parse", "main", folder=desk.origin) == desk.git("rev-parse", "HEAD")
    assert desk.git("log", "--format=%s", "-1").strip() == f"Take the cover of {post} back"


def test_covers_that_are_written_at_once_are_one_commit_each(alone):
    posts = [alone.add(f"post {number}", "words") for number in range(6)]
    before = int(alone.git("rev-list", "--count", "HEAD"))
    with ThreadPoolExecutor(6) as pool:
        written = list(pool.map(lambda post: alone.posts.write_cover(post, COVER), posts))
    assert all(each.changed for each in written)
    assert int(alone.git("rev-list", "--count", "HEAD")) == before + 6
    assert alone.git("status", "--porcelain").strip() == ""


def test_where_nothing_changes_nothing_is_committed(alone):
    post = alone.add("题", "一段文字")
    written = alone.posts.write_cover(post, COVER)
    head = alone.git("rev-parse", "HEAD")
    assert not alone.posts.write_cover(post, COVER, force=True).changed
    assert alone.git("rev-parse", "HEAD") == head
    alone.posts.restore(post, written)
    head = alone.git("rev-parse", "HEAD")
    assert alone.posts.restore(post, written) is False
    assert alone.git("rev-parse", "HEAD") == head


@pytest.mark.parametrize("staged", [False, True])
def test_a_tree_with_changes_of_somebody_is_refused_and_left_alone(alone, staged):
    post = alone.add("题", "一段文字")
    (alone.repository / "README").write_text("half a sentence")
    if staged:
        alone.git("add", "README")
    before = state(alone)
    for ask in (alone.posts.check_writable, lambda post_id: alone.posts.write_cover(post_id, COVER)):
        with pytest.raises(Refused, match=r"has 1 changes that are not committed, first '.*README'"):
            ask(post)
    assert state(alone) == before


def test_a_draft_that_nobody_has_committed_is_not_published_by_its_cover(alone):
    (alone.root / "draft.md").write_text("---\ntitle: t\n---\nwords\n")
    before = state(alone)
    for ask in (alone.posts.check_writable, lambda post_id: alone.posts.write_cover(post_id, COVER)):
        with pytest.raises(Refused, match=r"posts/draft\.md is not committed yet"):
            ask("draft.md")
    assert state(alone) == before


def test_another_branch_is_refused(alone):
    post = alone.add("题", "一段文字")
    alone.git("switch", "--quiet", "--create", "redesign")
    with pytest.raises(Refused, match="has the branch 'redesign' checked out, not 'main'"):
        alone.posts.write_cover(post, COVER)


@pytest.mark.parametrize("make", [lambda folder: None, lambda folder: folder.mkdir()])
def test_a_folder_that_is_no_repository_is_refused(tmp_path, make):
    make(tmp_path / "nowhere")
    with pytest.raises(Refused, match=r"^git: rev-parse in .*nowhere"):
        GitPosts(Repository(folder=tmp_path / "nowhere")).list_posts()


def test_what_others_have_pushed_is_taken_over_first(desk, elsewhere):
    post = desk.add("题", "一段文字")
    desk.git("pull", "--quiet", folder=desk.repository.parent / "elsewhere")
    elsewhere("posts/new.md", "---\ntitle: new\n---\nwords\n")
    assert "new.md" in list(desk.posts.list_posts())
    elsewhere(f"posts/{post}", "---\ntitle: 改过的题\n---\n一段文字\n")
    desk.posts.write_cover(post, COVER)
    assert desk.posts.read(post).title == "改过的题"


def test_branches_that_went_apart_are_refused(desk, elsewhere):
    post = desk.add("题", "一段文字")
    (desk.repository / "README").write_text("here")
    desk.git("commit", "--quiet", "--all", "--message", "not pushed")
    before = state(desk)
    with pytest.raises(Refused, match="'main' has 1 commits that 'origin' lacks, and lacks 0 of its commits"):
        desk.posts.write_cover(post, COVER)
    desk.git("pull", "--quiet", folder=desk.repository.parent / "elsewhere")
    elsewhere("README", "there")
    with pytest.raises(Refused, match="'main' has 1 commits that 'origin' lacks, and lacks 1 of its commits"):
        list(desk.posts.list_posts())
    assert state(desk) == before


def test_our_own_commit_of_a_process_that_died_is_pushed_by_the_next(desk):
    first, second = desk.add("题", "一段文字"), desk.add("另一篇", "一段文字")
    desk.posts._push = lambda: None  # and here the process died
    desk.posts.write_cover(first, COVER)
    del desk.posts._push
    desk.posts.write_cover(second, COVER)
    assert desk.git("rev-parse", "main", folder=desk.origin) == desk.git("rev-parse", "HEAD")


@pytest.mark.parametrize("name", ["pre-commit", "pre-push", "pre-receive"])
def test_where_a_hook_says_no_nothing_has_changed_and_its_words_are_told(desk, name):
    post = desk.add("题", "一段文字")
    hook(desk, name, "echo the covers are closed >&2; exit 1", desk.origin if name == "pre-receive" else None)
    before = state(desk)
    with pytest.raises((Refused, Unavailable), match="the covers are closed"):
        desk.posts.write_cover(post, COVER)
    assert state(desk) == before


def test_a_remote_out_of_reach_is_unavailable_and_its_password_is_not_told(desk):
    post = desk.add("题", "一段文字")
    desk.git("remote", "set-url", "origin", "http://me:topsecret@127.0.0.1:1/site.git")
    before = state(desk)
    with pytest.raises(Unavailable, match=r"git: fetch in .*127\.0\.0\.1") as caught:
        desk.posts.write_cover(post, COVER)
    assert "topsecret" not in str(caught.value)
    assert state(desk) == before


def test_a_call_that_hangs_is_ended_with_all_it_started(desk, tmp_path):
    post = desk.add("题", "一段文字")
    hook(desk, "pre-push", f"echo $$ > {tmp_path}/pid; sleep 600")
    before, started = state(desk), time.monotonic()
    hasty = GitPosts(Repository(folder=desk.repository, posts="posts", remote="origin", timeout_s=2))
    with pytest.raises(Unavailable, match=r"push in .* did not end within 2 s"):
        hasty.write_cover(post, COVER)
    assert time.monotonic() - started < 10
    assert not is_running(int((tmp_path / "pid").read_text()))
    assert state(desk) == before


@pytest.mark.parametrize("values", [
    {"posts": "/etc"}, {"pictures": "../covers"}, {"branch": "--force"}, {"branch": ""}, {"remote": "--upload-pack=x"},
    {"remote": "ext::sh -c x"}, {"branch": "a b"}, {"name": "a <b>"}, {"name": " "}, {"mail": "a\nb"}])
def test_values_that_git_would_take_for_something_else_are_refused(tmp_path, values):
    with pytest.raises(ValueError, match=r"^git: "):
        Repository(folder=tmp_path, **values)
