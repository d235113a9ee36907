"""The guarded client against addresses and servers that mean harm. The server is a little one on this machine."""

import gzip
import http.server
import shutil
import socket
import ssl
import subprocess
import threading
import time
import zlib

import httpx
import pytest

from integrations.addresses import may_be_dialled, networks
from integrations.errors import NotFound, Refused, Unavailable
from integrations.http import FetchLimits, GuardedClient, check_url

BOMB = gzip.compress(b"\0" * 30_000_000)


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args): ...

    def answer(self, body=b"", status=200, **headers):
        self.send_response(status)
        for name, value in {"Content_Type": "text/html; charset=gbk", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self, times):
        for _ in range(times):
            self.wfile.write(b"x")
            time.sleep(0.1)

    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers)))
        path, _, rest = self.path[1:].split("?")[0].partition("/")
        try:
            if path == "page":
                self.answer(b"<p>hello", Set_Cookie="a=b")
            elif path == "status":
                self.answer(status=int(rest))
            elif path == "type":
                self.answer(b"x", Content_Type=rest)
            elif path == "hops":
                self.answer(status=302, Location="/page" if rest == "0" else f"/hops/{int(rest) - 1}")
            elif path == "to":
                self.answer(status=302, Location=self.server.target)
            elif path == "gzip":
                self.answer(gzip.compress(b"packed"), Content_Encoding="gzip")
            elif path == "bomb":
                self.answer(BOMB, Content_Encoding="gzip")
            elif path == "broken":
                self.answer(b"not gzip at all", Content_Encoding="gzip")
            elif path == "brotli":
                self.answer(zlib.compress(b"x"), Content_Encoding="br")
            elif path == "big":
                self.answer(b"x" * 2_000_000)
            elif path == "slow":
                self.answer()
                self.drip(80)
            elif path == "slowhead":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Wait: ")
                self.drip(80)
            elif path == "silent":
                time.sleep(3)
        except OSError:
            pass  # the client has hung up, as it should


@pytest.fixture(scope="module")
def server():
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.seen, running.target = [], ""
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()


@pytest.fixture
def client(server):
    return GuardedClient(FetchLimits(timeout_s=2, deadline_s=1, max_bytes=1_000_000, networks=("127.0.0.1/32",),
                                     ports=frozenset({80, 443, server.server_port})))


def at(server, path, host="127.0.0.1"):
    return f"http://{host}:{server.server_port}{path}"


@pytest.mark.parametrize("address", [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.100.100.200", "100.64.0.1", "0.0.0.0",
    "198.18.0.1", "192.0.0.170", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::1", "::", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::",
    "fec0::1", "fe80::1", "fe80::1%lo", "fd00::1", "ff02::1", "ff0e::1", "not an address", ""])
