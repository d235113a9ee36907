"""OpenAPI says what the gateway does: schemathesis finds nothing, and what is written there is complete."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integrations.gateway.test_api import WANTED, order

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.slow
def test_schemathesis_finds_nothing(gateway, tmp_path):
    schemathesis, settings = str(Path(sys.executable).with_name("schemathesis")), tmp_path / "schemathesis.toml"
    settings.write_text(f'[auth.openapi.key]\nbearer = "{gateway.key()}"\n')
    words = ["--config-file", str(settings), "run", f"{gateway.url}/openapi.json", "--max-examples", "40",
             "--continue-on-failure", "--no-color", "--warnings", "off", "--seed", "1"]
    hooks = {"SCHEMATHESIS_HOOKS": "tests.integrations.gateway.schemathesis_hooks", "PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run([schemathesis, *words], cwd=tmp_path, env=os.environ | hooks, capture_output=True, text=True,
                          timeout=500)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert gateway.runs.orders  # it came in, and was not only refused


def test_every_way_below_v1_is_written_with_its_key_and_its_refusals(api):
    written = api.get("/openapi.json").json()
    for path, methods in written["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"] or path == "/health"
            if path.startswith("/v1/"):
                assert operation["security"] == [{"key": []}], (path, method)
                assert {"401", "403", "422", "429", "503"} <= set(operation["responses"])
    assert set(written["paths"]) == {"/webhooks/{site}", "/v1/covers", "/v1/jobs/{job_id}", "/v1/jobs/{job_id}/cancel",
                                     "/v1/jobs/{job_id}/events", "/health"}


def test_a_whole_number_may_be_written_as_json_writes_numbers(api, gateway):
    answer = api.post("/v1/covers", content=b'{"site": "blog", "post_id": "7", "seed": 3e0}',
                      headers={"Content-Type": "application/json"})
    assert answer.status_code == 202
    assert gateway.runs.orders[0].wishes["seed"] == 3
    assert order(api, {**WANTED, "seed": 3.5}).status_code == 422
