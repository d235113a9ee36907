import http.server
import socket
import threading
import time
import urllib.request
from contextlib import contextmanager

import pytest

from integrations.errors import Refused, Unavailable
from integrations.storage.s3 import S3Account, S3ImageStore, make_client
from tests.integrations.storage.buckets import account_of, make_bucket
from tests.integrations.storage.bytes_of import FINGERPRINT, PICTURE, a_name
from tests.services.process import free_port


def store_at(endpoint_url: str, **changes) -> S3ImageStore:
    ours = {"endpoint_url": endpoint_url, "region": "r", "key": "k", "secret": "s", "timeout_s": 0.5}
    account = S3Account(**{**ours, "addressing": "path", **changes})
    return S3ImageStore(make_client(account), "bucket", "https://cdn.test")


@contextmanager
def server_that_answers(status: int, code: str, requests: list | None = None):
    """A server with one answer to everything; it keeps the requests' headers."""

    class Answer(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if requests is not None:
                requests.append(dict(self.headers))
            body = f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode() if code else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_GET = answer

        def log_message(self, *_) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.service("s3")
def test_a_reader_gets_type_and_caching_headers(radosgw):
    bucket = make_bucket(radosgw)
    everyone_reads = (
        '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["s3:GetObject"],'
        f'"Resource":["arn:aws:s3:::{bucket.name}/*"]}}]}}'
    )
    bucket.client.put_bucket_policy(Bucket=bucket.name, Policy=everyone_reads)
    address = bucket.store.put(a_name(), PICTURE, "image/png")
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert answer.headers["Content-Type"] == "image/png"
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.read() == PICTURE


@pytest.mark.service("s3")
@pytest.mark.parametrize("prefix", ["", "/", "covers", "/covers/2026/"])
def test_the_prefix_is_part_of_key_and_address(radosgw, prefix):
    bucket = make_bucket(radosgw, prefix)
    address = bucket.store.put(a_name(), PICTURE, "image/png")
    key = f"{prefix.strip('/')}/{a_name()}".lstrip("/")
    assert [item["Key"] for item in bucket.client.list_objects_v2(Bucket=bucket.name)["Contents"]] == [key]
    assert address == f"{radosgw.endpoint_url}/{bucket.name}/{key}"


@pytest.mark.service("s3")
def test_a_whole_object_is_never_overwritten(radosgw):
    bucket = make_bucket(radosgw, "")
    bucket.store.put(a_name(), PICTURE, "image/png")
    before = bucket.client.head_object(Bucket=bucket.name, Key=a_name())["LastModified"]
    time.sleep(1.1)
    bucket.store.put(a_name(), PICTURE, "image/png")
    assert bucket.client.head_object(Bucket=bucket.name, Key=a_name())["LastModified"] == before


@pytest.mark.service("s3")
@pytest.mark.parametrize("damaged", [b"cut short", b"x" * len(PICTURE), b""])
def test_a_damaged_object_is_stored_anew(radosgw, damaged):
    bucket = make_bucket(radosgw, "")
    bucket.client.put_object(Bucket=bucket.name, Key=a_name(), Body=damaged)
    bucket.store.put(a_name(), PICTURE, "image/png")
    assert bucket.store.get(a_name()) == PICTURE
    assert bucket.client.head_object(Bucket=bucket.name, Key=a_name())["ContentType"] == "image/png"


@pytest.mark.service("s3")
def test_other_bytes_under_our_name_are_a_miss(radosgw, caplog):
    bucket = make_bucket(radosgw, "")
    bucket.client.put_object(Bucket=bucket.name, Key=a_name(), Body=b"something else")
    assert bucket.store.get(a_name()) is None
    assert "holds other bytes than its name says" in caplog.text


@pytest.mark.service("s3")
@pytest.mark.parametrize(
    ("changes", "code"), [({"secret": "wrong"}, "SignatureDoesNotMatch"), ({"key": "nobody"}, "InvalidAccessKeyId")]
)
def test_wrong_credentials_are_refused_for_writing_and_reading(radosgw, changes, code):
    bucket = make_bucket(radosgw)
    store = S3ImageStore(make_client(account_of(radosgw, **changes)), bucket.name, "https://cdn.test")
    with pytest.raises(Refused, match=rf"^s3: PUT ab/.*: 403 {code}"):
        store.put(a_name(), PICTURE, "image/png")
    with pytest.raises(Refused, match=rf"^s3: GET ab/.*: 403 {code}"):
        store.get(a_name())


@pytest.mark.service("s3")
def test_a_missing_bucket_is_refused_for_writing_and_reading(radosgw):
    store = S3ImageStore(make_client(account_of(radosgw)), "no-such-bucket", "https://cdn.test")
    with pytest.raises(Refused, match=r" in no-such-bucket: 404 NoSuchBucket"):
        store.put(a_name(), PICTURE, "image/png")
    with pytest.raises(Refused, match=r" in no-such-bucket: 404 NoSuchBucket"):
        store.get(a_name())


def test_no_server_is_unavailable():
    with pytest.raises(Unavailable, match=r"^s3: GET ab/.* in bucket: Could not connect"):
        store_at(f"http://127.0.0.1:{free_port()}").get(a_name())


def test_a_server_that_hangs_is_unavailable():
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        store = store_at(f"http://127.0.0.1:{hanging.getsockname()[1]}")
        with pytest.raises(Unavailable, match=r"(?i)timeout|timed out"):
            store.put(a_name(), PICTURE, "image/png")


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (500, "InternalError", Unavailable),
        (503, "SlowDown", Unavailable),
        (429, "TooManyRequests", Unavailable),
        (400, "RequestTimeout", Unavailable),
        (400, "InvalidDigest", Refused),
        (403, "AccessDenied", Refused),
        (501, "NotImplemented", Refused),
        (301, "PermanentRedirect", Refused),
    ],
)
def test_answers_are_told_apart_by_whether_to_try_again(status, code, error):
    requests: list = []
    with server_that_answers(status, code, requests) as url, pytest.raises(error, match=rf": {status} {code}: m$"):
        store_at(url).put(a_name(), PICTURE, "image/png")
    assert len(requests) == 1  # trying again is the flow's job


