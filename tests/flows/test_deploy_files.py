"""What deploy/ shows is what the code knows."""

import importlib
import re
import subprocess

import yaml

from flows import engine
from flows.deploying import plan
from flows.record import Wishes
from flows.settings import Settings, load_settings
from tests.flows.conftest import REPOSITORY

DEPLOY = REPOSITORY / "deploy"


def test_every_example_setting_is_known_and_valid_in_a_shell(site, monkeypatch, tmp_path):
    text = re.sub(r"(?m)^#FENGMIAN_", "FENGMIAN_", (DEPLOY / "settings.example.env").read_text(encoding="utf-8"))
    (tmp_path / "all.env").write_text(text, encoding="utf-8")
    words = ["bash", "-c", "set -ae; . ./all.env; env -0"]
    shell = subprocess.run(words, cwd=tmp_path, capture_output=True, timeout=20, check=True)
    pairs = shell.stdout.decode().split("\0")
    variables = dict(pair.split("=", 1) for pair in pairs if pair.startswith("FENGMIAN_"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = load_settings(tmp_path)
    assert (settings.store.kind, settings.cache.kind, settings.summarizer.kind) == ("s3", "redis", "t5")
    assert settings.fetch.ports == (80, 443)
    assert len(variables) == text.count("\nFENGMIAN_")


def deployments():
    return yaml.safe_load((DEPLOY / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]


def test_every_deployment_names_a_flow_and_parameters_that_it_takes():
    for deployment in deployments():
        module, _, name = deployment["entrypoint"].rpartition(".")
        flow, given = getattr(importlib.import_module(module), name), dict(deployment.get("parameters", {}))
        if flow is engine.cover_post:
            given["post_id"] = "a.md"
        assert flow.validate_parameters(given).get("wishes", Wishes(write=True)).write is True


def test_what_keeps_a_fleet_in_order_is_the_same_by_prefect_deploy_and_by_fengmian_deploy():
    def told(each):
        schedules = [(one["cron"], one["timezone"]) for one in each.get("schedules", [])]
        return each["entrypoint"], (each["description"], schedules, each.get("parameters", {}), each.get("concurrency_limit"))

    ours = {each.entrypoint: (each.description, [(each.cron, each.timezone)], dict(each.parameters), each.at_once)
            for each in plan(Settings()) if each.name == "fleet"}
    assert dict(told(each) for each in deployments() if each["name"] == "fleet") == ours
    assert len(ours) == 4