def test_an_address_that_is_not_public_is_never_dialled(address):
    assert not may_be_dialled(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_a_public_address_may_be_dialled(address):
    assert may_be_dialled(address)


def test_a_setting_can_allow_one_network_and_no_other():
    allowed = networks(["10.1.0.0/16"])
    assert may_be_dialled("10.1.2.3", allowed)
    assert may_be_dialled("::ffff:10.1.2.3", allowed)
    assert not may_be_dialled("10.2.0.1", allowed)
    with pytest.raises(Refused, match=r"written like 10\.0\.0\.0/8"):
        networks(["10.1.0.0/99"])


@pytest.mark.parametrize("url", [
    "http://127.0.0.1/", "http://2130706433/", "http://0x7f.1/", "http://127.1/", "http://0177.0.0.1/", "http://0/",
    "http://①②⑦.⓪.⓪.①/", "http://１２７.0.0.1/", "http://127。0。0。1/", "http://localhost/", "http://localhost./",
    "http://[::1]/", "http://[::ffff:7f00:1]/", "http://[::ffff:127.0.0.1]/", "http://[64:ff9b::7f00:1]/",
    "http://user@127.0.0.1/", "http://@127.0.0.1/", "http://user:key@example.com/", "http://example.com\\@127.0.0.1/",
    "http://example.com#@127.0.0.1\\", "file:///etc/passwd", "gopher://127.0.0.1/", "ftp://example.com/", "data:,x",
    "http://169.254.169.254/latest/meta-data/", "http://100.100.100.200/", "http://127.0.0.1:6379/",
    "http://93.184.216.34:22/", "https://93.184.216.34:8443/", "http:///etc", "http://[fe80::1%25lo]/", "//127.0.0.1/",
    "http://exa mple.com/", "http://example.com/\r\nHost: x", "", "http://", "http://" + "a" * 3000, "not a url",
    "http://[::1", "http://example.com:99999/", "http://\ud800/"])
def test_a_bad_address_is_refused_before_a_byte_is_sent(url):
    with pytest.raises(Refused) as caught:
        GuardedClient(FetchLimits(timeout_s=2, deadline_s=2)).get(url)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_page_is_fetched_with_its_type_and_charset(client, server):
    fetched = client.get(at(server, "/page"), {"text/html"})
    assert (fetched.body, fetched.content_type, fetched.charset) == (b"<p>hello", "text/html", "gbk")


def test_gzip_is_unpacked(client, server):
    assert client.get(at(server, "/gzip")).body == b"packed"


def test_five_redirects_are_followed_and_six_refused(client, server):
    assert client.get(at(server, "/hops/4")).url == at(server, "/page")
    with pytest.raises(Refused, match="redirects more than 5 times"):
        client.get(at(server, "/hops/5"))


@pytest.mark.parametrize(("target", "rule"), [
    ("http://169.254.169.254/latest/meta-data/", "not a public address"), ("file:///etc/passwd", "scheme 'file'"),
    ("http://127.0.0.1:1/", "port 1 is not allowed"), ("http://u@example.com/", "user name"),
    ("//[::1]/", "not a public address"), ("http://[", "no host that can be"),
    ("http://93.184.216.34:99999999/", "port 99999999"), ("http://93.184.216.34:x/", "is not an address")])
def test_a_redirect_is_checked_like_the_first_address(client, server, target, rule):
    server.target = target
    with pytest.raises(Refused, match=rule):
        client.get(at(server, "/to"))


def test_an_address_that_changes_between_check_and_dialling_is_caught(server, monkeypatch):
    answers = iter(["93.184.216.34", "127.0.0.1"])
    dialled = []

    def rebinding(host, port, *args, **kwargs):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    guarded = GuardedClient(FetchLimits(timeout_s=1, deadline_s=1, ports=frozenset({server.server_port})))
    monkeypatch.setattr("integrations.http.socket.getaddrinfo", rebinding)
    monkeypatch.setattr("httpcore.SyncBackend.connect_tcp", lambda self, host, *a, **k: dialled.append(host) or 1 / 0)
    url = at(server, "/page", "rebind.test")
    with pytest.raises(ZeroDivisionError):
        guarded.get(url)
    with pytest.raises(Refused, match=r"rebind\.test is at 127\.0\.0\.1"):
        guarded.get(url)
    assert dialled == ["93.184.216.34"]


def test_one_private_address_among_public_ones_is_enough_to_refuse(server, monkeypatch):
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 80)) for ip in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr("integrations.http.socket.getaddrinfo", lambda *a, **k: found)
    with pytest.raises(Refused, match=r"10\.0\.0\.1"):
        GuardedClient().get("http://mixed.test/")


def test_a_name_that_does_not_resolve_is_unavailable(monkeypatch):
    def fail(*args, **kwargs):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr("integrations.http.socket.getaddrinfo", fail)
    with pytest.raises(Unavailable, match=r"nowhere\.test cannot be resolved"):
        GuardedClient().get("http://nowhere.test/")


def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch):
    monkeypatch.setattr("integrations.http.socket.getaddrinfo", lambda *a, **k: time.sleep(1) or [])
    with pytest.raises(Unavailable, match="not resolved within"):
        GuardedClient(FetchLimits(timeout_s=0.2)).get("http://slow.test/")


@pytest.mark.parametrize("path", ["/slow", "/slowhead", "/silent"])
def test_a_slow_drip_ends_at_the_deadline(client, server, path):
    started = time.monotonic()
    with pytest.raises(Unavailable, match="did not answer within"):
        client.get(at(server, path))
    assert time.monotonic() - started < 2


def test_a_gzip_bomb_is_noticed_at_the_limit(client, server):
    assert len(BOMB) < 100_000
    with pytest.raises(Refused, match="more than 1000000 bytes"):
        client.get(at(server, "/bomb"))


def test_a_body_over_the_limit_is_refused(client, server):
    with pytest.raises(Refused, match="more than 1000000 bytes"):
        client.get(at(server, "/big"))


def test_an_encoding_that_was_not_asked_for_is_refused(client, server):
    with pytest.raises(Refused, match="encoded as 'br'"):
        client.get(at(server, "/brotli"))


def test_damaged_gzip_is_unavailable(client, server):
    with pytest.raises(Unavailable, match="damaged gzip"):
        client.get(at(server, "/broken"))


