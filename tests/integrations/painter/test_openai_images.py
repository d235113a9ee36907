"""The port to a distant generator: against our own real service, and against servers that misbehave."""

import base64
import io
import json
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
import torch
from PIL import Image

from generator.pipeline import CoverPainter
from generator.request import CoverRequest, RedoRequest
from integrations.errors import Refused, Unavailable
from integrations.painter.openai_images import OpenAIImagesGenerator, PaintingService
from tests.services.generator import ray_service
from tests.services.process import or_skip


@pytest.fixture(autouse=True)
def one_thread():
    """As many as the service has: another number adds up in another order, and the last bit differs."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def no_fetch(url):
    raise AssertionError(f"nothing should be fetched, not {url}")


def request_for(generator, seed=1, **other):
    return CoverRequest(**{"prompt": "一座灯塔", "negative": "文字", "width": 200, "height": 120, "steps": 4, "guidance": 1.5,
                           "seed": seed, "checkpoint": generator.checkpoint, **other})


def generator_at(url, fetch=no_fetch, **other):
    return OpenAIImagesGenerator(PaintingService(**{"url": url, "timeout_s": 60, **other}), fetch)


def test_our_own_service_paints_what_this_process_would(generator_service):
    distant, here = generator_at(generator_service.url), CoverPainter()
    assert distant.checkpoint == here.checkpoint
    request = request_for(distant)
    assert distant.generate(request) == here.generate(request)


def test_many_are_painted_in_order(generator_service):
    distant, here = generator_at(generator_service.url), CoverPainter()
    requests = [request_for(distant, seed, width=128, height=128) for seed in range(6)]
    assert list(distant.generate_many(requests)) == [here.generate(request) for request in requests]


def test_a_model_that_is_not_there_is_refused_with_the_names_of_those_that_are(generator_service):
    with pytest.raises(Refused, match=r"'qwen-image'.*mini@"):
        _ = generator_at(generator_service.url, model="qwen-image").checkpoint


def test_a_replica_killed_in_mid_request_costs_no_picture(request, tmp_path):
    """Every request ends with its one picture: the caller asks again, and the fingerprint names what it asks for."""
    with ExitStack() as stack:
        with or_skip(request, "generator service (ray)"):
            service = ray_service(stack, tmp_path)
        distant = generator_at(service.url)
        requests = [request_for(distant, seed, width=512, height=512, steps=8) for seed in range(8)]
        with ThreadPoolExecutor(8) as callers:
            painting = [callers.submit(distant.generate, each) for each in requests]
            time.sleep(1)
            with httpx.Client(trust_env=False) as http:
                os.kill(int(http.get(f"{service.url}/ready").headers["x-fengmian-replica"]), signal.SIGKILL)
            pictures = [each.result() for each in painting]
    here = CoverPainter()
    assert pictures == [here.generate(each) for each in requests]


# Other people's services.


def png(width, height):
    file = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(file, "PNG")
    return file.getvalue()


@contextmanager
def foreign(answer):
    """A service of one model "painter-1". answer(asked body) -> (status, headers, body) or None: the line is cut."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self._say(200, {}, json.dumps({"object": "list", "data": [{"id": "painter-1", "owned_by": "somebody"}]}).encode())

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked.append((body, dict(self.headers)))
            told = answer(body, len(asked))
            if told is None:
                self.connection.close()
            else:
                self._say(*told)

        def _say(self, status, headers, body):
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


def with_picture(body, _):
    width, height = map(int, body["size"].split("x"))
    return 200, {}, json.dumps({"data": [{"b64_json": base64.b64encode(png(width, height)).decode()}]}).encode()


def test_a_foreign_model_is_named_with_its_place_and_gets_every_wish():
    with foreign(with_picture) as (url, asked):
        distant = generator_at(url, token="s3cret")
        request = request_for(distant)
        assert distant.checkpoint == f"painter-1 at 127.0.0.1:{url.rpartition(':')[2]}"
        assert distant.generate(request).width == 200
    body, headers = asked[0]
    assert body == {"model": "painter-1", "prompt": "一座灯塔", "n": 1, "size": "200x120", "response_format": "b64_json",
                    "negative_prompt": "文字", "seed": 1, "num_inference_steps": 4, "true_cfg_scale": 1.5}
    assert headers["Authorization"] == "Bearer s3cret"
    assert headers["Idempotency-Key"] == request.fingerprint


