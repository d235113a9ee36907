"""What `fengmian doctor` finds, and whether it is right about `fengmian cover`."""

import json

import pytest

from tests.integrations.safety.test_nsfw import save_vit

PARTS = [
    "settings",
    "style",
    "templates",
    "summarizer",
    "words",
    "generator",
    "licence",
    "picture screen",
    "cache",
    "store",
    "ledger",
    "prefect",
]


def examine(site):
    """(the report, findings by part); the doctor and the cover command must agree."""
    site.post("a.md")
    answer = site.run("doctor", "--json")
    report = answer.record
    assert report["ready"] is (answer.code == 0) is (site.run("cover", "posts").code == 0)
    for finding in report["checks"]:
        assert bool(finding["remedy"]) is (finding["state"] == "gap")
        assert "\n" not in finding["found"] + finding["remedy"]
    return report, {finding["part"]: finding for finding in report["checks"]}


def test_a_healthy_site_is_ready_and_every_part_is_told(site):
    report, findings = examine(site)
    assert report["ready"] is True
    assert list(findings) == PARTS
    assert {part: finding["state"] for part, finding in findings.items() if finding["state"] != "ok"} == {
        "picture screen": "off", "prefect": "off"}
    assert findings["generator"]["found"].startswith("tiny@")
    assert findings["licence"]["found"] == "apache-2.0 (README.md)"
    assert findings["summarizer"]["found"] == "extractive"
    assert "not_configured" in findings["picture screen"]["found"]
    assert findings["store"]["found"].startswith("folder; a probe came back from ")
    assert report["settings"]["generator"]["steps"] == 2


def test_the_doctor_can_be_asked_again(site):
    examine(site)
    stored = site.stored
    assert site.run("doctor").code == 0
    assert site.stored == stored


@pytest.mark.parametrize(("part", "changes", "remedy"), [
    ("style", {"STYLE": "ink-wosh"}, "fengmian styles"),
    ("style", {"BRAND_FOLDER": "none"}, "fengmian styles"),
    ("summarizer", {"SUMMARIZER__KIND": "t5", "SUMMARIZER__MODEL": "none"}, "summarizer.model"),
    ("words", {"SAFETY__WORD_LISTS": '["none.csv"]'}, "safety.word_lists"),
    ("picture screen", {"SAFETY__PUBLISH_UNSCREENED": ""}, "safety.nsfw_model"),
    ("picture screen", {"SAFETY__NSFW_MODEL": "none"}, "safety.nsfw_model"),
    ("cache", {"CACHE__KIND": "redis", "CACHE__REDIS_URL": "redis://127.0.0.1:1/0"}, "cache.redis_url"),
    ("cache", {"STATE_FOLDER": "posts/a.md/state"}, "state_folder"),
    ("store", {"STORE__FOLDER": "posts/a.md/covers"}, "folder writable"),
    ("prefect", {"PREFECT_API_URL": "http://127.0.0.1:1/api"}, "prefect server start"),
])
def test_a_gap_is_found_and_its_remedy_told(site, monkeypatch, part, changes, remedy):
    site.settle(monkeypatch, **changes)
    report, findings = examine(site)
    assert report["ready"] is False
    assert findings[part]["state"] == "gap"
    assert remedy in findings[part]["remedy"]


def test_missing_weights_are_a_gap(site, monkeypatch):
    site.settle(monkeypatch, GENERATOR__CHECKPOINT=str(site.folder / "gone"))
    answer = site.finish(site.start("doctor", "--json"))
    gaps = [finding["part"] for finding in answer.record["checks"] if finding["state"] == "gap"]
    assert answer.code == 1
    assert "generator" in gaps


def test_a_template_that_breaks_is_a_gap(site, monkeypatch):
    (site.folder / "cover.zh.j2").write_text("{{ nonsense }}")
    site.settle(monkeypatch, TEMPLATE_FOLDER=str(site.folder))
    assert examine(site)[1]["templates"]["state"] == "gap"


def test_settings_that_cannot_be_read_are_the_one_gap(site, monkeypatch):
    site.settle(monkeypatch, STOER__KIND="s3")
    _, findings = examine(site)
    assert list(findings) == ["settings"]
    assert "did you mean store.kind?" in findings["settings"]["found"]


def test_a_picture_screen_is_really_loaded(site, monkeypatch):
    folder = save_vit(site.folder / "vit", (4.0, 0.0))
    site.settle(monkeypatch, SAFETY__NSFW_MODEL=str(folder))
    _, findings = examine(site)
    assert findings["picture screen"]["found"].startswith("vit@sha256:")


def test_a_person_reads_a_table_with_an_arrow_for_each_gap(site, monkeypatch):
    site.settle(monkeypatch, STYLE="ink-wosh")
    answer = site.run("doctor")
    assert answer.code == 1
    assert answer.out.count("→") == 1  # the style is a gap; the templates are tried with one of ours
    assert answer.out.rstrip().endswith("not ready: `fengmian cover` would fail; see the arrows")


@pytest.mark.service("redis")
def test_a_redis_that_answers_is_ready(site, monkeypatch, redis_server):
    site.settle(monkeypatch, CACHE__KIND="redis", CACHE__REDIS_URL=redis_server.url)
    assert examine(site)[1]["cache"]["found"] == "Redis answers"


def test_every_site_is_visited_and_a_missing_one_is_a_gap(site, monkeypatch):
    site.post("a.md")
    site.settle(monkeypatch, SITES=json.dumps({"blog": {"kind": "markdown", "folder": "posts"},
                                               "gone": {"kind": "markdown", "folder": "nowhere"}}))
    answer = site.run("doctor", "--json")
    checks = {check["part"]: check for check in answer.record["checks"]}
    assert checks["site blog"]["state"] == "ok"
    assert checks["site blog"]["found"] == "markdown; post a.md can be written; review never"
    assert (checks["site gone"]["state"], "nowhere" in checks["site gone"]["found"]) == ("gap", True)
    assert (answer.code, checks["ledger"]["state"]) == (1, "ok")
