"""Every post without a cover gets one, in this process, through the command line."""

import http.server
import threading

import pytest

from tests.flows.conftest import BLOCKED, CHINESE, ENGLISH

FEED = """<?xml version="1.0" encoding="utf-8"?>
<rss version="2.0"><channel><title>t</title><link>http://127.0.0.1/</link><description>d</description>
<item><guid>one</guid><title>How caching keeps sites fast</title><description>{text}</description></item>
<item><guid>two</guid><title>云原生架构</title><description>{text}</description></item>
<item><guid>three</guid><title>Has one</title><description>{text}</description>
<enclosure url="http://127.0.0.1/x.png" type="image/png" length="1"/></item>
</channel></rss>""".format(text="Caching keeps a small site fast without more machines. " * 10)


@pytest.fixture
def feed(site, monkeypatch):
    """A feed on this machine, and how often it was asked for."""
    asked = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "application/rss+xml; charset=utf-8")
            self.end_headers()
            self.wfile.write(FEED.encode())

        def log_message(self, *words):
            """Silent."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        site.settle(monkeypatch, FETCH__ALLOW_NETWORKS='["127.0.0.0/8"]', FETCH__PORTS=f"[{server.server_port}]")
        yield f"http://127.0.0.1:{server.server_port}/feed.xml", asked
        server.shutdown()


def fill(site):
    site.post("a.md")
    site.post("b.md", ENGLISH)
    site.post("c.md", CHINESE.replace("---\n", "---\ncover: mine.png\n", 1))


def test_every_post_without_a_cover_gets_one_and_its_file_says_so(site):
    fill(site)
    answer = site.run("backlog", "posts")
    assert answer.code == 0
    assert answer.out.rstrip().endswith("2 covered, 1 kept")
    assert "cover:" in (site.posts / "a.md").read_text()
    assert (site.posts / "c.md").read_text().count("mine.png") == 1
    assert len(list((site.posts / "covers").glob("*.webp"))) == 2


def test_a_second_run_does_nothing(site):
    fill(site)
    site.run("backlog", "posts")
    before = {path: path.read_bytes() for path in site.posts.rglob("*") if path.is_file()}
    answer = site.run("backlog", "posts")
    assert (answer.code, site.painter.calls) == (0, 2)
    assert answer.out.rstrip().endswith("3 kept")
    assert {path: path.read_bytes() for path in site.posts.rglob("*") if path.is_file()} == before


def test_a_dry_run_says_what_is_missing_and_touches_nothing(site):
    fill(site)
    before = (site.posts / "a.md").read_bytes()
    answer = site.run("backlog", "posts", "--dry-run")
    assert answer.code == 0
    assert answer.out.rstrip().endswith("1 kept, 2 missing")
    assert (site.painter.calls, site.stored, (site.posts / "a.md").read_bytes()) == (0, [], before)


def test_a_dry_run_says_which_posts_could_not_be_written(site):
    site.post("a.md", '{"title": "云原生架构"}\n云原生让小团队也能稳定地服务百万用户。')
    answer = site.run("backlog", "posts", "--dry-run", "--json")
    assert (answer.code, answer.record["result"]) == (1, "failed")
    assert "JSON front matter" in answer.record["reason"]
    assert site.run("backlog", "posts", "--dry-run", "--no-write", "--json").record["result"] == "missing"


def test_a_limit_counts_work_so_that_repeating_it_finishes(site):
    site.post("0.md", BLOCKED)
    for name in "abc":
        site.post(f"{name}.md")
    counts = [site.run("backlog", "posts", "--limit", "2").out.rstrip().splitlines()[-1] for _ in range(2)]
    assert counts == ["2 covered, 1 failed", "1 covered, 2 kept, 1 failed"]


def test_a_limit_of_a_dry_run_lists_no_more(site):
    for name in "abc":
        site.post(f"{name}.md")
    assert site.run("backlog", "posts", "--dry-run", "--limit", "2").out.rstrip().endswith("2 missing")


def test_one_bad_post_never_stops_the_rest_and_the_exit_code_tells(site):
    site.post("a.md", BLOCKED)
    site.post("b.md", "---\ntitle: [\n---\nwords")
    site.post("c.md", "")
    site.post("d.md")
    (site.posts / "e.md").write_bytes(b"\xff\xfe\x00\x01" * 10)
    answer = site.run("backlog", "posts", "--json")
    results = {record["id"]: record["result"] for record in answer.records}
    assert answer.code == 1
    assert results["d.md"] == "covered"
    assert [results[name] for name in ("a.md", "b.md", "c.md")] == ["failed"] * 3
    assert all(record["reason"] for record in answer.records if record["result"] == "failed")


def test_json_is_one_object_per_post_and_nothing_else(site):
    fill(site)
    records = site.run("backlog", "posts", "--json").records
    assert [(record["id"], record["result"]) for record in records] == [
        ("a.md", "covered"),
        ("b.md", "covered"),
        ("c.md", "kept"),
    ]
    assert records[0]["files"]
    assert records[0]["fingerprint"]


def test_titles_in_chinese_and_english_stand_in_one_table(site):
    fill(site)
    lines = site.run("backlog", "posts").out.splitlines()
    width = {
        line.index("covered") + sum(letter >= "\u2e80" for letter in line[: line.index("covered")])
        for line in lines[1:3]
    }
    assert len(width) == 1


def test_an_empty_folder_is_no_failure(site):
    answer = site.run("backlog", "posts")
    assert (answer.code, answer.out) == (0, "no posts\n")


def test_a_feed_is_covered_into_a_folder_fetched_once_and_written_nowhere(site, feed):
    url, asked = feed
    answer = site.run("backlog", url, "--json")
    assert answer.code == 0
    assert [(record["id"], record["result"]) for record in answer.records] == [
        ("one", "covered"), ("two", "covered"), ("three", "kept")]
    assert (len(site.covers), asked) == (4, ["/feed.xml"])
    assert site.run("backlog", url, "--json").records[0]["cached"] is True


def test_a_limited_feed_goes_on_at_the_next_run(site, feed):
    url, _ = feed
    site.run("backlog", url, "--limit", "1")
    site.run("backlog", url, "--limit", "1")
    assert len(site.covers) == 4


@pytest.mark.parametrize("command", ["backlog", "cover"])
def test_a_feed_cannot_be_written(site, feed, command):
    url, asked = feed
    answer = site.run(command, url, "--write")
    assert answer.code == 2
    assert answer.err == f"fengmian: source: '{url}' is on the web and read only; --write needs a file or folder\n"
    assert (asked, site.painter.calls) == ([], 0)
