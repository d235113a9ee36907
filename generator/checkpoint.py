"""Loading and saving networks in the published layout: config.json beside safetensors, sharded or whole.

One table translates published tensor names into ours. Loading is strict: a missing, spare or misshapen tensor, a
non-finite weight or an unknown setting raises CheckpointError, and nothing half-loaded remains.
"""

import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from generator.config import MiniVAEConfig, MMDiTConfig, QwenVAEConfig
from generator.errors import CheckpointError
from generator.mini_vae import MiniVAE
from generator.mmdit import MMDiT
from generator.packed import pack_linears
from generator.revision import revision as revision
from generator.vae import QwenVAE

WEIGHTS_FILE = "diffusion_pytorch_model.safetensors"
Autoencoder = QwenVAE | MiniVAE
Network = TypeVar("Network", bound=nn.Module)
NameTable = tuple[tuple[str, str | tuple[str, ...]], ...]

TRANSFORMER_NAMES: NameTable = (
    (r"blocks\.(\d+)\.img\.modulation", r"transformer_blocks.\1.img_mod.1"),
    (r"blocks\.(\d+)\.txt\.modulation", r"transformer_blocks.\1.txt_mod.1"),
    (r"blocks\.(\d+)\.img\.qkv", (r"transformer_blocks.\1.attn.to_q", r"transformer_blocks.\1.attn.to_k",
                                  r"transformer_blocks.\1.attn.to_v")),
    (r"blocks\.(\d+)\.txt\.qkv", (r"transformer_blocks.\1.attn.add_q_proj", r"transformer_blocks.\1.attn.add_k_proj",
                                  r"transformer_blocks.\1.attn.add_v_proj")),
    (r"blocks\.(\d+)\.img\.([qk])_norm", r"transformer_blocks.\1.attn.norm_\2"),
    (r"blocks\.(\d+)\.txt\.([qk])_norm", r"transformer_blocks.\1.attn.norm_added_\2"),
    (r"blocks\.(\d+)\.img\.out", r"transformer_blocks.\1.attn.to_out.0"),
    (r"blocks\.(\d+)\.txt\.out", r"transformer_blocks.\1.attn.to_add_out"),
    (r"blocks\.(\d+)\.(img|txt)\.mlp_in", r"transformer_blocks.\1.\2_mlp.net.0.proj"),
    (r"blocks\.(\d+)\.(img|txt)\.mlp_out", r"transformer_blocks.\1.\2_mlp.net.2"),
    (r"time_in", "time_text_embed.timestep_embedder.linear_1"),
    (r"time_out", "time_text_embed.timestep_embedder.linear_2"),
    (r"out_modulation", "norm_out.linear"),
    (r"out", "proj_out"),
    (r"(img_in|txt_norm|txt_in)", r"\1"),
)
"""Our module to the published one; a tuple means that ours is the published ones stacked on the first axis."""

VAE_NAMES: NameTable = (
    (r"quantise", "quant_conv"),
    (r"dequantise", "post_quant_conv"),
    (r"(encoder|decoder)\.middle\.0\.(.+)", r"\1.mid_block.resnets.0.\2"),
    (r"(encoder|decoder)\.middle\.2\.(.+)", r"\1.mid_block.resnets.1.\2"),
    (r"(encoder|decoder)\.middle\.1\.norm", r"\1.mid_block.attentions.0.norm"),
    (r"(encoder|decoder)\.middle\.1\.qkv", r"\1.mid_block.attentions.0.to_qkv"),
    (r"(encoder|decoder)\.middle\.1\.out", r"\1.mid_block.attentions.0.proj"),
    (r"encoder\.down\.(\d+)\.shortcut", r"encoder.down_blocks.\1.conv_shortcut"),
    (r"encoder\.down\.(\d+)\.conv", r"encoder.down_blocks.\1.resample.1"),
    (r"encoder\.down\.(\d+)\.(.+)", r"encoder.down_blocks.\1.\2"),
    (r"decoder\.up\.(\d+)\.(\d+)\.shortcut", r"decoder.up_blocks.\1.resnets.\2.conv_shortcut"),
    (r"decoder\.up\.(\d+)\.\d+\.conv", r"decoder.up_blocks.\1.upsamplers.0.resample.1"),
    (r"decoder\.up\.(\d+)\.(\d+)\.(.+)", r"decoder.up_blocks.\1.resnets.\2.\3"),
    (r"(encoder|decoder)\.(conv_in|norm_out|conv_out)", r"\1.\2"),
)
VAE_UNUSED = re.compile(r"(encoder|decoder)\..*\.time_conv\.(weight|bias)")
"""Published tensors that only act between frames of a film."""


def published_names(name: str, table: NameTable) -> tuple[str, ...]:
    """The published tensor or tensors behind our tensor `name` ("blocks.0.img.qkv.weight")."""
    module, _, leaf = name.rpartition(".")
    for pattern, published in table:
        if match := re.fullmatch(pattern, module):
            many = published if isinstance(published, tuple) else (published,)
            return tuple(f"{match.expand(one)}.{leaf}" for one in many)
    return (name,)


def load_transformer(folder: str | Path, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32) -> MMDiT:
    """The MMDiT in `folder` (config.json and safetensors), for inference: on a CPU its linear layers are packed.

    Raises CheckpointError naming the file and the rule.
    """
    config = _read_config(Path(folder), {"QwenImageTransformer2DModel": MMDiTConfig})
    assert isinstance(config, MMDiTConfig)
    network = _load(Path(folder), lambda: MMDiT(config), TRANSFORMER_NAMES, device, dtype)
    pack_linears(network)
    return network


