"""Precision: in which numbers the weights lie and are multiplied."""

import warnings

import torch
from torch import nn

from generator.errors import GeneratorError
from generator.options import Precision
from generator.packed import PackedLinear, can_pack

FLOAT8_MIN_WIDTH = 16
"""A GPU multiplies float8 matrices only where both sides are multiples of it."""


def base_dtype(precision: Precision) -> torch.dtype:
    """What everything but the weights of float8 layers is computed in."""
    return torch.float32 if precision == "float32" else torch.bfloat16


def finish_linear(layer: nn.Linear, precision: Precision, *, is_compiled: bool = False) -> nn.Module:
    """A loaded linear layer as it multiplies fastest where it lies, in the precision asked for.

    float32, bfloat16: on the CPU packed once, which a compiler would rather do itself. float8: weights in float8 with one
    scale a row; on a GPU that can, the product too.
    """
    if precision == "float8":
        return _to_float8(layer)
    on_cpu = not is_compiled and layer.weight.device.type == "cpu" and torch.backends.mkldnn.is_available()
    return PackedLinear(layer) if on_cpu and can_pack(layer.weight.dtype) else layer


def _to_float8(layer: nn.Linear) -> nn.Module:
    if layer.in_features % FLOAT8_MIN_WIDTH or layer.out_features % FLOAT8_MIN_WIDTH:
        return layer
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            from torchao.quantization import (
                Float8DynamicActivationFloat8WeightConfig,
                Float8WeightOnlyConfig,
                PerRow,
                quantize_,
            )
        except ImportError as exc:
            raise GeneratorError(f"float8 needs the library torchao ({exc}): pip install 'fengmian[float8]'") from exc
        has_product = layer.weight.device.type == "cuda" and torch.cuda.get_device_capability(layer.weight.device) >= (8, 9)
        quantize_(layer, Float8DynamicActivationFloat8WeightConfig(granularity=PerRow(), set_inductor_config=False)
                  if has_product else Float8WeightOnlyConfig(set_inductor_config=False))
    return layer
