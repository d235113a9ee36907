"""The service over the wire, the same tests alone under uvicorn and in two Ray Serve replicas."""

import base64
import io
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import grpc
import httpx
import numpy as np
import openai
import pytest
import torch
from PIL import Image

from generator.pipeline import CoverPainter
from generator.request import CoverRequest
from generator.service.painter_pb2 import EditRequest, GenerateRequest, ListModelsRequest, Sampling
from generator.service.painter_pb2_grpc import PainterStub
from tests.services.generator import uvicorn_service
from tests.services.process import or_skip

WAIT_S = 120


@pytest.fixture(autouse=True)
def one_thread():
    """As many as the service has: another number adds up in another order, and the last bit differs."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def client(generator_service):
    with openai.OpenAI(base_url=f"{generator_service.url}/v1", api_key="none", timeout=WAIT_S, max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def http(generator_service):
    with httpx.Client(base_url=generator_service.url, timeout=WAIT_S, trust_env=False) as http:
        yield http


@pytest.fixture(scope="module")
def stub(generator_service):
    with grpc.insecure_channel(generator_service.grpc_address, [("grpc.enable_http_proxy", 0)]) as channel:
        yield PainterStub(channel)


APPLICATION = (("application", "default"),)
"""What Ray Serve's ingress wants to be told; alone it means nothing."""


def opened(b64):
    return Image.open(io.BytesIO(base64.b64decode(b64)))


