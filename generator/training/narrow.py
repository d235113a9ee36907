"""Narrow: training in bfloat16 where the machine multiplies in it; elsewhere it would be several times slower than float32."""

from functools import cache

import torch

MULTIPLIES = ("avx512_bf16", "amx_bf16", "bf16")
"""What processors call it that can: the first two of x86, the last of ARM."""


@cache
def has_bfloat16() -> bool:
    """Whether this processor multiplies in bfloat16."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name) for name in MULTIPLIES)


def narrow(device: str = "cpu") -> torch.autocast:
    """A context in which matrices are multiplied in bfloat16, if that is the faster."""
    return torch.autocast(device, torch.bfloat16, enabled=device != "cpu" or has_bfloat16())