def load_vae(folder: str | Path, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32) -> Autoencoder:
    """The autoencoder in `folder`; `_class_name` in config.json decides which. Raises CheckpointError."""
    config = _read_config(Path(folder), {"AutoencoderKLQwenImage": QwenVAEConfig, "MiniVAE": MiniVAEConfig})
    if isinstance(config, MiniVAEConfig):
        return _channels_last(_load(Path(folder), lambda: MiniVAE(config), (), device, dtype))
    assert isinstance(config, QwenVAEConfig)
    return _channels_last(_load(Path(folder), lambda: QwenVAE(config), VAE_NAMES, device, dtype, VAE_UNUSED))


def _channels_last(network: Network) -> Network:
    """Kernels in the order in which convolutions on a CPU are fastest."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network


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


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object from `file`. Raises CheckpointError."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{file}: no such file") from None
    except (OSError, ValueError) as exc:
        raise CheckpointError(f"{file}: not readable as JSON: {exc}") from exc
    if not isinstance(content, dict):
        raise CheckpointError(f"{file}: holds {type(content).__name__}, not a JSON object")
    return content


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


def _load(folder: Path, build: Callable[[], Network], table: NameTable, device: str | torch.device, dtype: torch.dtype,
          unused: re.Pattern[str] | None = None) -> Network:
    try:
        with torch.device("meta"):
            network = build()
    except (ValueError, RuntimeError, TypeError) as exc:
        raise CheckpointError(f"{folder / 'config.json'}: these sizes make no network: {exc}") from exc
    spare = dict(_open_shards(folder))
    state = {}
    for name, wanted in network.state_dict().items():
        parts = []
        for published in published_names(name, table):
            if published not in spare:
                raise CheckpointError(f"{folder}: tensor {published} is missing")
            parts.append(_fold(spare.pop(published)(), wanted).to(device=device, dtype=dtype))
        tensor = parts[0] if len(parts) == 1 else torch.cat(parts)
        if tensor.shape != wanted.shape:
            raise CheckpointError(f"{folder}: tensor {published} is {list(tensor.shape)}; "
                                  f"config.json asks for {list(wanted.shape)}")
        if not bool(torch.isfinite(tensor).all()):
            raise CheckpointError(f"{folder}: tensor {published} holds values that are not finite")
        state[name] = tensor
    left = [name for name in spare if unused is None or not unused.fullmatch(name)]
    if left:
        raise CheckpointError(f"{folder}: {len(left)} tensors that this network does not have, {left[0]} first")
    network.load_state_dict(state, assign=True)
    return network.eval().requires_grad_(False)


def _fold(tensor: Tensor, wanted: Tensor) -> Tensor:
    """A 3D causal kernel as the 2D kernel that one frame sees; a norm's weights without their empty axes."""
    if tensor.ndim == 5 and wanted.ndim == 4:
        return tensor[:, :, -1]
    if tensor.ndim > 1 and wanted.ndim == 1 and tensor.numel() == tensor.shape[0]:
        return tensor.flatten()
    return tensor


def _open_shards(folder: Path) -> Iterator[tuple[str, Callable[[], Tensor]]]:
    """(published name, loader) of every tensor in the folder's safetensors, following an index if there is one."""
    index_files = sorted(folder.glob("*.safetensors.index.json"))
    if index_files:
        listed = read_json(index_files[0]).get("weight_map")
        if not isinstance(listed, dict):
            raise CheckpointError(f"{index_files[0]}: weight_map is missing")
        names = sorted({str(file) for file in listed.values()})
        if any(Path(name).name != name for name in names):
            raise CheckpointError(f"{index_files[0]}: names a file outside its folder")
    else:
        listed, names = None, [file.name for file in sorted(folder.glob("*.safetensors"))]
    if not names:
        pickles = [file.name for file in folder.glob("*") if file.suffix in {".bin", ".pt", ".pth", ".ckpt"}]
        hint = f"; {pickles[0]} is a pickle, and pickles can run code: convert it to safetensors" if pickles else ""
        raise CheckpointError(f"{folder}: no .safetensors file{hint}")
    found: dict[str, str] = {}
    for name in names:
        for tensor in _tensor_names(folder / name):
            if tensor in found:
                raise CheckpointError(f"{folder / name}: tensor {tensor} is also in {found[tensor]}")
            found[tensor] = name
    if listed is not None and listed != found:
        odd = sorted(set(listed.items()) ^ set(found.items()))[0]
        raise CheckpointError(f"{index_files[0]}: tensor {odd[0]} is not where the index says ({odd[1]})")
    for tensor, name in found.items():
        yield tensor, _reader(folder / name, tensor)


def _tensor_names(file: Path) -> list[str]:
    try:
        with safe_open(file, framework="pt") as shard:
            return list(shard.keys())
    except FileNotFoundError:
        raise CheckpointError(f"{file}: the index names this shard, but it is not there") from None
    except (SafetensorError, OSError) as exc:
        raise CheckpointError(f"{file}: damaged or not a safetensors file: {exc}") from exc


def _reader(file: Path, name: str) -> Callable[[], Tensor]:
    def read() -> Tensor:
        with safe_open(file, framework="pt") as shard:
            tensor: Tensor = shard.get_tensor(name)
            return tensor
    return read
