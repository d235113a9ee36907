"""The gate of the service: tokens, and bodies of any length."""

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from generator.service.guard import Guard
from generator.service.shapes import Generation

BODY = b'{"prompt": "a lake"}'


@pytest.fixture
def client():
    app = FastAPI()

    @app.post("/v1/paint")
    async def paint(asked: Generation) -> str:
        return asked.prompt

    app.add_middleware(Guard, token="", max_body_bytes=100)
    return TestClient(app, raise_server_exceptions=False)


def in_pieces(total):
    """A body whose length is not told beforehand."""
    yield BODY
    for _ in range(total - len(BODY)):
        yield b" "


@pytest.mark.parametrize(("total", "status"), [(len(BODY), 200), (100, 200), (101, 413), (5000, 413)])
def test_a_body_may_be_as_long_as_allowed_whether_or_not_it_says_so(client, total, status):
    for body in (BODY.ljust(total), in_pieces(total)):
        answer = client.post("/v1/paint", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == status
        assert (answer.json() == "a lake") if status == 200 else answer.json()["error"]["message"].startswith("body: ")