def test_the_upload_says_that_it_must_not_overwrite():
    requests: list = []
    with server_that_answers(200, "", requests) as url:
        store_at(url).put(a_name(), PICTURE, "image/png")
    assert requests[0]["If-None-Match"] == "*"
    assert "Content-MD5" in requests[0]
    assert "x-amz-sdk-checksum-algorithm" not in requests[0]


@pytest.mark.parametrize("header", ["x-oss-forbid-overwrite", "x-cos-forbid-overwrite"])
def test_services_with_another_spelling_of_it_get_theirs(header):
    requests: list = []
    with server_that_answers(200, "", requests) as url:
        store_at(url, create_only=header).put(a_name(), PICTURE, "image/png")
    assert requests[0][header] == "true"
    assert "If-None-Match" not in requests[0]


def test_an_answer_cut_short_is_unavailable():
    def cut(server: socket.socket) -> None:
        line, _ = server.accept()
        with line:
            line.recv(65536)
            line.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=cut, args=(server,))
        thread.start()
        store = store_at(f"http://127.0.0.1:{server.getsockname()[1]}")
        with pytest.raises(Unavailable, match=r"^s3: GET ab/"):
            store.get(a_name())
        thread.join(10)


def test_the_secret_is_not_in_the_accounts_text():
    account = S3Account(endpoint_url="http://127.0.0.1:1", region="r", key="k", secret="hush")
    assert "hush" not in repr(account)


def test_only_our_own_names_below_our_prefix_are_listed_through_all_pages(radosgw):
    bucket, other = make_bucket(radosgw), FINGERPRINT.replace("a", "c")
    pictures = [bytes([number]) for number in range(5)]
    for data in pictures:
        bucket.store.put(a_name(data), data, "image/png")
    for key in (f"covers/{a_name()}.old", f"other/{a_name()}", f"{other[:2]}/{other}.png", "covers/logo.png"):
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"mine")
    paginate = bucket.client.get_paginator

    class InPagesOfTwo:
        def paginate(self, **given):
            return paginate("list_objects_v2").paginate(**given, PaginationConfig={"PageSize": 2})

    bucket.client.get_paginator = lambda _: InPagesOfTwo()
    assert sorted(bucket.store.list_names(time.time() + 60)) == sorted(a_name(data) for data in pictures)


def test_who_may_not_list_or_delete_is_refused(radosgw):
    bucket = make_bucket(radosgw)
    wrong = S3ImageStore(make_client(account_of(radosgw, secret="wrong")), bucket.name, "https://cdn.test")
    with pytest.raises(Refused, match=r"^s3: LIST \* in b-.*: 403 SignatureDoesNotMatch"):
        list(wrong.list_names(time.time()))
    with pytest.raises(Refused, match=r"^s3: DELETE ab/.*: 403 SignatureDoesNotMatch"):
        wrong.delete(a_name())
