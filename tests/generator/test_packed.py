"""Packed linear layers compute what plain ones do, and can be unpacked to the bit."""

import pytest
import torch
from torch import nn

from generator.checkpoint import load_transformer, save_transformer
from generator.packed import GeluLinear, PackedLinear, can_pack
from generator.precision import finish_linear

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("kind", [nn.Linear, GeluLinear])
@pytest.mark.parametrize("shape", [(1, 48), (7, 48), (2, 5, 48), (3, 0, 48)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_layer_computes_what_the_plain_one_does(dtype, kind, shape, bias):
    torch.manual_seed(0)
    plain, x = kind(48, 80, bias=bias).to(dtype), torch.randn(shape).to(dtype)
    packed = finish_linear(plain, "float32" if dtype == torch.float32 else "bfloat16")
    assert isinstance(packed, PackedLinear) == can_pack(dtype)
    torch.testing.assert_close(packed(x), plain(x), atol=TOLERANCE[dtype], rtol=0)
    assert torch.equal(packed.weight.to_dense() if packed.weight.is_mkldnn else packed.weight, plain.weight)


@pytest.mark.parametrize(("capabilities", "packs"), [
    ({"avx512_bw": True, "avx512_vl": True, "avx512_dq": True}, True), ({"avx_ne_convert": True}, True),
    ({"avx512_bw": True}, False), ({"avx2": True}, False)])
def test_bfloat16_is_packed_only_where_the_processor_can(monkeypatch, capabilities, packs):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert can_pack(torch.bfloat16) == packs
    assert can_pack(torch.float32)
    assert not can_pack(torch.float64)


def test_a_layer_of_another_dtype_stays_as_it_is():
    layer = nn.Linear(4, 4).double()
    assert finish_linear(layer, "float32") is layer


def test_a_loaded_transformer_is_saved_as_it_was(transformer_folder, tmp_path):
    loaded = load_transformer(transformer_folder)
    save_transformer(loaded, tmp_path)
    again = load_transformer(tmp_path)
    assert any(isinstance(module, PackedLinear) for module in again.modules())
    for name, tensor in loaded.state_dict().items():
        other = again.state_dict()[name]
        assert torch.equal(tensor.to_dense() if tensor.is_mkldnn else tensor, other.to_dense() if other.is_mkldnn else other)
