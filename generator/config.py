"""One frozen config per network. QWEN_IMAGE, MINI (the bundled model) and TINY (tests) are values of one class."""

from dataclasses import dataclass

from generator.scene_code import SHOWN_ROWS


@dataclass(frozen=True, kw_only=True)
class MMDiTConfig:
    """A dual-stream MMDiT. Field names are those of the published config.json (diffusers QwenImageTransformer2DModel).

    in_channels: latent channels x 2 x 2 (one token is a 2x2 patch). joint_attention_dim: width of the text states.
    pooled_projection_dim: width of their sum where that modulates every layer beside the noise level (as in SD3, Esser et al.
    2024); 0: it does not, as in Qwen-Image. shown_rows, shown_ranks: sizes of the tables of what an image token shows
    (generator.prior); empty: there are none.
    Raises ValueError naming the field and the rule.
    """

    num_layers: int
    attention_head_dim: int
    num_attention_heads: int
    in_channels: int
    out_channels: int
    joint_attention_dim: int
    axes_dims_rope: tuple[int, int, int]
    patch_size: int = 2
    theta: float = 10000.0
    pooled_projection_dim: int = 0
    shown_rows: tuple[int, ...] = ()
    shown_ranks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.patch_size != 2:
            raise ValueError(f"patch_size is {self.patch_size}; this network has patches of 2x2")
        if sum(self.axes_dims_rope) != self.attention_head_dim:
            raise ValueError(f"axes_dims_rope {self.axes_dims_rope} must add up to attention_head_dim {self.attention_head_dim}")
        if any(axis % 2 for axis in self.axes_dims_rope):
            raise ValueError(f"axes_dims_rope {self.axes_dims_rope} must be even: rope turns pairs")
        if self.in_channels != self.out_channels * 4:
            raise ValueError(f"in_channels {self.in_channels} must be 4 x out_channels {self.out_channels}")
        if self.pooled_projection_dim not in (0, self.joint_attention_dim):
            raise ValueError(f"pooled_projection_dim {self.pooled_projection_dim} must be 0 or joint_attention_dim "
                             f"{self.joint_attention_dim}")
        if self.shown_rows and not self.pooled_projection_dim:
            raise ValueError(f"shown_rows {self.shown_rows} need pooled_projection_dim, with which they are multiplied")
        if len(self.shown_rows) != len(self.shown_ranks) or min((*self.shown_rows, *self.shown_ranks), default=1) < 1:
            raise ValueError(f"shown_rows {self.shown_rows} and shown_ranks {self.shown_ranks} must be as many, and at least 1")
        for name in ("num_layers", "num_attention_heads", "joint_attention_dim", "out_channels"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")

    @property
    def width(self) -> int:
        """Width of both streams."""
        return self.attention_head_dim * self.num_attention_heads


QWEN_IMAGE = MMDiTConfig(num_layers=60, attention_head_dim=128, num_attention_heads=24, in_channels=64, out_channels=16,
                         joint_attention_dim=3584, axes_dims_rope=(16, 56, 56))
MINI = MMDiTConfig(num_layers=3, attention_head_dim=64, num_attention_heads=4, in_channels=128, out_channels=32,
                   joint_attention_dim=256, axes_dims_rope=(16, 24, 24), pooled_projection_dim=256, shown_rows=SHOWN_ROWS,
                   shown_ranks=(32, 128, 640))
TINY = MMDiTConfig(num_layers=2, attention_head_dim=16, num_attention_heads=2, in_channels=16, out_channels=4,
                   joint_attention_dim=12, axes_dims_rope=(4, 6, 6))


@dataclass(frozen=True, kw_only=True)
class MiniVAEConfig:
    """The bundled autoencoder: 32x smaller, no normalisation layers. latents_mean, latents_std: one value a channel.

    smooth_levels: deviation of ripples taken away after decoding, of 255; 0: neither ripples nor seams are.
    """

    latent_channels: int = 32
    widths: tuple[int, ...] = (64, 96, 128, 192)
    encoder_blocks: int = 1
    decoder_blocks: int = 2
    latents_mean: tuple[float, ...] = ()
    latents_std: tuple[float, ...] = ()
    smooth_levels: float = 0

    @property
    def spatial_factor(self) -> int:
        """Pixels per latent position, along one side."""
        return int(4 * 2 ** (len(self.widths) - 1))

    @property
    def full_size_width(self) -> int:
        """Values a pixel in the decoder's largest map, which has a sixteenth of the pixels."""
        return max(1, self.widths[0] // 16)


@dataclass(frozen=True, kw_only=True)
class QwenVAEConfig:
    """The published Qwen-Image autoencoder (config.json of diffusers AutoencoderKLQwenImage)."""

    base_dim: int = 96
    z_dim: int = 16
    dim_mult: tuple[int, ...] = (1, 2, 4, 4)
    num_res_blocks: int = 2
    input_channels: int = 3
    latents_mean: tuple[float, ...] = ()
    latents_std: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for name in ("latents_mean", "latents_std"):
            if len(getattr(self, name)) != self.z_dim:
                raise ValueError(f"{name} has {len(getattr(self, name))} values; z_dim is {self.z_dim}")
            if not all(isinstance(value, int | float) for value in getattr(self, name)):
                raise ValueError(f"{name} must be numbers")
        if min(self.latents_std) <= 0:
            raise ValueError(f"latents_std has {min(self.latents_std)}; each must be above 0")

    @property
    def spatial_factor(self) -> int:
        """Pixels per latent position, along one side."""
        return int(2 ** (len(self.dim_mult) - 1))

    @property
    def full_size_width(self) -> int:
        """Values a pixel in the decoder's largest map."""
        return 2 * self.base_dim
