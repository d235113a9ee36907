"""bfloat16 in training only where the processor multiplies in it."""

import pytest
import torch

from generator.training import narrow as module


@pytest.fixture(autouse=True)
def _forget():
    module.has_bfloat16.cache_clear()
    yield
    module.has_bfloat16.cache_clear()


@pytest.mark.parametrize(("capabilities", "expected"), [
    ({"avx512_bf16": True}, torch.bfloat16), ({"amx_bf16": True}, torch.bfloat16), ({"bf16": True}, torch.bfloat16),
    ({"avx512_bf16": False, "avx2": True}, torch.float32), ({}, torch.float32)])
def test_products_are_narrow_where_that_is_fast(monkeypatch, capabilities, expected):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    with module.narrow():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected
