"""fengmian keys and fengmian gateway: what they print, and what they refuse."""

import json
import re

import pytest

PEPPER = "a pepper of the tests"
SECRET = "whsec_" + "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="


@pytest.fixture
def keyed(site, monkeypatch):
    site.settle(monkeypatch, GATEWAY__PEPPER=PEPPER, SITES=json.dumps({"blog": {"kind": "markdown", "folder": "posts"}}))
    return site


def create(site, *words):
    return site.run("keys", "create", "--tenant", "acme", "--scope", "covers:write", *words)


def test_a_key_is_shown_once_and_listed_without_itself(keyed):
    made = create(keyed, "--site", "blog", "--per-day", "5", "--json").record
    assert re.fullmatch(r"fm_[a-z0-9]{8}_[A-Za-z0-9_-]{43}", made["key"])
    assert made["callback_secret"].startswith("whsec_")
    listed = keyed.run("keys", "list", "--json")
    assert made["key"][12:] not in listed.out
    assert (listed.record["prefix"], listed.record["last4"]) == (made["key"][3:11], made["key"][-4:])
    assert (listed.record["sites"], listed.record["per_day"], listed.record["revoked_at"]) == (["blog"], 5, None)


def test_for_people_it_is_two_lines(keyed):
    answer = create(keyed)
    assert re.fullmatch(r"key: fm_\S+\ncallbacks are signed with: whsec_\S+\n", answer.out)


def test_a_revoked_key_says_so(keyed):
    prefix = create(keyed, "--json").record["prefix"]
    assert keyed.run("keys", "revoke", prefix).out == f"{prefix}: revoked\n"
    assert keyed.run("keys", "list", "--json").record["revoked_at"]
    assert "revoked 20" in keyed.run("keys", "list").out


@pytest.mark.parametrize(("words", "line"), [
    (["--site", "nobody"], "site: 'nobody' is not one of the configured sites: blog"),
    (["--scope", "all"], "scope: 'all' is not one"),
    (["--per-day", "-1"], "per_day: -1 is not from 0"), (["--per-day", "many"], "")])
def test_a_key_that_makes_no_sense_is_one_line(keyed, words, line):
    answer = create(keyed, *words)
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1)
    assert answer.err.startswith(f"fengmian: {line}")
    assert keyed.run("keys", "list").out == ""


def test_what_is_no_key_cannot_be_revoked(keyed):
    answer = keyed.run("keys", "revoke", "nothing1")
    assert (answer.code, answer.err) == (2, "fengmian: keys: no key begins with fm_nothing1_\n")


@pytest.mark.parametrize(("changes", "line"), [
    ({"GATEWAY__PEPPER": "short"}, "setting gateway.pepper: pepper has 5 bytes; it must have at least 16"),
    ({"DATABASE_URL": "nonsense"}, "setting database_url: database_url is no database address")])
def test_settings_that_make_no_sense_are_told_by_name(keyed, monkeypatch, changes, line):
    keyed.settle(monkeypatch, **changes)
    answer = keyed.run("keys", "list")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"fengmian: {line}")
    assert answer.err.count("\n") == 1


def hook(**changes):
    return json.dumps({"blog": {"kind": "wordpress", "secret": SECRET, **changes}})


@pytest.mark.parametrize(("changes", "line"), [
    ({"PREFECT_API_URL": ""}, "setting prefect_api_url: the gateway's jobs are runs on a Prefect server"),
    ({"GATEWAY__REDIS_URL": "http://secret"}, "setting gateway.redis_url: redis_url is not a Redis address"),
    ({"GATEWAY__WEBHOOKS": hook(secret="hunter2")}, "setting gateway.webhooks.blog.secret: a Standard Webhooks secret must be"),
    ({"GATEWAY__WEBHOOKS": hook(secret="")}, "setting gateway.webhooks.blog: a webhook needs a secret"),
    ({"GATEWAY__WEBHOOKS": hook(kind="carrier-pigeon")}, "setting gateway.webhooks.blog.kind: Input should be"),
    ({"GATEWAY__WEBHOOKS": hook(pull=True)}, "setting gateway.webhooks.blog: folder and pull are for kind github"),
    ({"GATEWAY__WEBHOOKS": '{"shop": {"kind": "ghost", "secret": "x"}}'}, "setting gateway.webhooks.shop: there is no site"),
    ({"GATEWAY__PORT": "0"}, "setting gateway.port '0'")])
def test_a_gateway_that_cannot_be_is_one_line_and_shows_no_secret(keyed, monkeypatch, changes, line):
    keyed.settle(monkeypatch, PREFECT_API_URL="http://127.0.0.1:1/api")
    keyed.settle(monkeypatch, **changes)
    answer = keyed.run("gateway")
    assert (answer.code, answer.out, answer.err.count("\n")) == (2, "", 1), answer.err
    assert answer.err.startswith(f"fengmian: {line}")
    assert "hunter2" not in answer.err
    assert SECRET not in answer.err
