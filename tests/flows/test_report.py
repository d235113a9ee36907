"""The weekly report: its numbers by hand, and words that stay words."""

from io import BytesIO

import pytest
from PIL import Image

from flows import report
from integrations.ports import Entry

DAY = 86_400.0


def entries():
    def told(site, happening, day=0.0, **content):
        return Entry(site=site, post_id="p", happening=happening, at=day * DAY, content=content)

    return [
        told("site:blog", "painted", 0, seconds=30.0), told("site:blog", "painted", 0, seconds=30.0),
        told("site:blog", "painted", 1, seconds=40), told("site:docs", "painted", 2, seconds=5),
        told("site:blog", "reviewed", 0, decision="ask again"), told("site:blog", "reviewed", 1, decision="approve"),
        told("site:blog", "reviewed", 1, decision="approve"), told("site:blog", "reviewed", 1, decision="approve"),
        told("site:blog", "rejected", 1, style="flat", reason="太暗 | <b>dark</b>"),
        told("site:blog", "published", 1, cached=False), told("site:blog", "published", 1, cached=True),
        told("site:docs", "published", 2, cached=False), told("site:docs", "restored", 2)]


def test_the_figures_are_those_of_the_ledger():
    figures = report.count_entries(entries())
    blog, docs, everything = figures["site:blog"], figures["site:docs"], figures[""]
    assert (blog.covers, blog.acceptance, blog.seconds_per_cover, blog.cache_share) == (2, 0.75, 50.0, 0.5)
    assert (docs.covers, docs.acceptance, docs.seconds_per_cover, docs.restored) == (1, None, 5.0, 1)
    assert (everything.covers, everything.seconds, everything.rejected) == (3, 105.0, 1)


def test_a_week_without_anything_has_no_shares():
    nothing = report.count_entries([])[""]
    assert (nothing.acceptance, nothing.seconds_per_cover, nothing.cache_share) == (None, None, None)
    assert "| **all 全部** | 0 | – | – | – | 0 | 0 |" in report.write_markdown({"": nothing}, 0, 7 * DAY)


def test_reasons_stand_by_style_and_stay_words():
    text = report.write_markdown(report.count_entries(entries()), 0, 7 * DAY)
    assert "# Covers 封面 1970-01-01 – 1970-01-08" in text
    assert "| flat | 太暗 &#124; &#60;b&#62;dark&#60;/b&#62; | 1 |" in text
    assert "| site:blog | 2 | 75% | 50.0 | 50% | 1 | 0 |" in text


def test_more_reasons_than_anybody_reads_are_counted():
    many = [Entry(site="s", post_id="p", happening="rejected", content={"style": "flat", "reason": f"r{number}"})
            for number in range(report.MAX_REASONS + 2)]
    assert "2 further reasons are in the ledger." in report.write_markdown(report.count_entries(many), 0, DAY)


def test_the_days_are_drawn():
    pytest.importorskip("matplotlib")
    with Image.open(BytesIO(report.draw_days(entries(), 0, 7 * DAY))) as picture:
        assert (picture.format, picture.size) == ("PNG", (880, 440))
        colours = {colour for _, colour in picture.convert("RGB").getcolors(maxcolors=1 << 24)}
    assert {(0x2f, 0x6f, 0x4f), (0xb5, 0x52, 0x3b), (0x3b, 0x5b, 0x92)} <= colours
