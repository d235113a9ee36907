"""What goes wrong with one picture leaves the painter ready for the next."""

import pytest
import torch

from generator import pipeline
from generator.errors import Cancelled
from generator.options import ModelOptions
from generator.pipeline import CoverPainter, Order
from generator.placement import DoesNotFit
from generator.request import CoverRequest


@pytest.fixture(scope="module")
def painter(pipeline_folder):
    return CoverPainter(pipeline_folder, ModelOptions(max_batch=8))


def request(painter, seed=0, **changes):
    return CoverRequest(**{"prompt": "云", "negative": "", "width": 80, "height": 64, "steps": 3, "guidance": 2.0, "seed": seed,
                           "checkpoint": painter.checkpoint, **changes})


def test_the_painter_goes_on_after_every_kind_of_trouble(painter):
    expected = painter.generate(request(painter))
    with pytest.raises(ValueError, match="loaded is"):
        painter.generate(request(painter, checkpoint="another"))
    with pytest.raises(Cancelled):
        painter.generate(request(painter), cancelled=lambda: True)
    with pytest.raises(ZeroDivisionError):
        painter.generate(request(painter), progress=lambda step, steps: 1 // 0)
    assert painter.generate(request(painter)) == expected


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB"),
                                   RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried")])
def test_a_batch_larger_than_memory_is_painted_one_by_one(painter, monkeypatch, caplog, error):
    orders = [Order(request=request(painter, seed)) for seed in range(3)]
    expected = [painter.generate(order.request) for order in orders]
    real, sizes = pipeline.denoise, []

    def small(parts, drafts, *rest):
        sizes.append(len(drafts))
        if len(drafts) > 1:
            raise error
        return real(parts, drafts, *rest)

    monkeypatch.setattr(pipeline, "denoise", small)
    assert painter.generate_batch(orders) == expected
    assert sizes == [3, 1, 1, 1]
    assert "one by one" in caplog.text


def test_one_picture_larger_than_memory_is_refused(painter, monkeypatch):
    def full(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB\nmore lines")

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "denoise", full)
        with pytest.raises(DoesNotFit, match=r"do not fit on cpu: CUDA out of memory\. Tried to allocate 9 GiB$"):
            painter.generate(request(painter))
    assert painter.generate(request(painter)).width == 80


def test_other_errors_are_not_taken_for_memory(painter, monkeypatch):
    def broken(*arguments):
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(pipeline, "denoise", broken)
    with pytest.raises(RuntimeError, match="multiplied"):
        painter.generate(request(painter))


def test_orders_of_several_sizes_are_sorted_into_batches(painter, monkeypatch):
    requests = [request(painter, seed, width=64 + 16 * (seed % 2), steps=2 + seed // 4) for seed in range(6)]
    expected = [painter.generate(each) for each in requests]
    real, sizes = pipeline.denoise, []

    def count(parts, drafts, *rest):
        sizes.append(len(drafts))
        return real(parts, drafts, *rest)

    monkeypatch.setattr(pipeline, "denoise", count)
    assert painter.generate_batch([Order(request=each) for each in requests]) == expected
    assert sorted(sizes) == [1, 1, 2, 2]


def test_a_batch_of_several_checkpoints_is_refused(painter):
    with pytest.raises(ValueError, match="one checkpoint"):
        painter.generate_batch([Order(request=request(painter)), Order(request=request(painter, checkpoint="another"))])


@pytest.mark.parametrize("half", ["decode", "encode"])
def test_pixels_larger_than_memory_are_refused(painter, monkeypatch, half):
    def full(*arguments):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    monkeypatch.setattr(pipeline, half, full)
    with pytest.raises(DoesNotFit, match="do not fit on cpu"):
        getattr(painter, half)(torch.zeros(1, 4, 8, 8) if half == "decode" else torch.zeros(3, 64, 64))


def test_hashes_of_a_pull_are_not_made_again(painter, pipeline_folder, tmp_path, monkeypatch):
    import hashlib
    import json
    import shutil

    from generator import revision

    folder = shutil.copytree(pipeline_folder, tmp_path / "pulled")
    files = {file.relative_to(folder).as_posix(): {"size": file.stat().st_size,
                                                   "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
             for file in folder.rglob("*") if file.is_file()}
    expected = [revision.revision(folder), revision.revision(folder / "text_encoder")]
    (folder / revision.RECORD_FILE).write_text(json.dumps({"files": files}))
    monkeypatch.setattr(revision, "_digest_once", lambda *arguments: pytest.fail("read"))
    assert [revision.revision(folder), revision.revision(folder / "text_encoder")] == expected
