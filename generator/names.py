"""The one table from our tensor names to the published ones."""

import re

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
    (r"pooled_in", "time_text_embed.text_embedder.linear_1"),
    (r"pooled_out", "time_text_embed.text_embedder.linear_2"),
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
