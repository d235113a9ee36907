"""Published covers are read again: what is as it was, what is not, and what nobody needs to look at."""

import json

import pytest
from PIL import Image

from flows import wiring
from flows.undo import undo
from flows.verifying import verify_published
from tests.flows.conftest import ENGLISH
from tests.integrations.cms.desks import Blog
from tests.integrations.storage.buckets import make_bucket
from tests.services.process import free_port


@pytest.fixture
def blog(site, monkeypatch):
    """A site with one published cover."""
    site.settle(monkeypatch, SITES=json.dumps({"blog": {"kind": "markdown", "folder": str(site.posts),
                                                        "out": str(site.folder / "covers")}}))
    site.post("a.md", ENGLISH)
    assert site.run("cover", "site:blog").code == 0
    return site


def problem_of(site):
    (checked,) = verify_published(0)
    return checked.problem


def served_file(site):
    """The picture that the post names."""
    return next(file for file in site.covers if file.suffix == ".webp")


def test_a_cover_that_is_as_it_was_published_is_no_problem(blog):
    (checked,) = verify_published(0)
    assert (checked.source, checked.post_id, checked.problem, checked.note) == ("site:blog", "a.md", "", "")
    assert checked.cover in (blog.posts / "a.md").read_text()


def test_a_picture_that_is_gone_or_another_is_told(blog):
    file = served_file(blog)
    whole = file.read_bytes()
    file.unlink()
    assert problem_of(blog) == f"the picture is gone: there is no file {file}"
    file.write_bytes(whole[:-1])
    assert "is another file: sha256 " in problem_of(blog)
    file.unlink()
    file.mkdir()
    assert problem_of(blog) == f"{file}: Is a directory"


def test_a_post_that_names_another_cover_is_told_with_both(blog):
    post = blog.posts / "a.md"
    cover = verify_published(0)[0].cover
    post.write_text(post.read_text().replace(cover, "/mine.png"))
    before = post.read_bytes()
    assert problem_of(blog) == f"the post names '/mine.png' and was given {cover!r}"
    assert post.read_bytes() == before


def test_a_post_that_is_gone_is_no_problem_and_neither_is_a_site(blog, monkeypatch):
    (blog.posts / "a.md").unlink()
    (checked,) = verify_published(0)
    assert (checked.problem, checked.note.startswith("the post is gone: ")) == ("", True)
    blog.settle(monkeypatch, SITES="{}")
    wiring.use(None)
    (checked,) = verify_published(0)
    assert (checked.problem, "not one of the configured sites" in checked.note) == ("", True)


def test_only_the_newest_cover_that_was_not_taken_back_counts(blog):
    assert blog.run("cover", "site:blog", "--seed", "9", "--force").code == 0
    assert problem_of(blog) == ""
    undo("site:blog", "a.md")
    assert verify_published(0) == []
    assert verify_published(2e9) == []


@pytest.mark.service("s3")
def test_a_cover_in_a_bucket_is_fetched_by_its_public_address(site, monkeypatch, radosgw):
    bucket = make_bucket(radosgw)
    bucket.client.put_bucket_policy(Bucket=bucket.name, Policy=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket.name}/*"}]}))
    port = int(radosgw.endpoint_url.rpartition(":")[2])
    site.settle(monkeypatch, STORE__KIND="s3", STORE__ENDPOINT_URL=radosgw.endpoint_url, STORE__REGION=radosgw.region,
                STORE__BUCKET=bucket.name, STORE__BASE_URL=f"{radosgw.endpoint_url}/{bucket.name}", STORE__ACCESS_KEY=radosgw.key,
                STORE__SECRET_KEY=radosgw.secret, STORE__ADDRESSING="path", FETCH__PORTS=f"[{port}]",
                FETCH__ALLOW_NETWORKS='["127.0.0.0/8"]',
                SITES=json.dumps({"blog": {"kind": "markdown", "folder": str(site.posts)}}))
    site.post("a.md", ENGLISH)
    assert site.run("cover", "site:blog").code == 0
    (checked,) = verify_published(0)
    assert (checked.problem, checked.cover.startswith(f"{radosgw.endpoint_url}/{bucket.name}/")) == ("", True)
    key = checked.cover.partition(f"{bucket.name}/")[2]
    bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"other bytes", ContentType="image/webp")
    assert "is another file" in problem_of(site)
    bucket.client.delete_object(Bucket=bucket.name, Key=key)
    assert problem_of(site).endswith("answered with status 403")  # what S3 says to strangers who may not list
    site.settle(monkeypatch, FETCH__PORTS=f"[{free_port()}]")
    wiring.use(None)
    assert "port" in problem_of(site)


@pytest.mark.service("wordpress")
def test_a_wordpress_may_write_the_picture_anew_at_its_size_and_not_at_another(site, monkeypatch, wordpress):
    blog, port = Blog(wordpress), int(wordpress.url.rpartition(":")[2])
    site.settle(monkeypatch, FETCH__PORTS=f"[{port}]", FETCH__ALLOW_NETWORKS='["127.0.0.0/8"]', SITES=json.dumps({"blog": {
        "kind": "wordpress", "url": wordpress.url, "user": "editor", "password": wordpress.passwords["editor"]}}))
    post = blog.add("How caching works", "Caching keeps a small site fast without more machines.")
    assert site.run("cover", "site:blog", "--post", post).code == 0
    assert problem_of(site) == ""
    (checked,) = verify_published(0)
    file = wordpress.folder / "wp-content" / checked.cover.partition("/wp-content/")[2]
    with Image.open(file) as picture:
        size = picture.size
    Image.new("RGB", size, "red").save(file, "WEBP")
    assert problem_of(site) == ""
    Image.new("RGB", (size[0] // 2, size[1] // 2), "red").save(file, "WEBP")
    assert problem_of(site).endswith(f"is {size[0] // 2}x{size[1] // 2} px, not {size[0]}x{size[1]}")
    blog.choose_cover(post, "mine")
    assert "the post names" in problem_of(site)
