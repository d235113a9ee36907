"""The weekly report: what the ledger tells of covers, editors and painting, in numbers, as Markdown and as a picture."""

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from io import BytesIO

from integrations.ports import Entry

DAY_S = 86_400
MAX_REASONS = 30


@dataclass(kw_only=True)
class Figures:
    """What happened to the posts of one source. seconds: of painting, on whatever paints. reasons: by style and words."""

    covers: int = 0
    cached: int = 0
    approved: int = 0
    rejected: int = 0
    restored: int = 0
    seconds: float = 0.0
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, entry: Entry) -> None:
        """Count one entry."""
        match entry.happening:
            case "published":
                self.covers += 1
                self.cached += bool(entry.content.get("cached"))
            case "reviewed":
                self.approved += entry.content.get("decision") == "approve"
            case "rejected":
                self.rejected += 1
                self.reasons[str(entry.content.get("style", "")), str(entry.content.get("reason", ""))] += 1
            case "painted":
                self.seconds += float(entry.content["seconds"])
            case "restored":
                self.restored += 1

    @property
    def acceptance(self) -> float | None:
        """Of the posts that an editor decided on, the share that got a cover; None where there were none."""
        decided = self.approved + self.rejected
        return self.approved / decided if decided else None

    @property
    def seconds_per_cover(self) -> float | None:
        """Seconds of painting for each published cover, those not picked included."""
        return self.seconds / self.covers if self.covers else None

    @property
    def cache_share(self) -> float | None:
        """The share of published covers that were there already."""
        return self.cached / self.covers if self.covers else None


def count_entries(entries: Iterable[Entry]) -> dict[str, Figures]:
    """Figures by source, those of "" being of all."""
    figures: dict[str, Figures] = {"": Figures()}
    for entry in entries:
        figures[""].add(entry)
        figures.setdefault(entry.site, Figures()).add(entry)
    return figures


def write_markdown(figures: dict[str, Figures], since: float, until: float) -> str:
    """The report as people read it."""
    span = f"{_day(since)} – {_day(until)}"
    lines = [f"# Covers 封面 {span}", "",
             "| Site 站点 | covers 封面 | acceptance 通过率 | painting s / cover 每张耗时 | from cache 缓存 | rejected 退回 "
             "| taken back 撤回 |", "|---|---|---|---|---|---|---|"]
    for source, each in sorted(figures.items()):
        lines.append(f"| {_cell(source) or '**all 全部**'} | {each.covers} | {_share(each.acceptance)} | "
                     f"{_number(each.seconds_per_cover)} | {_share(each.cache_share)} | {each.rejected} | {each.restored} |")
    if reasons := figures[""].reasons:
        lines += ["", "## Why covers were rejected 退回理由", "", "| Style 风格 | reason 理由 | times 次数 |", "|---|---|---|"]
        lines += [f"| {_cell(style)} | {_cell(reason)} | {times} |"
                  for (style, reason), times in reasons.most_common(MAX_REASONS)]
        if len(reasons) > MAX_REASONS:
            lines += ["", f"{len(reasons) - MAX_REASONS} further reasons are in the ledger."]
    return "\n".join(lines) + "\n"


def draw_days(entries: Sequence[Entry], since: float, until: float) -> bytes:
    """A PNG: covers published and rejected on each day (UTC), and the minutes painted. Raises ImportError without matplotlib."""
    from matplotlib.figure import Figure

    days = range(int(since // DAY_S), int(until // DAY_S) + 1)
    figure = Figure(figsize=(8, 4), layout="constrained")
    counts, minutes = figure.subplots(1, 2)
    for happening, shift, colour in (("published", -0.2, "#2f6f4f"), ("rejected", 0.2, "#b5523b")):
        told = Counter(int(entry.at // DAY_S) for entry in entries if entry.happening == happening)
        counts.bar([day + shift for day in days], [told[day] for day in days], 0.4, label=happening, color=colour)
    painted = dict.fromkeys(days, 0.0)
    for entry in entries:
        if entry.happening == "painted":
            painted[int(entry.at // DAY_S)] += float(entry.content["seconds"]) / 60
    minutes.bar(list(days), list(painted.values()), 0.6, color="#3b5b92")
    counts.legend(frameon=False)
    for axes, title in ((counts, "covers a day"), (minutes, "minutes of painting a day")):
        axes.set_title(title)
        axes.set_xticks(list(days), [time.strftime("%m-%d", time.gmtime(day * DAY_S)) for day in days], rotation=45)
        axes.spines[["top", "right"]].set_visible(False)
    file = BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return file.getvalue()


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(moment))


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def _number(number: float | None) -> str:
    return "–" if number is None else f"{number:.1f}"


def _cell(words: str) -> str:
    """An editor's words as words: nothing in them is Markdown, HTML or another cell."""
    return "".join(f"&#{ord(letter)};" if letter in "|<>&`*_[]()!\\#~" else letter for letter in " ".join(words.split()))
