"""One post in, one cover out, through the command line and real adapters."""

import hashlib
import re
import tomllib

import pytest
from PIL import Image

from flows import steps
from flows.cover_post import cover_post
from flows.errors import BadInput
from flows.record import Wishes
from tests.flows.conftest import BLOCKED, CHINESE, ENGLISH
from tests.integrations.safety.test_nsfw import save_vit

PARTS = {"fetch", "summarise", "render", "generate", "screen", "store", "write"}


def test_the_record_has_every_promised_field(site):
    site.post("a.md")
    record = site.run("cover", "posts/a.md", "--json").record
    assert list(record) == [
        "id", "title", "status", "brief", "prompt", "negative", "style", "fingerprint", "seed", "checkpoint", "cached",
        "verdicts", "alt_text", "cover", "files", "written", "editor", "timings_s"]
    assert (record["id"], record["title"], record["status"]) == ("a.md", "云原生架构的设计思路", "covered")
    assert record["brief"]["language"] == "zh"
    assert record["brief"]["method"] == "extractive"
    assert record["brief"]["sentence"] in record["alt_text"]
    assert record["brief"]["sentence"].rstrip("。") in record["prompt"]
    assert "文字" in record["negative"]
    assert record["style"] == "modern-minimal"
    assert re.fullmatch(r"[0-9a-f]{64}", record["fingerprint"])
    assert record["checkpoint"].startswith("tiny@")
    assert (record["cached"], record["written"]) == (False, False)
    assert record["timings_s"].keys() == PARTS
    assert record["timings_s"]["generate"] > 0


def test_the_verdicts_name_every_check_and_the_missing_screen(site):
    site.post("a.md")
    verdicts = site.run("cover", "posts/a.md", "--json").record["verdicts"]
    assert [(verdict["check"], verdict["decision"]) for verdict in verdicts] == [
        ("words.title", "pass"), ("words.body", "pass"), ("words.prompt", "pass"), ("nsfw", "not_configured")]


