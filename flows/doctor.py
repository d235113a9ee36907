"""What is configured, what is reachable, what would be used, and what to do about each gap.

Changes nothing that matters: the store keeps one small grey probe picture, always the same.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from flows import wiring
from flows.errors import CoverRejected, SettingsError
from flows.settings import FILE_VARIABLE, settings_file
from flows.site_settings import SITE
from generator.request import CoverImage, CoverRequest
from integrations.errors import Refused, Unavailable
from integrations.pictures import encode
from integrations.storage.naming import object_name
from prompts.article import Article
from prompts.brief import Brief, Subject
from prompts.render import render
from prompts.style import list_styles, load_style

State = Literal["ok", "off", "gap"]
PROBE = CoverRequest(
    prompt="fengmian doctor", negative="", width=64, height=64, steps=1, guidance=1, seed=0, checkpoint="none"
)
GREY = CoverImage(width=64, height=64, rgb=bytes((128,)) * (64 * 64 * 3))
POST = Article(id="doctor", title="How a doctor looks at a site", language="en", source="doctor",
               text="A doctor looks at every part of a site. A healthy site paints covers for all of its posts.")
COLOURS: dict[State, str] = {"ok": "green", "off": "dim", "gap": "bold red"}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One part of the site. state: "ok"; "off", not configured and not needed; "gap", no cover can be made.

    found: what is used, or what is wrong. remedy: of a gap, one line on what to do.
    """

    part: str
    state: State
    found: str
    remedy: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """settings: as read, secrets starred out; empty if they could not be read."""

    findings: tuple[Finding, ...]
    settings: dict[str, Any]

    @property
    def is_ready(self) -> bool:
        """Whether `fengmian cover` would work."""
        return all(finding.state != "gap" for finding in self.findings)


def examine() -> Report:
    """Look at every part, one after another; a gap in one hides no other. Raises nothing of ours."""
    try:
        ports = wiring.ports()
    except SettingsError as exc:
        gap = Finding(part="settings", state="gap", found=str(exc),
                      remedy="correct it; deploy/settings.example.env lists all settings")
        return Report(findings=(gap,), settings={})
    findings = [_settings()] + [_look(part, check, remedy, ports) for part, check, remedy in CHECKS]
    findings += [_look(f"site {name}", partial(_site, name), SITE_REMEDY, ports) for name in ports.settings.sites]
    return Report(findings=tuple(findings), settings=ports.settings.model_dump(mode="json"))


def print_report(report: Report, as_json: bool) -> int:
    """Print it as a table or as one line of JSON; 0 if covers can be made, else 1."""
    if as_json:
        from flows.console import print_json

        print_json(
            {
                "ready": report.is_ready,
                "checks": [asdict(finding) for finding in report.findings],
                "settings": report.settings,
            }
        )
        return 0 if report.is_ready else 1
    table = Table(
        Column("part", no_wrap=True),
        Column("state", no_wrap=True),
        Column("found", overflow="fold"),
        box=None,
        pad_edge=False,
    )
    for finding in report.findings:
        found = Text(finding.found)
        if finding.remedy:
            found.append(f"\n→ {finding.remedy}", style="yellow")
        table.add_row(finding.part, Text(finding.state, style=COLOURS[finding.state]), found)
    console = Console(highlight=False, markup=False)
    console.print(table)
    console.print(
        "\nready: `fengmian cover` works"
        if report.is_ready
        else "\nnot ready: `fengmian cover` would fail; see the arrows"
    )
    return 0 if report.is_ready else 1


def _look(part: str, check: Callable[[wiring.Ports], Finding | str], remedy: str, ports: wiring.Ports) -> Finding:
    try:
        found = check(ports)
    except Exception as exc:  # whatever one part does, the others are still told about
        return Finding(part=part, state="gap", found=" ".join(str(exc).split()), remedy=remedy)
    return Finding(part=part, state="ok", found=found) if isinstance(found, str) else found


def _settings() -> Finding:
    file = settings_file()
    found = (
        f"environment over {file}"
        if file.is_file()
        else f"environment only; neither {file.name} here nor {FILE_VARIABLE} is set"
    )
    return Finding(part="settings", state="ok", found=found)


def _style(ports: wiring.Ports) -> str:
    style = load_style(ports.settings.style, ports.settings.brand_folder)
    return f"{style.name} of {len(list_styles(ports.settings.brand_folder))} style guides"


def _templates(ports: wiring.Ports) -> str:
    style, folder = load_style(), ports.settings.template_folder
    if folder is not None and not folder.is_dir():
        raise Refused(f"templates: {folder} is not a folder")
    for language in ("zh", "en"):
        render(
            Brief(sentence="封面", subjects=(Subject(name="封面", weight=1),), language="zh", method="doctor"),
            style,
            language,
            folder,
        )
    return str(folder or "ours, in Chinese and English")


