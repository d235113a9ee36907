"""What a ledger promises, on SQLite and on a real PostgreSQL."""

import pytest

from integrations.errors import Unavailable
from integrations.ledger.sql import PAGE, SqlLedger
from integrations.ports import Entry


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service("postgres"))])
def ledger(request, tmp_path):
    if request.param == "sqlite":
        return SqlLedger(f"sqlite:///{tmp_path / 'new' / 'ledger.sqlite'}")
    return SqlLedger(request.getfixturevalue("postgres").make_database())


def entry(at=1.0, happening="painted", **changes):
    given = {"site": "site:博客", "post_id": "封面.md", "content": {"理由": [1, None]}}
    return Entry(happening=happening, at=at, **given | changes)


def test_what_was_told_comes_back_in_order(ledger):
    numbers = [ledger.append(entry(at)) for at in (3.0, 1.0, 2.0)]
    told = list(ledger.entries())
    assert [each.number for each in told] == numbers == sorted(numbers)
    assert (told[0].content, told[0].site, told[0].post_id) == ({"理由": [1, None]}, "site:博客", "封面.md")
    assert [each.number for each in ledger.entries(newest_first=True)] == numbers[::-1]


def test_only_what_fits_is_told_through_all_pages(ledger):
    for number in range(PAGE + 3):
        ledger.append(entry(number + 1, "published" if number % 2 else "painted"))
    assert len(list(ledger.entries(happening="painted"))) == (PAGE + 3 + 1) // 2
    assert [each.at for each in ledger.entries(since=PAGE + 2)] == [PAGE + 2, PAGE + 3]
    assert list(ledger.entries(site="site:other")) == []


def test_what_is_old_and_of_that_kind_is_counted_and_forgotten_and_nothing_else(ledger):
    for at in (1.0, 2.0, 3.0):
        for happening in ("painted", "reviewed", "published"):
            ledger.append(entry(at, happening))
    assert ledger.count(("painted", "reviewed"), 3.0) == 4
    assert ledger.forget(("painted", "reviewed"), 3.0) == 4
    assert (ledger.count(("painted", "reviewed"), 3.0), ledger.forget(("painted", "reviewed"), 3.0)) == (0, 0)
    assert [(each.at, each.happening) for each in ledger.entries()] == [
        (1.0, "published"), (2.0, "published"), (3.0, "painted"), (3.0, "reviewed"), (3.0, "published")]


def test_numbers_are_never_given_again(ledger):
    """What was forgotten must not be mistaken for what came after."""
    ledger.append(entry(1.0))
    last = ledger.append(entry(2.0))
    ledger.forget(("painted",), 3.0)
    assert ledger.append(entry(4.0)) > last


def test_a_ledger_that_cannot_be_reached_is_unavailable_without_its_password(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match=r"^database: sqlite:"):
        SqlLedger(f"sqlite:///{tmp_path / 'file' / 'ledger.sqlite'}").append(entry())
    with pytest.raises(Unavailable, match=r"^database: postgresql\+psycopg://me:\*\*\*@127") as caught:
        SqlLedger("postgresql+psycopg://me:horse@127.0.0.1:1/x").append(entry())
    assert "horse" not in str(caught.value)


@pytest.mark.parametrize("url", ["", "nonsense", "mysql://u:horse@h/x", "sqlite+nothing://"])
def test_what_is_no_address_is_refused_without_being_shown(url):
    with pytest.raises(ValueError, match=r"^database_url is no database address: ") as caught:
        SqlLedger(url)
    assert "horse" not in str(caught.value)
