"""Loading and saving networks in the published layout: config.json beside safetensors, sharded or whole.

Loading is strict: a missing, spare or misshapen tensor, a non-finite weight or an unknown setting raises CheckpointError,
and nothing half-loaded remains. Each tensor goes from its file straight to its device and precision, one layer after
another, so that no two copies of a network ever exist.
"""

import dataclasses
import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from generator.config import MiniVAEConfig, MMDiTConfig, QwenVAEConfig
from generator.errors import CheckpointError
from generator.lora import Lora, check_fit, merge_into
from generator.mini_vae import MiniVAE
from generator.mmdit import MMDiT
from generator.names import TRANSFORMER_NAMES, VAE_NAMES, VAE_UNUSED, NameTable, published_names
from generator.options import Precision
from generator.precision import base_dtype, finish_linear
from generator.shards import Shards, read_json
from generator.vae import QwenVAE

WEIGHTS_FILE = "diffusion_pytorch_model.safetensors"
Autoencoder = QwenVAE | MiniVAE
Network = TypeVar("Network", bound=nn.Module)


def load_transformer(folder: str | Path, device: str | torch.device = "cpu", precision: Precision = "float32",
                     merge: Sequence[Lora] = (), *, is_compiled: bool = False) -> MMDiT:
    """The MMDiT in `folder` (config.json and safetensors), for inference, with the LoRAs `merge` in its weights.

    is_compiled: whether the caller means to compile it. Raises CheckpointError naming the file and the rule.
    """
    folder = Path(folder)
    config = read_transformer_config(folder)
    shards = Shards.in_folder(folder)
    for lora in merge:
        check_fit(lora, shards.shapes)

    def finish(layer: nn.Module) -> nn.Module:
        return finish_linear(layer, precision, is_compiled=is_compiled) if isinstance(layer, nn.Linear) else layer

    return load_network(folder, lambda: MMDiT(config), shards, TRANSFORMER_NAMES, device=device, dtype=base_dtype(precision),
                        adjust=lambda tensor, name: merge_into(tensor, name, merge), finish=finish)


def read_transformer_config(folder: Path) -> MMDiTConfig:
    """The sizes of the MMDiT in `folder`. Raises CheckpointError."""
    config = _read_config(folder, {"QwenImageTransformer2DModel": MMDiTConfig})
    assert isinstance(config, MMDiTConfig)
    return config


def read_vae_config(folder: Path) -> QwenVAEConfig | MiniVAEConfig:
    """The sizes of the autoencoder in `folder`. Raises CheckpointError."""
    config = _read_config(folder, {"AutoencoderKLQwenImage": QwenVAEConfig, "MiniVAE": MiniVAEConfig})
    assert isinstance(config, QwenVAEConfig | MiniVAEConfig)
    return config


def load_vae(folder: str | Path, device: str | torch.device = "cpu", precision: Precision = "float32") -> Autoencoder:
    """The autoencoder in `folder`; `_class_name` in config.json decides which. Raises CheckpointError.

    Its convolutions are computed in bfloat16 where the precision is float8.
    """
    folder = Path(folder)
    config = read_vae_config(folder)
    is_mini = isinstance(config, MiniVAEConfig)

    def build() -> Autoencoder:
        return MiniVAE(config) if isinstance(config, MiniVAEConfig) else QwenVAE(config)

    return load_network(folder, build, Shards.in_folder(folder), () if is_mini else VAE_NAMES,
                        unused=None if is_mini else VAE_UNUSED, device=device, dtype=base_dtype(precision),
                        finish=_channels_last)


def _channels_last(layer: nn.Module) -> nn.Module:
    """Kernels in the order in which convolutions are fastest."""
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
    return layer


def save_transformer(network: MMDiT, folder: str | Path, dtype: torch.dtype = torch.float32) -> None:
    """Write `network` in the published layout."""
    tensors = {}
    for name, tensor in network.state_dict().items():
        names = published_names(name, TRANSFORMER_NAMES)
        whole = tensor.to_dense() if tensor.is_mkldnn else tensor
        for published, part in zip(names, whole.chunk(len(names)), strict=True):
            tensors[published] = part.to(dtype).contiguous()
    save_network(tensors, {"_class_name": "QwenImageTransformer2DModel", **dataclasses.asdict(network.config)}, Path(folder))


