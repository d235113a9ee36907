"""The request that names a picture."""

import dataclasses
import subprocess
import sys

import pytest

from generator.request import CoverImage, CoverRequest

REQUEST = CoverRequest(prompt="云", negative="", width=1200, height=630, steps=24, guidance=3.0, seed=1, checkpoint="mini@0")


@pytest.mark.parametrize(("field", "value"), [
    ("prompt", "云 "), ("negative", "文字"), ("width", 1201), ("height", 631), ("steps", 25), ("guidance", 3.1), ("seed", 2),
    ("checkpoint", "mini@1"), ("sampler_version", 99)])
def test_everything_that_changes_pixels_changes_the_fingerprint(field, value):
    assert dataclasses.replace(REQUEST, **{field: value}).fingerprint != REQUEST.fingerprint


def test_the_fingerprint_is_the_same_in_another_process():
    code = f"from generator.request import CoverRequest; print({REQUEST!r}.fingerprint)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == REQUEST.fingerprint


def test_the_request_needs_no_torch():
    code = "import sys, generator.request; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(("field", "value"), [
    ("width", 0), ("width", 63), ("height", 16384), ("prompt", ""), ("prompt", " \n"), ("prompt", "x" * 2001), ("steps", 0),
    ("steps", 201), ("guidance", 0.5), ("guidance", float("nan")), ("seed", -1), ("seed", 2**63)])
def test_what_makes_no_picture_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=field):
        dataclasses.replace(REQUEST, **{field: value})


def test_a_picture_has_three_bytes_a_pixel():
    with pytest.raises(ValueError, match="2x2"):
        CoverImage(width=2, height=2, rgb=b"123")
