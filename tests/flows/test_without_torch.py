"""What a machine without torch, and so without the extra `generator`, can do and what it says about the rest."""

import json
import subprocess
import sys

import pytest

from tests.flows.conftest import ENGLISH

WITHOUT = """
import sys
for name in ("torch", "transformers", "safetensors", "grpc", "python_multipart", "multipart"):
    sys.modules[name] = None
from flows import cli
sys.exit(cli.run(sys.argv[1:]))
"""


@pytest.fixture
def bare(site, monkeypatch):
    monkeypatch.delenv("FENGMIAN_GENERATOR__CHECKPOINT")
    environment = {name: value for name, value in site.environment.items() if not name.startswith("FENGMIAN_GENERATOR")}
    program = site.folder / "without.py"
    program.write_text(WITHOUT)

    def run(*words, **settings):
        done = subprocess.run([sys.executable, str(program), *words], cwd=site.folder, capture_output=True, text=True, timeout=60,
                              env={**environment, **{f"FENGMIAN_{name}": value for name, value in settings.items()}})
        return done.returncode, done.stdout, done.stderr

    site.post("a.md", ENGLISH)
    return run


@pytest.mark.parametrize(("words", "settings", "line"), [
    (["cover", "posts/a.md"], {}, "painting here needs torch, which is not installed: pip install 'fengmian[generator]', or let "
                                  "another machine paint: set generator.url"),
    (["generate", "a lake"], {}, "painting here needs torch"),
    (["serve"], {}, "the generator service needs torch, which is not installed: pip install 'fengmian[service]'"),
    (["cover", "posts/a.md"], {"SUMMARIZER__KIND": "t5", "SUMMARIZER__MODEL": "/models/t5"}, "summarizer.kind t5 needs torch")])
def test_what_needs_torch_says_what_to_install(bare, words, settings, line):
    code, out, err = bare(*words, **settings)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith(f"fengmian: {line}")


@pytest.mark.slow
def test_covers_are_painted_elsewhere(bare, site, generator_service):
    code, out, err = bare("cover", "posts/a.md", "--json", "--write", "--out", "covers", GENERATOR__URL=generator_service.url)
    assert code == 0, err
    assert json.loads(out)["checkpoint"].startswith("mini@")
    assert "covers/" in (site.posts / "a.md").read_text()