def test_the_files_are_what_the_record_says(site):
    site.post("a.md")
    files = site.run("cover", "posts/a.md", "--size", "1000x333", "--json").record["files"]
    assert [file["format"] for file in files] == ["webp", "png"]
    for file in files:
        assert file.keys() == {"path", "width", "height", "format", "sha256"}
        data = (site.folder / file["path"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == file["sha256"]
        with Image.open(site.folder / file["path"]) as picture:
            assert picture.size == (file["width"], file["height"]) == (1000, 333)
            assert picture.format.lower() == file["format"]


def test_seed_size_style_and_language_are_obeyed(site):
    site.post("a.md")
    record = site.run("cover", "posts/a.md", "--seed", "7", "--style", "ink-wash", "--lang", "en", "--size", "256x128",
                      "--json").record
    assert (record["seed"], record["style"]) == (7, "ink-wash")
    assert record["prompt"].startswith("Monochrome ink-wash")
    assert record["files"][0]["width"] == 256


def test_a_seed_changes_the_picture_and_only_a_seed_repeats_it(site):
    site.post("a.md")
    first, second, again = (site.run("cover", "posts/a.md", "--seed", seed, "--out", out, "--json").record
                            for seed, out in (("1", "x"), ("2", "y"), ("1", "z")))
    assert first["fingerprint"] != second["fingerprint"]
    assert first["files"][1]["sha256"] != second["files"][1]["sha256"]
    assert again["files"][1]["sha256"] == first["files"][1]["sha256"]


def test_an_english_post_gets_an_english_alt_text(site):
    site.post("e.md", ENGLISH)
    assert site.run("cover", "posts/e.md", "--json").record["alt_text"].startswith("Cover illustration: ")


def test_writing_keeps_every_other_byte_of_a_yaml_post(site):
    post = site.post("a.md", CHINESE.replace("\n", "\r\n"))
    record = site.run("cover", "posts/a.md", "--write", "--json").record
    assert record["written"] is True
    lines = post.read_bytes().split(b"\r\n")
    added = [line for line in lines if line.startswith((b"cover:", b"cover_alt:"))]
    assert added == [
        f'cover: "../{record["files"][0]["path"]}"'.encode(),
        f'cover_alt: "{record["alt_text"]}"'.encode(),
    ]
    assert b"\r\n".join(line for line in lines if line not in added) == CHINESE.replace("\n", "\r\n").encode()
    assert (post.parent / f"../{record['files'][0]['path']}").is_file()


def test_writing_keeps_every_other_byte_of_a_toml_post(site):
    post = site.post("e.md", ENGLISH)
    record = site.run("cover", "posts/e.md", "--write", "--json").record
    head, _, rest = ENGLISH.partition("+++\n\n")
    text = post.read_text()
    assert text.startswith(head)
    assert text.endswith("+++\n\n" + rest)
    assert tomllib.loads(text.split("+++")[1])["cover"] == {
        "image": f"../{record['files'][0]['path']}", "alt": record["alt_text"]}


def test_without_write_the_post_is_not_touched(site):
    post = site.post("a.md")
    site.run("cover", "posts/a.md")
    assert post.read_text() == CHINESE


def test_a_post_with_a_cover_is_left_alone_unless_forced(site):
    post = site.post("a.md", CHINESE.replace("---\n", "---\ncover: mine.png\n", 1))
    before = post.read_bytes()
    kept = site.run("cover", "posts/a.md", "--write", "--json")
    assert (kept.code, kept.record["status"], site.painter.calls, site.covers) == (0, "kept", 0, [])
    assert post.read_bytes() == before
    forced = site.run("cover", "posts/a.md", "--write", "--force", "--json").record
    assert (forced["status"], forced["written"]) == ("covered", True)
    assert b"mine.png" not in post.read_bytes()


def test_the_same_post_is_generated_once(site):
    site.post("a.md")
    first, second = (site.run("cover", "posts/a.md", "--json").record for _ in range(2))
    assert (first["cached"], second["cached"], site.painter.calls) == (False, True, 1)
    assert second["timings_s"]["generate"] == 0
    for name in first.keys() - {"cached", "timings_s", "verdicts"}:
        assert first[name] == second[name]
    assert [verdict["check"] for verdict in first["verdicts"]] == [verdict["check"] for verdict in second["verdicts"]]


def test_a_cover_is_delivered_again_after_its_copy_was_lost(site):
    site.post("a.md")
    site.run("cover", "posts/a.md")
    lost = site.covers
    for path in lost:
        path.unlink()
    site.run("cover", "posts/a.md")
    assert (site.covers, site.painter.calls) == (lost, 1)


@pytest.mark.parametrize("damage", ["truncated", "overwritten", "missing"])
@pytest.mark.parametrize("number", [0, 1])
def test_a_damaged_stored_file_is_painted_again(site, caplog, damage, number):
    site.post("a.md")
    whole = site.run("cover", "posts/a.md", "--json").record["files"]
    victim = site.stored[number]
    if damage == "missing":
        victim.unlink()
    else:
        victim.write_bytes(victim.read_bytes()[:100] if damage == "truncated" else b"\x89PNG nothing")
    answer = site.run("cover", "posts/a.md", "--json")
    assert (answer.code, answer.record["cached"], site.painter.calls) == (0, False, 2)
    assert answer.record["files"] == whole
    assert "is gone or damaged; painting it again" in caplog.text
    assert site.run("cover", "posts/a.md", "--json").record["cached"] is True


def test_a_damaged_cache_is_painted_around(site):
    site.post("a.md")
    site.run("cover", "posts/a.md")
    (site.folder / "state" / "covers.sqlite").write_bytes(b"no database " * 1000)
    answer = site.run("cover", "posts/a.md", "--json")
    assert (answer.code, answer.record["cached"], site.painter.calls) == (0, False, 2)


def test_a_blocked_post_paints_and_stores_nothing(site):
    post = site.post("bad.md", BLOCKED)
    answer = site.run("cover", "posts/bad.md", "--write", "--json")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("fengmian: bad.md: words.body says block (gambling: 真人荷官在线发牌")
    assert answer.err.count("\n") == 1
    assert (site.painter.calls, site.covers, site.stored) == (0, [], [])
    assert post.read_text() == BLOCKED


def write_list(site, level):
    (site.folder / "own.csv").write_text(
        f"word,category,level,action,source,licence\n百万用户,claims,{level},flag,us,own\n", encoding="utf-8")
    return '["own.csv"]'


def test_a_word_to_review_holds_the_cover_back(site, monkeypatch):
    site.post("a.md")
    site.settle(monkeypatch, SAFETY__WORD_LISTS=write_list(site, "review"))
    answer = site.run("cover", "posts/a.md", "--json")
    assert (answer.code, answer.out, site.painter.calls) == (1, "", 0)
    assert "words.body says review (claims: 百万用户)" in answer.err


def test_a_word_to_review_is_published_where_the_site_says_so(site, monkeypatch, caplog):
    site.post("a.md")
    site.settle(monkeypatch, SAFETY__WORD_LISTS=write_list(site, "review"), SAFETY__ON_REVIEW="publish")
    answer = site.run("cover", "posts/a.md", "--json")
    assert (answer.code, site.painter.calls) == (0, 1)
    assert "asks for review; published because safety.on_review is publish" in caplog.text
    assert "review" in {verdict["decision"] for verdict in answer.record["verdicts"]}


@pytest.mark.parametrize("allowed", ["", "mini", "tiny2"])
def test_another_checkpoint_publishes_nothing_unscreened(site, monkeypatch, allowed):
    site.post("a.md")
    site.settle(monkeypatch, SAFETY__PUBLISH_UNSCREENED=allowed)
    answer = site.run("cover", "posts/a.md", "--json")
    assert (answer.code, answer.out, site.painter.calls, site.stored) == (1, "", 0, [])
    assert "checkpoint 'tiny' may not publish without a picture screen: set safety.nsfw_model" in answer.err


def test_a_checkpoint_named_by_a_relative_path_has_its_real_name(site, monkeypatch, tiny_checkpoint):
    site.post("a.md")
    monkeypatch.chdir(tiny_checkpoint)
    site.settle(monkeypatch, GENERATOR__CHECKPOINT=".", SAFETY__PUBLISH_UNSCREENED="")
    answer = site.run("cover", site.posts / "a.md")
    assert (answer.code, site.painter.calls) == (1, 0)
    assert "checkpoint 'tiny' may not publish" in answer.err


def screen_with(site, monkeypatch, bias):
    folder = save_vit(site.folder / f"vit{bias[1]:g}", bias)
    site.settle(monkeypatch, SAFETY__NSFW_MODEL=str(folder), SAFETY__PUBLISH_UNSCREENED="")


def test_a_screened_checkpoint_publishes(site, monkeypatch):
    site.post("a.md")
    screen_with(site, monkeypatch, (4.0, 0.0))
    verdict = site.run("cover", "posts/a.md", "--json").record["verdicts"][-1]
    assert (verdict["check"], verdict["decision"]) == ("nsfw", "pass")
    assert verdict["model"].startswith("vit0@sha256:")


def test_a_blocked_picture_is_never_stored(site, monkeypatch):
    post = site.post("a.md")
    screen_with(site, monkeypatch, (0.0, 9.0))
    answer = site.run("cover", "posts/a.md", "--write", "--json")
    assert (answer.code, answer.out) == (1, "")
    assert "fengmian: picture: nsfw says block (unsafe 1.000;" in answer.err
    assert (site.painter.calls, site.covers, site.stored) == (1, [], [])
    assert post.read_text() == CHINESE


def test_a_picture_screen_that_fails_lets_nothing_through(site, monkeypatch):
    site.post("a.md")
    site.settle(monkeypatch, SAFETY__NSFW_MODEL=str(site.folder / "none"))
    answer = site.run("cover", "posts/a.md", "--json")
    assert (answer.code, answer.out, site.stored) == (1, "", [])
    assert "nsfw says error" in answer.err


def test_an_unscreened_cover_is_not_served_once_there_is_a_screen(site, monkeypatch):
    site.post("a.md")
    site.run("cover", "posts/a.md")
    screen_with(site, monkeypatch, (4.0, 0.0))
    screened = site.run("cover", "posts/a.md", "--json").record
    assert (screened["cached"], site.painter.calls) == (False, 2)
    assert screened["verdicts"][-1]["decision"] == "pass"
    assert site.run("cover", "posts/a.md", "--json").record["cached"] is True


def test_a_cached_cover_meets_the_policy_of_today(site, monkeypatch):
    site.post("a.md")
    screen_with(site, monkeypatch, (0.0, 0.5))
    site.settle(monkeypatch, SAFETY__ON_REVIEW="publish")
    assert site.run("cover", "posts/a.md").code == 0
    site.settle(monkeypatch, SAFETY__ON_REVIEW="hold")
    answer = site.run("cover", "posts/a.md", "--json")
    assert (answer.code, answer.out, site.painter.calls) == (1, "", 1)
    assert "picture: nsfw says review" in answer.err


def test_a_cached_cover_is_judged_anew_by_stricter_bounds(site, monkeypatch):
    site.post("a.md")
    screen_with(site, monkeypatch, (0.0, 0.5))  # unsafe 0.62
    site.settle(monkeypatch, SAFETY__NSFW_REVIEW_AT="0.7")
    assert site.run("cover", "posts/a.md").code == 0
    site.settle(monkeypatch, SAFETY__NSFW_REVIEW_AT="0.3", SAFETY__NSFW_BLOCK_AT="0.6")
    answer = site.run("cover", "posts/a.md", "--json")
    assert (answer.code, answer.out) == (1, "")
    assert "picture: nsfw says block" in answer.err


def test_a_cached_cover_is_named_by_the_cdn_of_today(site, monkeypatch):
    post = site.post("a.md")
    site.run("cover", "posts/a.md")
    for cdn in ("https://cdn-a.test", "https://cdn-b.test"):
        site.settle(monkeypatch, STORE__BASE_URL=cdn)
        answer = site.run("cover", "posts/a.md", "--write", "--force", "--json")
        assert answer.record["cached"] is True
        assert f'cover: "{cdn}/' in post.read_text()


@pytest.mark.parametrize("address", ["/covers", "https://blog.test/covers/"])
def test_a_post_names_its_cover_by_the_address_that_the_site_serves_it_at(site, monkeypatch, address):
    post = site.post("a.md")
    site.settle(monkeypatch, OUT_URL=address)
    record = site.run("cover", "posts/a.md", "--write", "--json").record
    assert record["cover"] == f"{address.rstrip('/')}/{site.covers[1].name}"
    assert f'cover: "{record["cover"]}"' in post.read_text()


def test_a_post_that_cannot_be_written_is_not_painted(site):
    site.post("a.md", '{"title": "云原生架构"}\n云原生让小团队也能稳定地服务百万用户。')
    answer = site.run("cover", "posts/a.md", "--write")
    assert (answer.code, site.painter.calls, site.covers) == (2, 0, [])
    assert "cannot be set in JSON front matter" in answer.err


def test_a_post_keeps_its_picture_wherever_its_file_lies(site):
    site.post("a.md")
    site.post("moved/b.md")
    first, second = (site.run("cover", source, "--json").record for source in ("posts/a.md", "posts/moved"))
    assert first["fingerprint"] == second["fingerprint"]
    assert (first["cached"], second["cached"]) == (False, True)


def test_a_post_is_never_told_of_a_file_only_we_can_see(site):
    post = site.post("a.md")
    with pytest.raises(BadInput, match=r"^write: the post would name a file in our own store"):
        cover_post(str(site.posts), "a.md", Wishes(write=True))
    assert (post.read_text(), site.stored) == (CHINESE, [])


def test_what_nobody_foresaw_stops_no_other_post(site, monkeypatch, caplog):
    site.post("a.md")
    site.post("b.md", ENGLISH)
    ours = steps.summarise

    def broken(article):
        if article.id == "a.md":
            raise ZeroDivisionError("a bug")
        return ours(article)

    monkeypatch.setattr(steps, "summarise", broken)
    answer = site.run("cover", "posts", "--json")
    assert (answer.code, [record["id"] for record in answer.records]) == (1, ["b.md"])
    assert "fengmian: a.md: ZeroDivisionError: a bug (not foreseen" in answer.err
    answer = site.run("backlog", "posts", "--json")
    assert (answer.code, [record["result"] for record in answer.records]) == (1, ["failed", "covered"])
    assert "a.md: not foreseen" in caplog.text


def test_a_folder_is_covered_post_by_post_and_one_bad_post_stops_no_other(site):
    site.post("a.md")
    site.post("b.md", BLOCKED)
    site.post("c/index.md", ENGLISH)
    answer = site.run("cover", "posts", "--json")
    assert answer.code == 1
    assert [record["id"] for record in answer.records] == ["a.md", "c/index.md"]
    assert answer.err.startswith("fengmian: b.md: ")
    assert [path.name[:2] for path in site.covers] == ["a-", "a-", "c-", "c-"]


def test_a_person_reads_what_was_made_and_where(site):
    site.post("a.md")
    lines = site.run("cover", "posts/a.md").out.splitlines()
    assert lines[0] == "云原生架构的设计思路"
    assert "(extractive)" in lines[1]
    assert re.fullmatch(r"  style modern-minimal, seed \d+, painted in \d+\.\d s", lines[2])
    assert [(site.folder / line.strip()).is_file() for line in lines[3:]] == [True, True]
    assert "from cache" in site.run("cover", "posts/a.md").out
