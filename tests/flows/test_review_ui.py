"""An editor at work: the run's page in a real browser, its form filled in, and the post in a real WordPress afterwards."""

import os
import urllib.request
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.flows.conftest import CHINESE
from tests.flows.test_gateway import Fleet
from tests.integrations.cms.desks import Blog

pytestmark = [pytest.mark.slow, pytest.mark.service("prefect"), pytest.mark.service("wordpress"), pytest.mark.service("browser")]
WORDS = CHINESE.rpartition("---\n")[2].strip()
SHOTS = os.environ.get("SCREENSHOTS", "")
"""A folder that gets pictures of the pages, for docs/."""


@pytest.fixture
def desk(site, prefect_server, wordpress, monkeypatch):
    """A WordPress whose covers are always looked at, and a worker's surroundings; the bundled model paints."""
    for name in ("GENERATOR__CHECKPOINT", "GENERATOR__STEPS", "SAFETY__PUBLISH_UNSCREENED"):
        monkeypatch.delenv(f"FENGMIAN_{name}")
        site.environment.pop(f"FENGMIAN_{name}", None)
    fleet, blog = Fleet(site, prefect_server, monkeypatch), Blog(wordpress)
    fleet.settle(monkeypatch, {"blog": {"kind": "wordpress", "url": wordpress.url, "user": "editor",
                                        "password": wordpress.passwords["editor"], "size": "1200x630",
                                        "review": {"policy": "always", "candidates": 3}}}, {})
    fleet.blog = blog
    fleet.deploy()
    return fleet


def order(desk, post_id):
    """Ask for a cover; the id of its run."""
    desk.prefect("deployment", "run", "cover-post/on-demand", "--param", f'post_id="{post_id}"', "--param", "source=site:blog",
                 "--param", "wishes={}")
    return desk.runs(post_id)[0]["id"]


def state(desk, run):
    return httpx.get(f"{desk.server.api_url}/flow_runs/{run}", timeout=30, trust_env=False).json()["state"]


class Form:
    """The form of a suspended run, in a browser."""

    def __init__(self, browser, desk, run):
        self.page = browser.new_page(viewport={"width": 1300, "height": 2000})
        self.dialog = self.page.locator(".p-modal").first
        desk.wait(lambda: self.is_there(desk, run))

    def is_there(self, desk, run):
        """Prefect keeps the form a moment after it has suspended the run: until then its page has only a button."""
        self.page.goto(f"{desk.server.api_url.removesuffix('/api')}/runs/flow-run/{run}")
        self.page.get_by_role("button", name="Resume").first.click()
        self.dialog.get_by_role("button", name="Submit").wait_for()
        self.page.wait_for_timeout(1000)
        return self.dialog.get_by_text("Editor (Optional)").count() == 1

    def fill(self, label, value):
        named = self.dialog.get_by_text(f"{label} (Optional)", exact=True)
        field = named.locator("xpath=ancestor::*[.//input or .//textarea][1]")
        field.locator("input, textarea").first.fill(value)

    def shoot(self, name):
        if SHOTS:
            self.page.wait_for_timeout(1000)
            self.page.screenshot(path=str(Path(SHOTS) / f"{name}.png"))

    def submit(self):
        """A Prefect server over SQLite turns busy writers away, and the form stays: then an editor presses again."""
        for _ in range(8):
            self.dialog.get_by_role("button", name="Submit").click()
            with suppress(PlaywrightTimeout):
                self.dialog.wait_for(state="hidden", timeout=15_000)
                return
        raise AssertionError(f"the form is not taken: {self.page.inner_text('body')[-500:]}")


def test_an_editor_sees_the_pictures_picks_one_and_the_post_has_it_with_the_editors_words(desk, browser):
    post = desk.blog.add("云原生架构的设计思路", WORDS)
    run = order(desk, post)
    with desk.worker():
        desk.wait(lambda: state(desk, run)["name"] == "Suspended")
        form = Form(browser, desk, run)
        widths = form.dialog.locator("img").evaluate_all("images => images.map(image => image.naturalWidth)")
        assert len(widths) == 3
        assert min(widths) > 500
        assert "云原生架构的设计思路" in form.dialog.inner_text()
        form.fill("Pick", "9")
        form.fill("Editor", "林")
        form.shoot("review-form")
        form.submit()
        desk.wait(lambda: is_asked_again(desk, run))
        form = Form(browser, desk, run)
        assert "pick: 9 is not from 1 to 3" in form.dialog.inner_text()
        form.shoot("review-complaint")
        form.fill("Pick", "2")
        form.fill("Alt Text", "编辑写的替代文字")
        form.fill("Editor", "林")
        form.submit()
        desk.wait(lambda: state(desk, run)["name"] == "Completed")
    assert desk.blog.shown_alt(post) == "编辑写的替代文字"
    entries = history(desk, post)
    (reviewed,), (published,) = entries["reviewed"], entries["published"]
    assert published["fingerprint"] == reviewed["content"]["shown"][1]
    assert (reviewed["content"]["editor"], reviewed["content"]["pick"]) == ("林", 2)
    assert len(entries["painted"]) == 3
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(desk.blog.posts.read(post).cover, timeout=10) as answer:
        assert answer.status == 200


def is_asked_again(desk, run):
    found = state(desk, run)
    return found["name"] == "Suspended" and found["state_details"]["pause_key"] == "review-2"


def history(desk, post):
    from integrations.ledger.sql import SqlLedger

    told = {}
    file = Path(desk.environment["FENGMIAN_STATE_FOLDER"]) / "ledger.sqlite"
    for entry in SqlLedger(f"sqlite:///{file}").entries(site="site:blog", post_id=post):
        told.setdefault(entry.happening, []).append({"fingerprint": entry.fingerprint, "content": entry.content})
    return told


def test_a_rejection_leaves_the_post_without_a_cover_and_says_who_and_why(desk, browser):
    post = desk.blog.add("周末骑行", "我们骑车去了山里，路很远，风很大，看见了湖。")
    run = order(desk, post)
    with desk.worker():
        desk.wait(lambda: state(desk, run)["name"] == "Suspended")
        form = Form(browser, desk, run)
        choose(form, "reject")
        form.fill("Reason", "太暗")
        form.fill("Editor", "王")
        form.submit()
        ended = desk.wait(lambda: (found := state(desk, run))["name"] == "Failed" and found)
    assert "王 rejected its covers: 太暗" in ended["message"]
    assert desk.blog.posts.read(post).cover == ""
    assert history(desk, post)["rejected"][0]["content"]["reason"] == "太暗"


def choose(form, decision):
    """Pick from the list of decisions; the arrow opens it."""
    control = form.dialog.locator(".p-select-button__control").first
    control.focus()
    form.page.keyboard.press("ArrowDown")
    form.page.get_by_text(decision, exact=True).last.click()
    assert control.inner_text() == decision
