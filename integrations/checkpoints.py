"""What goes wrong when the transformers library loads a checkpoint, in one place for every model."""

from typing import Any

from safetensors import SafetensorError

FAILURES = (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, ImportError, SafetensorError)
"""What the libraries raise on missing, damaged or strange checkpoints. Anything else is our own mistake."""


def list_strays(report: dict[str, Any]) -> list[str]:
    """The tensors, by name, that a loading report says are missing or misshapen: they hold random numbers."""
    return sorted({*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])})