def _summarizer(ports: wiring.Ports) -> str:
    ports.summarizer.summarise([POST])
    return ports.summarizer.name


def _words(ports: wiring.Ports) -> str:
    verdict = ports.words.check(POST.text, "body")
    return f"{verdict.model}; review means {ports.settings.safety.on_review}"


def _generator(ports: wiring.Ports) -> str:
    request = CoverRequest(prompt=PROBE.prompt, negative="", width=64, height=64, steps=1, guidance=1, seed=0,
                           checkpoint=ports.generator.checkpoint)
    ports.generator.generate(request)
    chosen = ports.settings.generator
    place = f"at {chosen.url}" if chosen.url else f"on {chosen.device} in {chosen.dtype}"
    return f"{request.checkpoint} {place}, {chosen.steps} steps"


def _licence(ports: wiring.Ports) -> str:
    return ports.check_licence()


def _pictures(ports: wiring.Ports) -> Finding | str:
    ports.check_screened()
    if ports.pictures is None:
        allowed = ports.settings.safety.publish_unscreened
        reason = (
            f"safety.publish_unscreened allows {allowed}"
            if allowed
            else "the bundled model paints abstract shapes only"
        )
        return Finding(part="picture screen", state="off", found=f"nsfw: not_configured; {reason}")
    verdict = ports.pictures.check(GREY)
    if verdict.decision == "error":
        raise CoverRejected(verdict.detail)
    return f"{verdict.model}; {verdict.detail}"


def _cache(ports: wiring.Ports) -> str:
    ports.cache.find(PROBE.fingerprint)
    with ports.cache.claim(PROBE.fingerprint, 5):
        pass
    chosen = ports.settings.cache
    return "Redis answers" if chosen.kind == "redis" else f"SQLite, {ports.settings.state_folder / 'covers.sqlite'}"


def _store(ports: wiring.Ports) -> str:
    data = encode(GREY, "png")
    name = object_name(PROBE.fingerprint, GREY.width, GREY.height, data, "png")
    place = ports.store.put(name, data, "image/png")
    if ports.store.get(name) != data:
        raise Unavailable(f"store: the probe {name} was stored but did not come back")
    return f"{ports.settings.store.kind}; a probe came back from {place}"


def _ledger(ports: wiring.Ports) -> str:
    last = next(iter(ports.ledger.entries(newest_first=True)), None)
    place = "the database of database_url" if ports.settings.database_url.get_secret_value() else "SQLite in the state folder"
    return f"{place}; {f'entry {last.number} is the last' if last else 'nothing in it yet'}"


def _site(name: str, ports: wiring.Ports) -> str:
    source, site = ports.open_source(f"{SITE}{name}"), ports.settings.sites[name]
    post = next(source.list_posts(), None)
    if post is None:
        return f"{site.kind}, without posts; review {site.review.policy}"
    source.check_writable(post)
    return f"{site.kind}; post {post} can be written; review {site.review.policy}"


def _prefect(ports: wiring.Ports) -> Finding | str:
    url = ports.settings.prefect_api_url
    if not url:
        return Finding(part="prefect", state="off", found="no prefect_api_url; stories run plainly in this process")
    from flows import engine
    with engine.on_server(url):
        return f"a server answers at {url}"


SITE_REMEDY = "correct its address, user and password, admin key, or folder, in sites"
CHECKS: tuple[tuple[str, Callable[[wiring.Ports], Finding | str], str], ...] = (
    ("style", _style, "set style to one that `fengmian styles` lists, or correct the file"),
    ("templates", _templates, "correct the template, or unset template_folder to use ours"),
    ("summarizer", _summarizer, "set summarizer.model to a T5 folder, or summarizer.kind to extractive"),
    ("words", _words, "correct the list, or take it out of safety.word_lists"),
    (
        "generator",
        _generator,
        "set generator.checkpoint to a whole checkpoint folder and generator.device to one that this machine has; unset, "
        "they are the bundled model and the CPU",
    ),
    (
        "licence",
        _licence,
        "read the licence of generator.checkpoint; where it lets you publish covers, add it to safety.publish_licences",
    ),
    (
        "picture screen",
        _pictures,
        "set safety.nsfw_model to a folder with an image classifier, or name the checkpoint in "
        "safety.publish_unscreened",
    ),
    ("cache", _cache, "start Redis and correct cache.redis_url, or make state_folder writable for SQLite"),
    ("store", _store, "correct the store's address, bucket and keys, or make its folder writable"),
    ("ledger", _ledger, "correct database_url, or make state_folder writable for SQLite"),
    ("prefect", _prefect, "start it with `prefect server start`, or unset prefect_api_url to run without"),
)
"""Each part of a site, how it is looked at, and what to do about a gap in it."""
