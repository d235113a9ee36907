"""What an editor may answer and what follows: the story with an editor who is a list of answers."""


import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from flows import steps, wiring
from flows.cover_post import cover_post
from flows.errors import BadInput, CoverRejected, OverBudget
from flows.record import Wishes
from flows.review import Answer, is_reviewed, read_region
from integrations.pictures import decode_file
from tests.flows.conftest import ENGLISH

POST = "a.md"


@pytest.fixture
def blog(site, monkeypatch):
    """A site of one post whose covers are always looked at."""
    site.post(POST, ENGLISH)
    settle(site, monkeypatch, review={"policy": "always", "candidates": 3})
    return site


def settle(site, monkeypatch, **settings):
    """The site's one blog, with these settings."""
    blog = {"kind": "markdown", "folder": str(site.posts), "out": str(site.folder / "covers"), **settings}
    site.settle(monkeypatch, SITES=json.dumps({"blog": blog}))


class Editor:
    """Gives one answer after another, for the pictures that are shown; keeps what was asked."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def __call__(self, proposal):
        self.asked.append(proposal)
        given = self.answers[len(self.asked) - 1]
        words = {"alt_text": proposal.draft.alt_text, "prompt": proposal.draft.prompt.text, "editor": "林",
                 "sheet": proposal.sheet}
        return Answer(**{**words, **given})


def cover(*answers, **wishes):
    editor = Editor(*answers)
    return cover_post("site:blog", POST, Wishes(**wishes), review=editor), editor


def told(happening):
    return list(wiring.ports().ledger.entries(site="site:blog", happening=happening))


def test_the_picked_cover_is_published_with_the_editors_alt_text_and_name(blog):
    record, editor = cover({"pick": 2, "alt_text": " 一座灯塔 "})
    shown = editor.asked[0].candidates
    assert len({candidate.fingerprint for candidate in shown}) == 3
    assert (record.fingerprint, record.alt_text, record.editor, record.written) == (shown[1].fingerprint, "一座灯塔", "林", True)
    post = (blog.posts / POST).read_text()
    assert record.fingerprint[:8] in post
    assert "一座灯塔" in post
    entry, = told("reviewed")
    assert entry.content["shown"] == [candidate.fingerprint for candidate in shown]
    assert (entry.content["editor"], entry.content["pick"], entry.fingerprint) == ("林", 2, shown[1].fingerprint)


def test_a_bad_answer_is_asked_again_with_the_reason_and_nothing_is_lost(blog):
    bad = [{"pick": 9}, {"editor": " "}, {"alt_text": ""}, {"alt_text": "x" * 301}, {"decision": "reject"},
           {"decision": "reject", "reason": "x" * 1001}, {"decision": "ask again", "prompt": ""},
           {"decision": "redo region", "region": "50 0 60 100"}, {"alt_text": "澳门赌场在线开户"}, {"sheet": "other"}]
    words = ["pick: 9", "editor", "alt text: it has 0", "301", "reason", "1001", "prompt", "region", "gambling", "look again"]
    wiring.ports().generator = blog.painter
    _, editor = cover(*bad, {})
    complaints = [proposal.complaint for proposal in editor.asked]
    assert complaints[0] == ""
    for complaint, word in zip(complaints[1:], words, strict=True):
        assert word in complaint
    assert len({proposal.sheet for proposal in editor.asked}) == 1
    assert len(told("reviewed")) == 1
    assert blog.painter.calls == 3


def test_asking_again_with_another_prompt_paints_from_that_prompt(blog):
    record, editor = cover({"decision": "ask again", "prompt": "一只纸鹤，主体靠左"}, {"pick": 1})
    first, second = editor.asked
    assert second.draft.prompt.text == record.prompt == "一只纸鹤，主体靠左"
    assert not {each.fingerprint for each in first.candidates} & {each.fingerprint for each in second.candidates}
    assert record.fingerprint == second.candidates[0].fingerprint


def test_asking_again_with_the_same_prompt_gives_other_pictures(blog):
    _, editor = cover({"decision": "ask again"}, {})
    first, second = editor.asked
    assert not {each.seed for each in first.candidates} & {each.seed for each in second.candidates}


def test_a_region_is_painted_anew_and_the_rest_keeps_its_pixels(blog):
    record, editor = cover({"decision": "redo region", "pick": 2, "region": "50 0 50 100"}, {"pick": 1})
    first, second = editor.asked
    assert [each.fingerprint for each in second.candidates[1:]] == [each.fingerprint for each in first.candidates]
    before, after = (np_of(candidate) for candidate in (first.candidates[1], second.candidates[0]))
    half = before.shape[1] // 2
    assert (before[:, :half] == after[:, :half]).all()
    assert (before[:, half:] != after[:, half:]).any()
    assert record.fingerprint == second.candidates[0].fingerprint


def np_of(candidate):
    file = next(file for file in candidate.painted.cover.files if file.format == "png")
    picture = decode_file(Path(file.path))
    return np.frombuffer(picture.rgb, np.uint8).reshape(picture.height, picture.width, 3)


def test_a_rejection_publishes_nothing_says_why_and_is_not_asked_about_again_until_the_post_changes(blog):
    before = (blog.posts / POST).read_text()
    with pytest.raises(CoverRejected, match="林 rejected its covers: too dark"):
        cover({"decision": "reject", "reason": "too dark"})
    assert (blog.posts / POST).read_text() == before
    entry, = told("rejected")
    assert (entry.content["reason"], entry.content["style"]) == ("too dark", "modern-minimal")
    record, editor = cover(only_missing=True)
    assert (record.status, editor.asked) == ("kept", [])
    (blog.posts / POST).write_text(before.replace("month", "year"))
    record, editor = cover({}, only_missing=True)
    assert record.status == "covered"


def test_a_run_that_starts_over_with_an_answer_paints_and_notes_nothing_twice(blog):
    class Suspended(Exception):
        pass

    def suspend(proposal):
        raise Suspended

    wiring.ports().generator = blog.painter
    with pytest.raises(Suspended):
        cover_post("site:blog", POST, Wishes(), review=suspend)
    painted = blog.painter.calls
    record, _ = cover({"decision": "ask again"}, {"pick": 3})
    again = cover_post("site:blog", POST, Wishes(force=True), review=Editor({"decision": "ask again"}, {"pick": 3}))
    assert again.fingerprint == record.fingerprint
    assert (painted, blog.painter.calls, len(told("painted")), len(told("reviewed"))) == (3, 6, 6, 2)


def test_answers_that_never_fit_end_without_a_cover(blog):
    with pytest.raises(CoverRejected, match="12 questions"):
        cover(*[{"pick": 0}] * 12)
    assert told("published") == []


def test_without_editors_such_a_post_is_refused_unless_the_review_is_waived(blog):
    with pytest.raises(BadInput, match="wants this cover to be reviewed"):
        cover_post("site:blog", POST, Wishes())
    assert cover_post("site:blog", POST, Wishes(waive_review=True)).editor == ""


def test_a_canary_looks_at_about_its_share_and_always_at_the_same_posts(blog, monkeypatch):
    settle(blog, monkeypatch, review={"policy": "canary", "share": 0.2})
    looked_at = [is_reviewed("site:blog", str(number)) for number in range(2000)]
    assert 320 < sum(looked_at) < 480
    assert looked_at == [is_reviewed("site:blog", str(number)) for number in range(2000)]


@pytest.mark.parametrize("text", ["", "1 2 3", "a b c d", "0 0 0 100", "0 0 101 100", "-1 0 50 50", "50 50 51 50", "1e1 0 5 5",
                                  "0 0 50 50 1"])
def test_a_region_that_is_none_is_refused(text):
    with pytest.raises(BadInput, match="region"):
        read_region(text, 1200, 630)


def test_regions_that_touch_share_no_pixel():
    left, right = read_region("0 0 33 100", 1000, 631), read_region("33,0,67%,100", 1000, 631)
    assert (left[0] + left[2], right[0] + right[2], right[3]) == (right[0], 1000, 631)


def test_a_site_that_has_painted_for_its_time_today_goes_on_tomorrow(blog, monkeypatch):
    settle(blog, monkeypatch, budget_s=0.001)
    assert cover_post("site:blog", POST, Wishes()).written
    blog.post("b.md", ENGLISH.replace("caching", "paper"))
    with pytest.raises(OverBudget, match=r"its budget_s is 0\.001"):
        cover_post("site:blog", "b.md", Wishes())
    real = steps.time.time
    monkeypatch.setattr(steps.time, "time", lambda: real() + 86400)
    assert cover_post("site:blog", "b.md", Wishes()).written


def test_undo_puts_back_what_was_there_once_and_never_over_somebodys_choice(blog):
    before = (blog.posts / POST).read_bytes()
    cover({"pick": 1})
    assert blog.run("undo", "site:blog", POST).out == f"{POST}: as it was before\n"
    assert (blog.posts / POST).read_bytes() == before
    answer = blog.run("undo", "site:blog", POST)
    assert (answer.code, "knows of no cover" in answer.err) == (2, True)
    record, _ = cover({"pick": 1})
    mine = (blog.posts / POST).read_text().replace(record.cover, "/mine.png")
    (blog.posts / POST).write_text(mine)
    answer = blog.run("undo", "site:blog", POST)
    assert (answer.code, "/mine.png" in answer.err) == (2, True)
    assert (blog.posts / POST).read_text() == mine


def test_a_style_that_is_asked_for_wins_over_the_sites(blog, monkeypatch):
    settle(blog, monkeypatch, style="forest-eco", size="640x320")
    record = cover_post("site:blog", POST, Wishes())
    assert (record.style, record.files[0].width) == ("forest-eco", 640)
    assert cover_post("site:blog", POST, Wishes(style="dark-tech", force=True)).style == "dark-tech"


def test_an_unknown_site_is_refused_with_the_names_of_those_that_are_known(blog):
    answer = blog.run("cover", "site:blogg")
    assert (answer.code, "blogg" in answer.err, "blog" in answer.err) == (2, True, True)




def test_a_site_in_a_git_repository_gets_its_cover_as_a_commit_and_loses_it_by_another(blog, monkeypatch):
    def git(*words):
        return subprocess.run(["git", "-C", str(blog.posts), *words], check=True, capture_output=True, text=True).stdout

    git("init", "-q", "-b", "main")
    git("add", "-A")
    git("-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-q", "-m", "posts")
    before = (blog.posts / POST).read_bytes()
    settings = {"kind": "git", "folder": str(blog.posts), "git": {"pictures": "static"}}
    blog.settle(monkeypatch, SITES=json.dumps({"blog": settings}))
    record = cover_post("site:blog", POST, Wishes())
    assert record.written
    assert git("status", "--porcelain") == ""
    assert git("log", "-1", "--format=%an", "--name-only").split() == ["Fengmian", POST, *git("ls-files", "static").split()]
    assert blog.run("undo", "site:blog", POST).code == 0
    assert (blog.posts / POST).read_bytes() == before
    assert git("rev-list", "--count", "HEAD").strip() == "3"
