import pytest

from integrations.errors import Refused
from integrations.models.licence import read_provenance
from integrations.models.record import RECORD_FILE


@pytest.mark.parametrize(("card", "licence", "commercial"), [
    ("---\nlicense: apache-2.0\n---\ntext", "apache-2.0", True),
    ("---\r\nlicense: MIT\r\n---\r\n", "mit", True),
    ("\ufeff---\nlanguage: zh\nlicense: 'apache-2.0'\n---\n", "apache-2.0", True),
    ("---\nlicense: [apache-2.0, mit]\n---\n", "apache-2.0, mit", True),
    ("---\nlicense: [apache-2.0, cc-by-nc-4.0]\n---\n", "apache-2.0, cc-by-nc-4.0", False),
    ("---\nlicense: cc-by-nc-4.0\n---\n", "cc-by-nc-4.0", False),
    ("---\nlicense: other\nlicense_name: qwen-research\n---\n", "qwen-research", False),
    ("---\nlicense: other\n---\n", "other", False),
    ("---\nlicense: flux-1-dev-non-commercial-license\n---\n", "flux-1-dev-non-commercial-license", False),
])
def test_a_card_tells_the_licence(tmp_path, card, licence, commercial):
    (tmp_path / "README.md").write_bytes(card.encode())
    found = read_provenance(tmp_path)
    assert (found.licence.id, found.licence.commercial, found.told_by) == (licence, commercial, "README.md")


@pytest.mark.parametrize("card", [
    "", "license: mit", "# Title\n---\nlicense: mit\n---\n", "---\n---\n", "---\nlicense:\n---\n", "---\nlicense: {a: b}\n---\n",
    "---\nlicense: [\n---\n", "---\n- license: mit\n---\n", "---\nlicense: 5\n---\n", "---\n" + "[" * 5000 + "\n---\n",
    "---\n" + "x: y\n" * 20000 + "license: mit\n---\n", "---\n\x00license: mit\n---\n",
])
def test_a_card_that_tells_nothing_grants_nothing(tmp_path, card):
    (tmp_path / "README.md").write_text(card)
    assert read_provenance(tmp_path).licence is None


def test_no_card_grants_nothing(tmp_path):
    assert read_provenance(tmp_path).licence is None


def test_the_record_wins_over_the_card(shelf, model, hub, repo, watcher):
    shelf.pull(model, hub, "", watcher)
    folder = shelf.folder / "tiny"
    (folder / "README.md").write_text("---\nlicense: cc-by-nc-4.0\n---\n")
    found = read_provenance(folder)
    assert (found.licence.id, found.revision, found.repo, found.told_by) == (
        "apache-2.0", repo.names["main"], "owner/model", RECORD_FILE)


def test_a_broken_record_is_not_passed_over_for_the_card(tmp_path):
    (tmp_path / RECORD_FILE).write_text("{")
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n")
    with pytest.raises(Refused):
        read_provenance(tmp_path)
