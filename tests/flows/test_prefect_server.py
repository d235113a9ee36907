"""Errors of questions to a Prefect server, as ours; a bug stays a bug."""

import pytest

from flows.prefect_server import PrefectServer
from integrations.errors import Refused, Unavailable

NOWHERE = "http://127.0.0.1:1/api"


def test_nobody_there_is_unavailable():
    with pytest.raises(Unavailable, match=r"^prefect: no server answers at http://127.0.0.1:1/api: "):
        PrefectServer(NOWHERE, timeout_s=1).ask(lambda client: client.read_work_pool("a"))


def asked(error):
    def question(client):
        raise error

    return PrefectServer(NOWHERE).ask(question)


def test_a_server_of_another_version_is_refused(monkeypatch):
    monkeypatch.setattr(PrefectServer, "_client", None)
    with pytest.raises(Refused, match="Found incompatible versions"):
        asked(RuntimeError("Found incompatible versions: client: 3.8.8, server: 2.0. Major versions must match."))


@pytest.mark.parametrize("bug", [RuntimeError("dictionary changed size during iteration"), RecursionError("too deep")])
def test_a_bug_is_told_and_not_taken_for_a_server_that_is_away(monkeypatch, bug):
    monkeypatch.setattr(PrefectServer, "_client", None)
    with pytest.raises(type(bug), match=str(bug)):
        asked(bug)
