"""The whole story over a real S3 service: stored once, served under its public address, mended when damaged."""

import hashlib

import pytest

from tests.integrations.storage.buckets import make_bucket

pytestmark = pytest.mark.service("s3")


@pytest.fixture
def bucket(site, monkeypatch, radosgw):
    bucket = make_bucket(radosgw)
    site.settle(
        monkeypatch, STORE__KIND="s3", STORE__ENDPOINT_URL=radosgw.endpoint_url, STORE__REGION=radosgw.region,
        STORE__BUCKET=bucket.name, STORE__PREFIX="blog", STORE__BASE_URL="https://cdn.example.org/pictures",
        STORE__ACCESS_KEY=radosgw.key, STORE__SECRET_KEY=radosgw.secret, STORE__ADDRESSING="path")
    site.post("a.md")
    return bucket


def names(bucket) -> list[str]:
    return sorted(entry["Key"] for entry in bucket.client.list_objects_v2(Bucket=bucket.name).get("Contents", []))


def test_a_cover_is_stored_in_the_bucket_and_named_by_its_public_address(site, bucket):
    record = site.run("cover", "posts/a.md", "--write", "--json").record
    assert [file["path"].startswith("covers/") for file in record["files"]] == [True, True]
    png, webp = names(bucket) if names(bucket)[0].endswith(".png") else reversed(names(bucket))
    assert png.startswith(f"blog/{record['fingerprint'][:2]}/{record['fingerprint']}-1200x630-")
    assert f'cover: "https://cdn.example.org/pictures/{webp}"' in (site.posts / "a.md").read_text()
    stored = bucket.client.get_object(Bucket=bucket.name, Key=webp)
    assert hashlib.sha256(stored["Body"].read()).hexdigest() == record["files"][0]["sha256"]
    assert (stored["ContentType"], stored["CacheControl"]) == ("image/webp", "public, max-age=31536000, immutable")


def test_a_second_run_stores_and_paints_nothing(site, bucket):
    site.run("cover", "posts/a.md")
    before = names(bucket)
    assert site.run("cover", "posts/a.md", "--json").record["cached"] is True
    assert (names(bucket), site.painter.calls) == (before, 1)


@pytest.mark.parametrize("damage", ["missing", "damaged"])
def test_a_lost_object_is_painted_and_stored_again(site, bucket, damage):
    site.run("cover", "posts/a.md")
    victim = names(bucket)[0]
    bucket.client.delete_object(Bucket=bucket.name, Key=victim)
    if damage == "damaged":
        bucket.client.put_object(Bucket=bucket.name, Key=victim, Body=b"other bytes")
    answer = site.run("cover", "posts/a.md", "--json")
    assert (answer.code, answer.record["cached"], len(names(bucket))) == (0, False, 2)
    assert site.run("cover", "posts/a.md", "--json").record["cached"] is True


def test_the_doctor_really_puts_and_gets(site, bucket):
    report = site.run("doctor", "--json").record
    (store,) = [finding for finding in report["checks"] if finding["part"] == "store"]
    assert (store["state"], len(names(bucket))) == ("ok", 1)
    assert store["found"].startswith("s3; a probe came back from https://cdn.example.org/pictures/blog/")


@pytest.mark.parametrize("change", [{"STORE__BUCKET": "no-such-bucket"}, {"STORE__SECRET_KEY": "wrong"}])
def test_a_wrong_bucket_or_key_is_a_gap_and_one_line(site, monkeypatch, bucket, change):
    site.settle(monkeypatch, **change)
    assert site.run("doctor").code == 1
    answer = site.run("cover", "posts/a.md", "--json")
    assert answer.out == ""
    assert answer.err.startswith("fengmian: s3: PUT blog/")
    assert answer.err.count("\n") == 1


def test_a_store_out_of_reach_is_a_failure(site, monkeypatch, bucket):
    site.settle(monkeypatch, STORE__ENDPOINT_URL="http://127.0.0.1:1", STORE__TIMEOUT_S="2")
    answer = site.run("cover", "posts/a.md")
    assert answer.code == 1
    assert answer.err.startswith("fengmian: s3: PUT blog/")
