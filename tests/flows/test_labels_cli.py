"""fengmian labels, as it is typed."""

import os
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from integrations.pictures import encode
from tests.integrations.labels.pictures import PRODUCER, gradient, pixels_of

COVER = gradient(600, 315)


@pytest.fixture
def picture(site, tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(encode(COVER, "png"))
    return path


def test_keys_labels_and_proof(site, picture, monkeypatch):
    made = site.run("labels", "keygen", "--out", "keys", "--name", "Example blog")
    assert made.code == 0
    assert "keys/root.key" in made.out
    assert os.stat("keys/signer.key").st_mode & 0o077 == 0
    site.settle(monkeypatch, LABELS__C2PA__CERTIFICATE="keys/signer.crt", LABELS__C2PA__KEY="keys/signer.key",
                LABELS__PRODUCER=PRODUCER)
    bare = site.run("labels", "verify", str(picture), "--json")
    assert bare.code == 1
    assert bare.record["valid"] is False
    assert {each["decision"] for each in bare.record["labels"].values()} == {"block"}
    assert site.run("labels", "apply", str(picture)).code == 0
    whole = site.run("labels", "verify", str(picture), "--json")
    assert (whole.code, whole.record["valid"]) == (0, True)
    before = picture.read_bytes()
    assert "it had its labels already" in site.run("labels", "apply", str(picture)).out
    assert picture.read_bytes() == before


def test_without_visible_words_no_pixel_changes(site, picture, monkeypatch):
    site.settle(monkeypatch, LABELS__VISIBLE="false")
    assert site.run("labels", "apply", str(picture), "--out", "out/labelled.png").code == 0
    assert (pixels_of((picture.parent / "out/labelled.png").read_bytes()) == pixels_of(picture.read_bytes())).all()
    told = site.run("labels", "verify", "out/labelled.png")
    assert told.code == 0
    assert "visible: not asked for" in told.out


def test_english_words_count_unless_chinese_ones_are_asked_for(site, picture):
    site.run("labels", "apply", str(picture), "--lang", "en")
    assert site.run("labels", "verify", str(picture)).code == 0
    assert site.run("labels", "verify", str(picture), "--lang", "en").code == 0
    told = site.run("labels", "verify", str(picture), "--lang", "zh")
    assert told.code == 1
    assert "visible: the words 'AI生成' are not at the bottom-right" in told.out


def test_a_served_copy_is_looked_at(site, picture, monkeypatch):
    site.run("labels", "apply", str(picture))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=picture.parent))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        port = server.server_address[1]
        address = f"http://127.0.0.1:{port}/picture.png"
        assert site.run("labels", "verify", address).code == 2  # a private network, until the settings allow it
        site.settle(monkeypatch, FETCH__ALLOW_NETWORKS='["127.0.0.0/8"]', FETCH__PORTS=f"[{port}]")
        assert site.run("labels", "verify", address).code == 0
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("words", "code", "told"), [
    (["verify", "none.png"], 2, "none.png: there is no such file"),
    (["verify", "ftp://example.com/a.png"], 2, "neither a file nor an address"),
    (["verify", "posts"], 2, "cannot be read"),
    (["verify", "note.txt"], 2, "note.txt: this is no PNG, JPEG, WebP or AVIF file"),
    (["apply", "picture.png", "--lang", "fr"], 2, "lang: 'fr' is not zh or en"),
    (["apply", "picture.png", "--id", "封面"], 2, "ProduceID is '封面'"),
    (["keygen", "--out", "keys", "--name", ""], 2, "the name ''"),
])
def test_bad_input_is_named(site, picture, words, code, told):
    (picture.parent / "note.txt").write_text("hello")
    answer = site.run("labels", *words)
    assert (answer.code, told in answer.err) == (code, True), answer.err


@pytest.mark.parametrize(("settings", "told"), [
    ({"LABELS__PRODUCER": "某公司"}, "ContentProducer is '某公司'"),
    ({"LABELS__TEXT": "封面"}, "must name AI"),
    ({"LABELS__COLOUR": "red"}, "is not #RRGGBB"),
    ({"LABELS__C2PA__KEY": "a"}, "certificate and key belong together"),
    ({"LABELS__C2PA__KEY": "a", "LABELS__C2PA__CERTIFICATE": "b"}, "No such file"),
])
def test_settings_that_cannot_be_are_named(site, picture, monkeypatch, settings, told):
    site.settle(monkeypatch, **settings)
    answer = site.run("labels", "verify", str(picture))
    assert answer.code == 2
    assert told in answer.err