def png(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_the_openai_client_works_unchanged_and_gets_the_pixels_that_the_painter_makes(client):
    answer = client.images.generate(prompt="云原生, 主体靠右", size="320x200", n=2, extra_body={"seed": 5})
    painter = CoverPainter()
    assert answer.model == painter.checkpoint
    for seed, told in zip((5, 6), answer.data, strict=True):
        request = CoverRequest(prompt="云原生, 主体靠右", negative="", width=320, height=200, steps=8, guidance=1, seed=seed,
                               checkpoint=painter.checkpoint)
        assert told.fingerprint == request.fingerprint
        assert opened(told.b64_json).convert("RGB").tobytes() == painter.generate(request).rgb


def test_a_url_leads_to_the_picture_without_a_key(client, http):
    answer = client.images.generate(prompt="a lighthouse", size="128x128", response_format="url", output_format="webp")
    with Image.open(io.BytesIO(http.get(answer.data[0].url).content)) as image:
        assert (image.format, image.size) == ("WEBP", (128, 128))
    assert http.get("/v1/files/../../etc/passwd").status_code == 404
    assert http.get("/v1/files/00/nothing.png").status_code == 404


def test_an_edit_paints_where_the_mask_is_transparent_and_nowhere_else(client):
    before = opened(client.images.generate(prompt="a mountain", size="320x256", extra_body={"seed": 1}).data[0].b64_json)
    mask = Image.new("RGBA", before.size, (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (160, 64, 320, 256))
    answer = client.images.edit(image=("a.png", png(before)), mask=("m.png", png(mask)), prompt="a red heart",
                                extra_body={"seed": 2})
    changed = np.asarray(opened(answer.data[0].b64_json)).astype(int) - np.asarray(before)
    assert np.abs(changed[:, :160]).max() == 0 == np.abs(changed[:64]).max()
    assert np.abs(changed[64:, 160:]).mean() > 3


def test_an_edit_without_a_mask_paints_the_whole_picture_anew(client):
    before = opened(client.images.generate(prompt="a mountain", size="256x256", extra_body={"seed": 1}).data[0].b64_json)
    after = opened(client.images.edit(image=("a.png", png(before)), prompt="a mountain").data[0].b64_json)
    assert after.size == before.size
    assert after.tobytes() != before.tobytes()


def test_the_short_call_answers_with_an_address_or_with_the_picture_itself(http):
    asked = {"prompt": "一座灯塔", "resolution": "128x128", "guidance_scale": 1, "steps": 4, "seed": 3}
    address = http.post("/v1/generate", json={**asked, "output_format": "url"}).json()["image_url"]
    data = http.post("/v1/generate", json={**asked, "output_format": "b64"}).json()["image_url"]
    assert data.startswith("data:image/png;base64,")
    assert base64.b64decode(data.partition(",")[2]) == http.get(address).content


@pytest.mark.parametrize(("body", "message"), [
    ({"prompt": "x", "n": 0}, "n 0: "), ({"prompt": "x", "n": 11}, "n 11: "), ({"prompt": "x", "n": "1e9"}, "n '1e9': "),
    ({"prompt": " "}, "it is empty"), ({"prompt": "x" * 2001}, "2000"), ({"prompt": "x", "size": "9x9"}, "9 px"),
    ({"prompt": "x", "size": "1e3x5"}, "1e3x5"), ({"prompt": "x", "size": "99999x99999"}, "99999"),
    ({"prompt": "x", "sise": "1x1"}, "sise"),
    ({"prompt": "x", "seed": -1}, "seed -1"), ({"prompt": "x", "num_inference_steps": 10**6}, "200"),
    ({"prompt": "x", "true_cfg_scale": 0.5}, "true_cfg_scale 0.5"), ({"prompt": "x", "response_format": "tiff"}, "tiff"),
    ({}, "prompt"),
])
def test_bad_values_are_refused_by_name_and_rule(http, body, message):
    answer = http.post("/v1/images/generations", json=body)
    assert answer.status_code == 400
    assert message in answer.json()["error"]["message"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b'{"prompt": "x", "true_cfg_scale": NaN}', b'"x"'])
def test_a_body_that_is_no_question_is_refused(http, body):
    answer = http.post("/v1/images/generations", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize(("name", "data"), [
    ("cut.png", png(Image.new("RGB", (99, 99)))[:60]), ("small.png", png(Image.new("RGB", (1, 1)))),
    ("x.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>"), ("empty", b"")])
def test_an_edit_of_what_is_no_picture_is_refused(http, name, data):
    answer = http.post("/v1/images/edits", data={"prompt": "x"}, files={"image": (name, data)})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith("image")


def test_another_model_is_not_found_and_the_loaded_one_answers_to_its_plain_name(client):
    loaded, = client.models.list().data
    with pytest.raises(openai.NotFoundError, match="dall-e-3"):
        client.images.generate(prompt="x", model="dall-e-3")
    assert client.images.generate(prompt="x", size="64x64", model=loaded.id.partition("@")[0]).model == loaded.id


def test_probes_and_metrics_tell_how_it_is(http):
    assert http.get("/health").json() == {"status": "up"}
    assert http.get("/ready").json()["status"] == "ready"
    told = http.get("/metrics").text
    for name in ("fengmian_queue_length", "fengmian_batch_size_bucket", "fengmian_step_seconds_count",
                 "fengmian_gpu_memory_bytes", "fengmian_cache_hits_total"):
        assert f"\n{name}" in told


def test_grpc_gives_the_same_picture_as_rest(stub, client):
    told = client.images.generate(prompt="月亮", size="128x128", extra_body={"seed": 9}).data[0]
    request = GenerateRequest(sampling=Sampling(prompt="月亮", size="128x128", seed=9))
    reply = stub.Generate(request, timeout=WAIT_S, metadata=APPLICATION)
    assert reply.image == base64.b64decode(told.b64_json)
    assert (reply.fingerprint, reply.seed, reply.width) == (told.fingerprint, 9, 128)


def test_grpc_tells_every_step_and_then_the_picture(stub):
    request = GenerateRequest(sampling=Sampling(prompt="河流", size="128x128", seed=77, steps=5))
    events = list(stub.GenerateWithProgress(request, timeout=WAIT_S, metadata=APPLICATION))
    assert [(event.progress.step, event.progress.steps) for event in events[:-1]] == [(step, 5) for step in range(1, 6)]
    with Image.open(io.BytesIO(events[-1].reply.image)) as image:
        assert image.size == (128, 128)


def test_grpc_edits_and_lists_models(stub):
    picture = Image.new("RGB", (128, 128), (30, 60, 90))
    reply = stub.Edit(EditRequest(sampling=Sampling(prompt="a heart"), image=png(picture), strength=0.8), timeout=WAIT_S,
                      metadata=APPLICATION)
    assert (reply.width, reply.height) == (128, 128)
    assert list(stub.ListModels(ListModelsRequest(), metadata=APPLICATION).models) == [reply.model]


@pytest.mark.parametrize(("sampling", "code", "message"), [
    ({"prompt": ""}, grpc.StatusCode.INVALID_ARGUMENT, "prompt"),
    ({"prompt": "x", "size": "9x9"}, grpc.StatusCode.INVALID_ARGUMENT, "9 px"),
    ({"prompt": "x", "model": "other"}, grpc.StatusCode.NOT_FOUND, "other"),
    ({"prompt": "x", "output_format": "tiff"}, grpc.StatusCode.INVALID_ARGUMENT, "output_format")])
def test_grpc_says_what_is_wrong(stub, sampling, code, message):
    with pytest.raises(grpc.RpcError, match=message) as found:
        stub.Generate(GenerateRequest(sampling=Sampling(**sampling)), timeout=WAIT_S, metadata=APPLICATION)
    assert found.value.code() == code


# What only a process of its own can show.


@pytest.fixture
def alone(request, tmp_path):
    """Starts a service under uvicorn with settings of the test's own; (service, process)."""
    with ExitStack() as stack:
        def start(**settings):
            with or_skip(request, "generator service"):
                service = uvicorn_service(stack, tmp_path, **{f"FENGMIAN_SERVICE__{name.upper()}": str(value)
                                                              for name, value in settings.items()})
            return service, stack.process
        yield start


def big(seed):
    """A picture that takes some seconds."""
    return {"prompt": f"城市 {seed}", "size": "2048x2048", "seed": seed, "num_inference_steps": 40}


def test_who_brings_no_token_is_sent_away_but_probes_are_answered(alone):
    service, _ = alone(token="s3cret")
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "s3cret"}):
        answer = httpx.post(f"{service.url}/v1/images/generations", json={"prompt": "x"}, headers=headers)
        assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")
    assert httpx.get(f"{service.url}/health").status_code == 200
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="s3cret") as client:
        assert client.images.generate(prompt="x", size="64x64").data
    with grpc.insecure_channel(service.grpc_address) as channel:
        with pytest.raises(grpc.RpcError, match="token"):
            PainterStub(channel).ListModels(ListModelsRequest())
        assert PainterStub(channel).ListModels(ListModelsRequest(), metadata=(("authorization", "Bearer s3cret"),)).models
    assert "s3cret" not in service.log.read_text()


