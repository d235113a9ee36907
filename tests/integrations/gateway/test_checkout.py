"""A folder that a push has to reach, with real Git repositories."""

import subprocess

import pytest

from integrations.errors import Refused, Unavailable
from integrations.gateway.checkout import GitCheckout


def git(folder, *words):
    done = subprocess.run(["git", "-c", "user.name=T", "-c", "user.email=t@example.org", "-C", str(folder), *words],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(folder, name, text="words"):
    (folder / name).write_text(text)
    git(folder, "add", name)
    git(folder, "commit", "-q", "-m", name)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def origin(tmp_path):
    folder = tmp_path / "origin"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    commit(folder, "a.md")
    return folder


@pytest.fixture
def folder(origin, tmp_path):
    git(tmp_path, "clone", "-q", str(origin), "site")
    return tmp_path / "site"


def test_a_folder_that_has_the_commit_is_left_as_it_is(folder):
    old = git(folder, "rev-parse", "HEAD")
    new = commit(folder, "own.md")
    GitCheckout(folder, pulls=True).bring(old)
    assert git(folder, "rev-parse", "HEAD") == new


def test_a_folder_that_others_pull_is_waited_for(origin, folder):
    pushed = commit(origin, "b.md")
    with pytest.raises(Unavailable, match=f"is not at commit {pushed[:12]} yet$"):
        GitCheckout(folder).bring(pushed)
    git(folder, "pull", "-q")
    GitCheckout(folder).bring(pushed)


def test_a_folder_of_ours_is_brought_to_the_commit_and_keeps_what_was_written_in_it(origin, folder):
    pushed = commit(origin, "b.md")
    (folder / "cover.webp").write_bytes(b"ours")
    GitCheckout(folder, pulls=True).bring(pushed)
    assert (folder / "b.md").read_text() == "words"
    assert (folder / "cover.webp").read_bytes() == b"ours"


def test_a_folder_that_has_diverged_is_refused(origin, folder):
    pushed = commit(origin, "b.md")
    commit(folder, "own.md")
    with pytest.raises(Refused, match="cannot follow what was pushed: it has diverged"):
        GitCheckout(folder, pulls=True).bring(pushed)


def test_an_origin_out_of_reach_is_worth_another_try(origin, folder, tmp_path):
    pushed = commit(origin, "b.md")
    origin.rename(tmp_path / "away")
    with pytest.raises(Unavailable, match="fetch in"):
        GitCheckout(folder, pulls=True).bring(pushed)


@pytest.mark.parametrize("word", ["", "HEAD", "main", "--help", "abc", "g" * 40, "A" * 40, "a" * 40 + "\n"])
def test_what_is_no_commit_is_refused(folder, word):
    with pytest.raises(Refused, match=r"is not the id of a commit$"):
        GitCheckout(folder).bring(word)


def test_a_folder_outside_any_repository_never_has_it(tmp_path):
    with pytest.raises(Refused, match="not a git repository"):
        GitCheckout(tmp_path).bring("a" * 40)


def test_a_folder_whose_post_was_changed_here_and_there_is_refused_and_keeps_both(origin, folder):
    pushed = commit(origin, "a.md", "new words")
    (folder / "a.md").write_text("a cover that nobody committed")
    with pytest.raises(Refused, match="cannot follow what was pushed"):
        GitCheckout(folder, pulls=True).bring(pushed)
    assert (folder / "a.md").read_text() == "a cover that nobody committed"
    with pytest.raises(Refused, match="cannot follow"):
        GitCheckout(folder, pulls=True).bring(pushed)
