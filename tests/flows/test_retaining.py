"""What may be deleted and what never, in a folder and in a real bucket."""

import re
import time

import pytest

from flows import retaining, wiring
from flows.errors import SettingsError
from flows.settings import load_settings
from integrations.ports import Entry
from tests.flows.conftest import ENGLISH
from tests.integrations.storage.buckets import make_bucket

DAY_S = 86_400
LATER = 91 * DAY_S


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.service("s3"))])
def two(request, site, monkeypatch):
    """A site with a published cover and one that was only looked at; their fingerprints."""
    if request.param == "s3":
        gateway = request.getfixturevalue("radosgw")
        site.settle(monkeypatch, STORE__KIND="s3", STORE__ENDPOINT_URL=gateway.endpoint_url, STORE__REGION=gateway.region,
                    STORE__BUCKET=make_bucket(gateway).name, STORE__BASE_URL="https://cdn.example.org",
                    STORE__ACCESS_KEY=gateway.key, STORE__SECRET_KEY=gateway.secret, STORE__ADDRESSING="path")
    site.post("a.md", ENGLISH)
    published = site.run("cover", "posts/a.md", "--write", "--json").record["fingerprint"]
    looked_at = site.run("cover", "posts/a.md", "--seed", "5", "--json").record["fingerprint"]
    return published, looked_at


def test_only_old_pictures_that_no_post_was_given_are_found_and_deleted(site, two):
    published, looked_at = two
    assert retaining.find_unpublished(time.time() + LATER - 2 * DAY_S) == {}
    found = retaining.find_unpublished(time.time() + LATER)
    assert ({*found}, len(found[looked_at])) == ({looked_at}, 2)
    assert retaining.delete_pictures(found) == 2
    assert retaining.find_unpublished(time.time() + LATER) == {}
    ports = wiring.ports()
    assert ports.cache.find(looked_at) is None
    assert all(ports.store.get(file.name) for file in ports.cache.find(published).files)
    assert site.run("cover", "posts/a.md", "--seed", "5", "--json").record["cached"] is False


def test_what_was_published_between_looking_and_deleting_stays(two):
    _, looked_at = two
    found = retaining.find_unpublished(time.time() + LATER)
    wiring.ports().ledger.append(Entry(site="site:blog", post_id="b", happening="published", fingerprint=looked_at))
    assert retaining.delete_pictures(found) == 0
    assert all(wiring.ports().store.get(name) for name in found[looked_at])


def test_a_picture_that_its_post_names_stays_though_the_ledger_does_not_know(site, two):
    """As where a run died between writing the post and telling the ledger."""
    _, looked_at = two
    file, post = wiring.ports().cache.find(looked_at).files[0], site.posts / "a.md"
    whole = post.read_text()
    post.write_text(re.sub(r'(?m)^image = .*', f'image = "https://cdn.example.org/{file.name}"', whole))
    assert file.name in post.read_text()
    assert retaining.find_unpublished(time.time() + LATER) == {}
    post.write_text(whole)
    assert {*retaining.find_unpublished(time.time() + LATER)} == {looked_at}


def test_a_picture_whose_post_cannot_be_read_stays_and_one_whose_post_is_gone_does_not(site, two):
    _, looked_at = two
    post = site.posts / "a.md"
    post.write_bytes(b"---\ntitle: [\n---\n")
    assert retaining.find_unpublished(time.time() + LATER) == {}
    post.unlink()
    assert {*retaining.find_unpublished(time.time() + LATER)} == {looked_at}


def test_a_picture_that_was_taken_back_can_still_be_put_back(site, two):
    _, looked_at = two
    assert site.run("undo", "posts/a.md", "a.md").code == 0
    assert {*retaining.find_unpublished(time.time() + LATER)} == {looked_at}


def test_a_cover_that_was_painted_anew_lately_is_young_though_one_file_is_old(site, two):
    _, looked_at = two
    moment = time.time()
    record = wiring.ports().cache.find(looked_at)
    wiring.ports().cache.remember(type(record)(**{**vars(record), "created_at": moment + 50 * DAY_S}))
    assert retaining.find_unpublished(moment + LATER) == {}


def test_the_ledger_keeps_all_unless_it_is_told_and_then_six_months(site, monkeypatch):
    assert retaining.find_forgettable(1e9) is None
    site.settle(monkeypatch, RETENTION__LEDGER_MONTHS="6")
    wiring.use(None)
    assert retaining.find_forgettable(1e9) == 1e9 - 6 * 31 * DAY_S
    site.settle(monkeypatch, RETENTION__LEDGER_MONTHS="5")
    with pytest.raises(SettingsError, match=r"retention\.ledger_months '5': it is neither 0 \(all is kept\) nor 6 or more"):
        load_settings(site.folder)


def test_pictures_are_kept_longer_than_a_review_waits(site, monkeypatch):
    site.settle(monkeypatch, RETENTION__PICTURES_DAYS="2",
                SITES='{"blog": {"kind": "markdown", "folder": "posts", "review": {"policy": "always", "timeout_hours": 48}}}')
    with pytest.raises(SettingsError, match="pictures_days 2 must be more than the 48 hours that a review waits"):
        load_settings(site.folder)