def test_a_full_queue_answers_429_with_the_time_to_come_back(alone):
    service, _ = alone(max_queue=1)
    with ThreadPoolExecutor(6) as callers:
        answers = list(callers.map(lambda seed: httpx.post(f"{service.url}/v1/images/generations", json=big(seed) | {
            "size": "512x512", "num_inference_steps": 10 + seed}, timeout=WAIT_S), range(6)))
    told = [answer.status_code for answer in answers]
    assert set(told) == {200, 429}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers if answer.status_code == 429)


def test_a_deadline_ends_the_request_and_the_painting(alone):
    service, _ = alone(deadline_s=1)
    started = time.monotonic()
    answer = httpx.post(f"{service.url}/v1/images/generations", json=big(1), timeout=WAIT_S)
    assert answer.status_code == 504
    assert time.monotonic() - started < 5
    assert "1 s" in answer.json()["error"]["message"]


def test_a_caller_who_hangs_up_frees_the_painter(alone):
    service, _ = alone()
    body = httpx.Request("POST", service.url, json=big(1)).read()
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as sock:
        sock.sendall(b"POST /v1/images/generations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: "
                     + str(len(body)).encode() + b"\r\n\r\n" + body)
        time.sleep(1.5)
    started = time.monotonic()
    small = httpx.post(f"{service.url}/v1/images/generations", json={"prompt": "x", "size": "64x64"}, timeout=WAIT_S)
    assert small.status_code == 200
    assert time.monotonic() - started < 8  # the big one takes far longer
    deadline = time.monotonic() + 10
    while 'call="generate",outcome="gone"} 1.0' not in httpx.get(f"{service.url}/metrics").text:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_sigterm_finishes_what_is_there(alone):
    service, process = alone()
    answers = []
    asking = threading.Thread(target=lambda: answers.append(httpx.post(
        f"{service.url}/v1/images/generations", json=big(1) | {"num_inference_steps": 12}, timeout=WAIT_S)))
    asking.start()
    time.sleep(1)
    os.kill(process.pid, signal.SIGTERM)
    asking.join()
    assert answers[0].status_code == 200
    assert process.wait(30) in (0, -signal.SIGTERM)


def test_a_body_larger_than_allowed_is_refused_before_it_is_read(alone):
    service, _ = alone()
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as sock:
        sock.sendall(b"POST /v1/images/edits HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"
                     b"Content-Length: 1000000000\r\n\r\n")
        assert sock.recv(200).startswith(b"HTTP/1.1 413 ")


def test_the_generated_protobuf_modules_are_those_of_the_proto_file(tmp_path):
    from generator.service.compile import HERE, compile_proto

    compile_proto(tmp_path)
    for name in ("painter_pb2.py", "painter_pb2.pyi", "painter_pb2_grpc.py"):
        assert (tmp_path / "generator/service" / name).read_text() == (HERE / name).read_text()
