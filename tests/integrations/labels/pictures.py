"""Pictures to label, and keys to sign them."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from generator.request import CoverImage
from integrations.labels import keys
from integrations.labels.labeller import LabelPolicy, PictureLabeller
from integrations.labels.signing import C2paSigner
from integrations.ports import Origin

FORMS = ("png", "jpeg", "webp", "avif")
PRODUCER = "001191110000000000000X10001"
ORIGIN = Origin(picture_id="ab" * 16, checkpoint="mini@1", language="zh")


def gradient(width=320, height=200, seed=0):
    """A soft picture, as covers are."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    return as_cover(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))


def plain(colour, width=320, height=200):
    return as_cover(Image.new("RGB", (width, height), colour))


def noise(width=320, height=200):
    return as_cover(Image.fromarray(np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)))


def as_cover(image):
    return CoverImage(width=image.width, height=image.height, rgb=image.tobytes())


def as_image(cover):
    return Image.frombytes("RGB", (cover.width, cover.height), cover.rgb)


def saved(cover, form, **options):
    file = BytesIO()
    as_image(cover).save(file, form.upper(), **options)
    return file.getvalue()


def pixels_of(data):
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image.convert("RGBA"))


@pytest.fixture(scope="session")
def key_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    keys.make_keys(folder, "示例 Blog")
    return folder


@pytest.fixture(scope="session")
def signer(key_folder):
    certificates = (key_folder / keys.CERTIFICATE).read_bytes()
    return C2paSigner(certificates, (key_folder / keys.KEY).read_bytes(), keys.root_of(certificates), "fengmian")


@pytest.fixture
def labeller(signer):
    return PictureLabeller(LabelPolicy(producer=PRODUCER), signer)
