import random

import pytest

from integrations.models.catalogue import Licence, Model
from integrations.models.huggingface import HuggingFaceHub
from integrations.models.modelscope import ModelScopeHub
from integrations.models.shelf import ModelShelf
from tests.integrations.models.hub_server import HubServer

WEIGHTS = random.Random(0).randbytes(2_000_000)
FILES = {
    "README.md": b"---\nlicense: apache-2.0\n---\n",
    "config.json": b'{"size": 1}\n',
    "vae/config.json": b"{}",
    "vae/model.safetensors": WEIGHTS,
    "vae/pytorch_model.bin": b"pickle" * 1000,
    "assets/picture.png": b"never asked for" * 1000,
}
PULLED = ["README.md", "config.json", "vae/config.json", "vae/model.safetensors"]


class Noting:
    """A watcher that remembers."""

    def __init__(self):
        self.begun, self.count, self.placed, self.checked = [], 0, [], 0

    def check(self, record):
        self.checked += 1

    def begin(self, record, here):
        self.begun.append(here)

    def tell(self, count):
        self.count += count

    def place(self, file):
        self.placed.append(file.path)


@pytest.fixture
def hub_server():
    with HubServer() as server:
        yield server


@pytest.fixture
def repo(hub_server):
    repo = hub_server.repo("owner/model")
    repo.commit(FILES)
    return repo


@pytest.fixture(params=["huggingface", "modelscope"])
def hub(request, hub_server, repo):
    kind = {"huggingface": HuggingFaceHub, "modelscope": ModelScopeHub}[request.param]
    return kind(hub_server.url, timeout_s=5)


@pytest.fixture
def shelf(tmp_path):
    return ModelShelf(tmp_path / "models")


@pytest.fixture
def watcher():
    return Noting()


@pytest.fixture
def model():
    return Model(name="tiny", title="", kind="checkpoint", huggingface="owner/model", modelscope="owner/model",
                 files=("README.md", "config.json", "vae/*"), size=1, settings="",
                 licence=Licence(id="apache-2.0", commercial=True))
