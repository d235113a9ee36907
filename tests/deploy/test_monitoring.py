"""Every figure that is shown or alarmed about exists, every alert fires on what it is for, and the runbook knows them all."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from flows.settings import Settings
from generator.service.metrics import Metrics as GeneratorMetrics
from integrations.gateway.metrics import Metrics as GatewayMetrics
from tests.deploy.files import DEPLOY
from tests.integrations.gateway.serving import make_gateway
from tests.services.process import needs, or_skip

GRAFANA = DEPLOY / "grafana"
NAME = re.compile(r"\bfengmian_[a-z_]+")


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """{name: its labels} of every figure of both services, as they are written for Prometheus."""
    generator = GeneratorMetrics()
    generator.requests.labels("generate", "done").inc()
    gateway = GatewayMetrics(make_gateway(tmp_path_factory.mktemp("gateway")).desk, lambda: 0)
    gateway.answers.labels("GET", "/health", "200").inc()
    gateway.seconds.labels("/health").observe(0.1)
    gateway.finished.labels("webhooks", "started").inc()
    found = {}
    for text in (generator.as_text(), gateway.as_text()):
        for family in text_string_to_metric_families(text.decode()):
            for sample in family.samples:
                found.setdefault(sample.name, set()).update(sample.labels)
    return found


def rules():
    return [rule for group in yaml.safe_load((GRAFANA / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]


def panels():
    return json.loads((GRAFANA / "dashboard.json").read_text(encoding="utf-8"))["panels"]


def expressions():
    yield from ((rule["alert"], rule["expr"]) for rule in rules())
    yield from ((panel["title"], target["expr"]) for panel in panels() for target in panel["targets"])


def test_every_figure_that_is_asked_for_exists_with_its_labels(samples):
    asked = set()
    for where, expression in expressions():
        for name in NAME.findall(expression):
            assert name in samples, f"{where}: {name}"
            asked.add(name)
        for name, selected in re.findall(r"\b(fengmian_[a-z_]+)\{([^}]*(?:\{[^}]*\}[^}]*)*)\}", expression):
            for label in re.findall(r'(\w+)=~?"', selected):
                assert label in samples[name], f"{where}: {name} has no label {label}"
    for name in ("fengmian_jobs", "fengmian_gateway_finished_total", "fengmian_queue_length", "fengmian_step_seconds_bucket",
                 "fengmian_cache_hits_total", "fengmian_batch_size_sum"):
        assert name in asked


def test_every_outcome_that_is_asked_for_is_one_that_is_written():
    source = "".join(path.read_text(encoding="utf-8") for folder in ("integrations/gateway", "generator/service")
                     for path in (DEPLOY.parent / folder).glob("*.py"))
    for where, expression in expressions():
        for outcomes in re.findall(r'(?:outcome|status|system|queue)=~?"([^"]+)"', expression):
            for outcome in outcomes.split("|"):
                assert outcome in ("5..", "401") or f'"{outcome}"' in source, f"{where}: {outcome}"


def test_every_alert_has_its_section_in_the_runbook_and_every_section_its_alert():
    text = (DEPLOY / "runbook.md").read_text(encoding="utf-8")
    alerts = text.partition("\n## Alerts\n")[2].partition("\n## ")[0]
    sections = dict(re.findall(r"(?ms)^### (\w+)\n\n(.+?)(?=\n### |\Z)", alerts))
    assert list(sections) == [rule["alert"] for rule in rules()]
    assert all(len(section) > 150 for section in sections.values())
    for chapter in ("Upgrade", "Rollback", "Backup and restore"):
        assert f"\n## {chapter}\n" in text


def test_files_that_are_pointed_at_are_there():
    for document in ("README.md", "runbook.md"):
        for address in re.findall(r"\]\(([^)#]+)", (DEPLOY / document).read_text(encoding="utf-8")):
            assert "://" in address or (DEPLOY / address).exists(), f"{document}: {address}"


def test_the_runbook_names_settings_that_exist():
    text = (DEPLOY / "runbook.md").read_text(encoding="utf-8") + (DEPLOY / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"`(generator|service|gateway|fleet|cache|safety|summarizer|store)\.(?!sqlite)(\w+)(?:\.\w+)*`", text)
    assert len(named) > 10
    for section, leaf in named:
        assert leaf in Settings.model_fields[section].annotation.model_fields, f"{section}.{leaf}"


def test_every_alert_says_how_urgent_it_is_and_what_is_wrong():
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket"), rule["alert"]
        assert len(rule["annotations"]["summary"]) > 20


def test_the_dashboard_is_one_that_grafana_can_lay_out():
    taken, ids = set(), set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        ids.add(panel["id"])
        assert panel["datasource"]["uid"] == "${datasource}"
    assert len(ids) == len(panels())


@pytest.mark.service("prometheus")
def test_prometheus_reads_all_of_it_and_each_alert_fires_when_it_should(request):
    with or_skip(request, "prometheus"):
        needs("promtool")
    for words in (["check", "config", "prometheus.yaml"], ["test", "rules", "alerts.test.yaml"]):
        done = subprocess.run(["promtool", *words], cwd=GRAFANA, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
    tried = re.findall(r"alertname: (\w+)", Path(GRAFANA / "alerts.test.yaml").read_text())
    assert set(tried) == {rule["alert"] for rule in rules()}