@pytest.mark.parametrize("kind", ["application/octet-stream", "text/html-evil", "image/svg+xml"])
def test_a_wrong_content_type_is_refused(client, server, kind):
    with pytest.raises(Refused, match="allowed: text/html"):
        client.get(at(server, f"/type/{kind}"), {"text/html"})


@pytest.mark.parametrize(("status", "error"), [
    (404, NotFound), (410, NotFound), (500, Unavailable), (503, Unavailable), (429, Unavailable), (403, Refused),
    (204, Refused), (302, Refused)])
def test_a_status_becomes_what_the_caller_does_next(client, server, status, error):
    with pytest.raises(error, match=f"status {status}") as caught:
        client.get(at(server, f"/status/{status}"))
    assert type(caught.value) is error


def test_no_proxy_of_the_environment_and_no_cookie_is_used(client, server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    server.seen.clear()
    client.get(at(server, "/page"))
    client.get(at(server, "/page"))
    assert len(server.seen) == 2
    assert not any("Cookie" in headers for _, headers in server.seen)


def test_an_error_does_not_show_the_query_of_an_address(client, server):
    with pytest.raises(NotFound) as caught:
        client.get(at(server, "/status/404?key=secret"))
    assert "secret" not in str(caught.value)


def test_a_closed_port_is_unavailable():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    limits = FetchLimits(timeout_s=1, deadline_s=1, networks=("127.0.0.0/8",), ports=frozenset({port}))
    with pytest.raises(Unavailable):
        GuardedClient(limits).get(f"http://127.0.0.1:{port}/")


def test_a_good_address_is_parsed():
    assert check_url("https://example.com/a?b=c#d").host == "example.com"


@pytest.fixture(scope="module")
def secure_server(tmp_path_factory):
    """The same server behind TLS for "localhost", and the file that vouches for it."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed, so no certificate can be made")
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.seen, running.target, running.certificate = [], "", certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    running.socket = context.wrap_socket(running.socket, server_side=True)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()


def secure_client(server):
    return GuardedClient(FetchLimits(timeout_s=2, deadline_s=1, networks=("127.0.0.1/32", "::1/128"),
                                     ports=frozenset({server.server_port})))


def test_https_is_fetched_under_the_name_and_not_the_number_that_was_dialled(secure_server, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(secure_server.certificate))
    monkeypatch.setattr("integrations.http._resolve", lambda *args: ["127.0.0.1"])
    url = f"https://localhost:{secure_server.server_port}"
    assert secure_client(secure_server).get(f"{url}/page").body == b"<p>hello"
    with pytest.raises(Unavailable, match="did not answer within"):
        secure_client(secure_server).get(f"{url}/slow")


def test_a_certificate_for_another_name_or_from_nobody_is_not_believed(secure_server, monkeypatch):
    monkeypatch.setattr("integrations.http._resolve", lambda *args: ["127.0.0.1"])
    with pytest.raises(Unavailable, match=r"self-signed|verify failed"):
        secure_client(secure_server).get(f"https://localhost:{secure_server.server_port}/page")
    monkeypatch.setenv("SSL_CERT_FILE", str(secure_server.certificate))
    with pytest.raises(Unavailable, match=r"ostname mismatch|verify failed"):
        secure_client(secure_server).get(f"https://other.test:{secure_server.server_port}/page")


def test_one_request_is_answered_as_it_is_and_no_redirect_is_followed(client, server):
    for path, status in (("/page", 200), ("/hops/1", 302), ("/status/404", 404), ("/status/503", 503)):
        seen = len(server.seen)
        answer = client.send(httpx.Request("GET", at(server, path), headers={"Authorization": "Basic x"}))
        assert (answer.status, len(server.seen) - seen) == (status, 1)
        assert server.seen[-1][1]["Authorization"] == "Basic x"
    assert client.send(httpx.Request("GET", at(server, "/gzip"))).body == b"packed"


@pytest.mark.parametrize(("path", "error", "rule"), [
    ("/big", Refused, "more than 1000000 bytes"), ("/bomb", Refused, "more than 1000000 bytes"),
    ("/slow", Unavailable, "did not answer"), ("/brotli", Refused, "only gzip")])
def test_one_request_has_the_limits_of_a_fetch(client, server, path, error, rule):
    with pytest.raises(error, match=rule):
        client.send(httpx.Request("GET", at(server, path)))
    public_only = GuardedClient(FetchLimits(ports=frozenset({server.server_port})))
    with pytest.raises(Refused, match="not a public address"):
        public_only.send(httpx.Request("POST", at(server, path), content=b"x"))
