"""`fengmian eval`, end to end on a tiny random checkpoint: it scores, it says how, and what bad input gets."""

import pytest


@pytest.fixture
def quick(site, monkeypatch):
    site.settle(monkeypatch, GENERATOR__STEPS="1", GENERATOR__GUIDANCE="1")
    return site


def test_the_report_holds_every_score_by_tongue_with_its_interval(quick):
    answer = quick.run("eval", "--limit", "6", "--json", "--sheet", "sheet.png")
    assert answer.code == 0, answer.err
    report = answer.record
    assert (report["prompts"], report["steps"], report["guidance"]) == (6, 1, 1)
    assert {"motif", "place", "relation", "count", "quiet", "sharpness", "banding"} <= {*report["scores"], "palette"}
    assert ("aesthetic" in report["scores"]) != ("aesthetic" in report["not_configured"])
    motif = report["scores"]["motif"]
    assert {"all", "zh", "en", "mixed", "gap"} == set(motif)
    assert motif["all"]["low"] <= motif["all"]["mean"] <= motif["all"]["high"]
    assert report["same_bytes"] == 1.0
    assert report["articles"]["fit"]["count"] == 6
    assert report["one_style"]["covers"] == 6
    assert (quick.folder / "sheet.png").read_bytes().startswith(b"\x89PNG")


def test_posts_of_ones_own_are_judged_too_and_a_person_gets_a_table(quick):
    quick.posts.joinpath("own.md").write_text("# 云原生架构\n\n云原生让小团队也能稳定地服务百万用户。\n", encoding="utf-8")
    answer = quick.run("eval", "--limit", "2", "--articles", "posts")
    assert answer.code == 0, answer.err
    assert "your articles: " in answer.out
    assert "missed" in answer.out
    assert "same seed, same bytes: 100%" in answer.out


@pytest.mark.parametrize(("options", "said"), [(("--limit", "0"), "limit: 0"), (("--sheet", "sheet.jpg"), "sheet.jpg"),
                                              (("--limit", "1", "--articles", "nowhere"), "nowhere")])
def test_bad_input_is_one_line(quick, options, said):
    answer = quick.run("eval", *options)
    assert answer.code == 2
    assert said in answer.err
    assert answer.err.count("\n") == 1