def test_a_hosted_service_gets_only_openais_fields_and_its_own_sizes_and_the_cover_is_cut():
    def answer(body, _):
        return 200, {}, json.dumps({"data": [{"url": "https://pictures.test/1.png"}]}).encode()

    with foreign(answer) as (url, asked):
        distant = generator_at(url, fetch=lambda address: png(1536, 1024), dialect="openai", sizes=((1024, 1024), (1536, 1024)))
        picture = distant.generate(request_for(distant))
        assert distant.checkpoint.endswith("+sizes:1024x1024,1536x1024")
    assert asked[0][0] == {"model": "painter-1", "prompt": "一座灯塔", "n": 1, "size": "1536x1024"}
    assert (picture.width, picture.height) == (200, 120)


def test_what_may_pass_is_tried_again_when_the_service_says():
    def answer(body, times):
        return [(429, {"Retry-After": "1"}, b"{}"), (500, {}, b"oops"), None, with_picture(body, times)][min(times, 4) - 1]

    with foreign(answer) as (url, asked):
        distant = generator_at(url)
        started = time.monotonic()
        assert distant.generate(request_for(distant)).height == 120
        assert time.monotonic() - started >= 1
    assert len(asked) == 4
    assert len({headers["Idempotency-Key"] for _, headers in asked}) == 1


def test_what_does_not_pass_in_time_is_unavailable_and_says_why():
    with foreign(lambda body, times: (503, {"Retry-After": "1"}, b'{"error": {"message": "no memory"}}')) as (url, asked):
        distant = generator_at(url, timeout_s=3)
        request = request_for(distant)
        with pytest.raises(Unavailable, match="503: no memory"):
            distant.generate(request)
    assert 1 < len(asked) < 6


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 302])
def test_a_refusal_is_not_tried_again(status):
    told = status, {"Location": "/elsewhere"}, b'{"error": {"message": "no such thing"}}'
    with foreign(lambda *_: told) as (url, asked):
        distant = generator_at(url)
        request = request_for(distant)
        with pytest.raises(Refused, match=f"{status}: no such thing"):
            distant.generate(request)
    assert len(asked) == 1


@pytest.mark.parametrize(("body", "message"), [
    (b"<html>", "JSON"), (b"[]", "no object"), (b"{}", "without a picture"), (b'{"data": []}', "without a picture"),
    (b'{"data": [{"b64_json": "%%%"}]}', "without a picture"), (b'{"data": [{"b64_json": "aGFsbG8="}]}', "no PNG"),
    (json.dumps({"data": [{"b64_json": base64.b64encode(png(100, 100)).decode()}]}).encode(), "100x100 px, not 200x120")])
def test_an_answer_that_is_no_such_picture_is_refused(body, message):
    with foreign(lambda *_: (200, {}, body)) as (url, _):
        distant = generator_at(url)
        with pytest.raises(Refused, match=message):
            distant.generate(request_for(distant))


def test_nobody_there_is_unavailable():
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9"):
        _ = generator_at("http://127.0.0.1:9", timeout_s=1).checkpoint


def test_the_token_stays_out_of_errors():
    with foreign(lambda *_: (400, {}, b"{}")) as (url, _):
        distant = generator_at(url, token="s3cret")
        with pytest.raises(Refused) as found:
            distant.generate(request_for(distant))
    assert "s3cret" not in str(found.value)


@pytest.mark.parametrize("url", ["", "ftp://x", "here", "http://"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ValueError, match=r"generator\.url"):
        generator_at(url)


def test_a_region_painted_anew_on_our_service_is_what_this_process_would_make_of_it(generator_service):
    from flows.painter import LazyPainter
    from generator.options import ModelOptions
    from generator.revision import BUNDLED_FOLDER

    distant, here = generator_at(generator_service.url), LazyPainter(BUNDLED_FOLDER, ModelOptions())
    picture = here.generate(request_for(distant, width=256, height=192))
    request = RedoRequest(cover="0" * 64, region=(128, 0, 128, 192), width=256, height=192, prompt="一颗爱心", negative="",
                          steps=4, guidance=1, seed=3, checkpoint=distant.checkpoint)
    assert distant.redo(request, picture) == here.redo(request, picture)