def save_network(tensors: dict[str, Tensor], config: dict[str, Any], folder: Path) -> None:
    """Write config.json and one safetensors file into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    config.pop("theta", None)
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


IGNORED_SETTINGS = {"guidance_embeds", "zero_cond_t", "use_additional_t_cond", "use_layer3d_rope", "attn_scales",
                    "temperal_downsample", "dropout", "pooled_projection_dim"}
"""Published settings with a single supported value; checked below."""


def _read_config(folder: Path, classes: dict[str, type[Any]]) -> MMDiTConfig | QwenVAEConfig | MiniVAEConfig:
    file = folder / "config.json"
    content = read_json(file)
    name = content.get("_class_name")
    if name not in classes:
        raise CheckpointError(f"{file}: _class_name is {name!r}; expected {' or '.join(sorted(classes))}")
    known = {field.name for field in dataclasses.fields(classes[name])}
    values: dict[str, Any] = {}
    for key, value in content.items():
        if key in known:
            if isinstance(value, str) or value is None:
                raise CheckpointError(f"{file}: {key} is {value!r}, which is no number")
            values[key] = tuple(value) if isinstance(value, list) else value
        elif key in IGNORED_SETTINGS:
            if key not in {"temperal_downsample", "pooled_projection_dim"} and value:
                raise CheckpointError(f"{file}: {key} is {value!r}; this network is only known without it")
        elif not key.startswith("_"):
            raise CheckpointError(f"{file}: unknown setting {key!r}")
    try:
        config: MMDiTConfig | QwenVAEConfig | MiniVAEConfig = classes[name](**values)
    except (TypeError, ValueError) as exc:
        raise CheckpointError(f"{file}: {exc}") from exc
    return config


def load_network(folder: Path, build: Callable[[], Network], shards: Shards, table: NameTable, *, device: str | torch.device,
                 dtype: torch.dtype, unused: re.Pattern[str] | None = None,
                 adjust: Callable[[Tensor, str], Tensor] = lambda tensor, name: tensor,
                 finish: Callable[[nn.Module], nn.Module] = lambda layer: layer) -> Network:
    """The network that `build` makes, filled from `shards`, for inference.

    adjust(tensor, published name): what becomes of each tensor. finish(layer): what takes the place of each layer once it is
    filled. Names and shapes are checked before the first weight is read. Raises CheckpointError.
    """
    try:
        with torch.device("meta"):
            network = build()
    except (ValueError, RuntimeError, TypeError) as exc:
        raise CheckpointError(f"{folder / 'config.json'}: these sizes make no network: {exc}") from exc
    wanted = network.state_dict()
    sources = {name: published_names(name, table) for name in wanted}
    _check_names(folder, wanted, sources, shards, unused)
    for name in [name for name, _ in network.named_modules()]:  # names only: a list of layers would keep what is replaced
        layer = network.get_submodule(name)
        held = [leaf for leaf, parameter in layer.named_parameters(recurse=False)]
        for leaf in held:
            full = f"{name}.{leaf}" if name else leaf
            parts = [_read(folder, shards, published, wanted[full], device, dtype, adjust) for published in sources[full]]
            whole = parts[0] if len(parts) == 1 else torch.cat(parts)
            setattr(layer, leaf, nn.Parameter(whole, requires_grad=False))
        finished = finish(layer) if held else layer
        for leaf in held:
            _own(finished, leaf)
        if finished is not layer:
            parent, _, leaf = name.rpartition(".")
            setattr(network.get_submodule(parent), leaf, finished)
    return network.eval()


def _own(layer: nn.Module, leaf: str) -> None:
    """Let go of the file that a weight may still lie in. What was packed, or made narrower, has let go by itself."""
    weight = getattr(layer, leaf)
    if type(weight) is nn.Parameter and not weight.is_mkldnn and weight.device.type == "cpu":
        weight.data = weight.data.clone(memory_format=torch.preserve_format)


def _check_names(folder: Path, wanted: dict[str, Tensor], sources: dict[str, tuple[str, ...]], shards: Shards,
                 unused: re.Pattern[str] | None) -> None:
    """Raise CheckpointError unless the files hold exactly the tensors of the network, in their shapes."""
    spare = dict(shards.shapes)
    for name, tensor in wanted.items():
        shapes = []
        for published in sources[name]:
            if published not in spare:
                raise CheckpointError(f"{folder}: tensor {published} is missing")
            shapes.append(_folded(spare.pop(published), tensor.ndim))
        whole = (sum(shape[0] for shape in shapes if shape), *shapes[0][1:]) if len(shapes) > 1 else shapes[0]
        if whole != tuple(tensor.shape) or any(shape[:1] != shapes[0][:1] for shape in shapes):
            raise CheckpointError(f"{folder}: tensor {sources[name][-1]} is {list(shapes[-1])}; "
                                  f"config.json asks for {list(tensor.shape)}"
                                  + (f" from {len(shapes)} such tensors" if len(shapes) > 1 else ""))
    left = [name for name in spare if unused is None or not unused.fullmatch(name)]
    if left:
        raise CheckpointError(f"{folder}: {len(left)} tensors that this network does not have, {left[0]} first")


def _read(folder: Path, shards: Shards, published: str, wanted: Tensor, device: str | torch.device, dtype: torch.dtype,
          adjust: Callable[[Tensor, str], Tensor]) -> Tensor:
    raw = shards.read(published)
    tensor = adjust(raw[:, :, -1] if raw.ndim == 5 and wanted.ndim == 4 else raw, published)
    tensor = tensor.reshape(_folded(tuple(tensor.shape), wanted.ndim)).to(device=device, dtype=dtype)
    if tensor.numel() and not all(map(math.isfinite, torch.aminmax(tensor))):  # NaN comes through; fifty times isfinite's speed
        raise CheckpointError(f"{folder}: tensor {published} holds values that are not finite")
    return tensor


def _folded(shape: tuple[int, ...], axes: int) -> tuple[int, ...]:
    """The shape in which we keep it: a 3D causal kernel as the 2D kernel that one frame sees; a norm's weights without
    their empty axes.
    """
    if len(shape) == 5 and axes == 4:
        return (*shape[:2], *shape[3:])
    if len(shape) > 1 and axes == 1 and all(side == 1 for side in shape[1:]):
        return shape[:1]
    return shape
