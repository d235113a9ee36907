"""MiniTextEncoder: the bundled model's reader of prompts. Chinese characters, English word pieces, hex colours, and the words
that its lexicon knows.

It decides what a prompt asks for, one state for each thing (the motif, the place, each of five colours ...), and says it in
the code of generator.scene_code, which the diffusion transformer is trained on.
"""

import dataclasses
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from generator.errors import CheckpointError
from generator.lexicon import LEXICON_FILE, Lexicon, load_lexicon
from generator.scene_code import CHOICES, STATES, code_scenes

HEX_TOKEN = "[HEX]"
MAX_COLOURS = 7
SAME_COLOUR = 0.25
"""RGB distance (0..1 a channel) within which a colour that was read is taken to be the nearest one that the prompt spells out."""
NEIGHBOURS = 7
"""Tokens that a token sees directly: enough to bind "left" to "subject" rather than to "quiet area"."""
HEX_COLOUR = re.compile(r"#([0-9A-Fa-f]{2})([0-9A-Fa-f]{2})([0-9A-Fa-f]{2})(?![0-9A-Fa-f])")
TOKENIZER_FILE = "tokenizer.json"


@dataclass(frozen=True, kw_only=True)
class TextEncoderConfig:
    """Sizes of the text encoder."""

    vocabulary: int
    width: int = 192
    heads: int = 4
    layers: int = 3
    max_tokens: int = 320


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """Prompts as the encoder takes them. ids, mask: [B, T]. colours: [B, T, 3] in 0..1, at hex tokens. order: [B, T], the
    number of a hex token among its prompt's, from 1; 0 elsewhere. known: [B, T], the motif that the lexicon has for the word
    that a token belongs to, from 1; 0: none.
    """

    ids: Tensor
    mask: Tensor
    colours: Tensor
    order: Tensor
    known: Tensor


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What prompts ask for, before it is decided. choices: logits [B, count + 1] of each choice, the last one for not said.
    colours: [B, 5, 3] in 0..1; said: [B, 5], logits that the colour is asked for.
    """

    choices: tuple[Tensor, ...]
    colours: Tensor
    said: Tensor


def split_colours(text: str) -> tuple[str, list[tuple[float, float, float]]]:
    """The text with a marker for each hex colour, and the colours (r, g, b in 0..1) in order."""
    colours: list[tuple[float, float, float]] = []

    def mark(match: re.Match[str]) -> str:
        red, green, blue = (int(part, 16) / 255 for part in match.groups())
        colours.append((red, green, blue))
        return f" {HEX_TOKEN} "

    return HEX_COLOUR.sub(mark, text.replace(HEX_TOKEN, " ")), colours


class EncoderLayer(nn.Module):
    """Pre-norm self-attention and MLP."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp_in, self.mlp_out = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x [B, T, D]; mask [B, 1, 1, T] bool, True for real tokens."""
        q, k, v = self.qkv(self.attention_norm(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2))
        out: Tensor = x + self.mlp_out(F.gelu(self.mlp_in(self.mlp_norm(x))))
        return out


class MiniTextEncoder(nn.Module):
    """Token ids to a reading. Learned queries, one for each thing to be read, stand before the text."""

    def __init__(self, config: TextEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.vocabulary, config.width)
        self.colour_in = nn.Linear(3, config.width)
        self.order_embed = nn.Embedding(MAX_COLOURS + 1, config.width)
        self.known_embed = nn.Embedding(CHOICES[0][1] + 1, config.width, padding_idx=0)
        self.neighbours = nn.Conv1d(config.width, config.width, NEIGHBOURS, padding=NEIGHBOURS // 2, groups=config.width,
                                    bias=False)
        nn.init.zeros_(self.neighbours.weight)
        for table in (self.embed, self.order_embed):  # small, so that training decides what a word means
            nn.init.normal_(table.weight, std=0.1)
        nn.init.normal_(self.known_embed.weight[1:], std=0.3)
        self.positions = nn.Parameter(torch.randn(config.max_tokens, config.width) * 0.02)
        self.queries = nn.Parameter(torch.randn(STATES, config.width) * 0.2)
        self.layers = nn.ModuleList(EncoderLayer(config.width, config.heads) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.choices = nn.ModuleList(nn.Linear(config.width, count + 1) for _, count in CHOICES)
        self.colour = nn.Linear(config.width, 4)

    def forward(self, tokens: Tokens) -> Reading:
        """The reading of tokens [B, T]."""
        states = self.look(tokens)
        colours = self.colour(states[:, len(CHOICES):])
        return Reading(choices=tuple(head(states[:, row]) for row, head in enumerate(self.choices)),
                       colours=colours[..., :3], said=colours[..., 3])

    def look(self, tokens: Tokens) -> Tensor:
        """The queries [B, S, D] after they have seen the tokens."""
        colours = self.colour_in(tokens.colours * 2 - 1) + self.order_embed(tokens.order)
        text = self.embed(tokens.ids) + self.known_embed(tokens.known) + self.positions[: tokens.ids.shape[1]]
        text = torch.where((tokens.order > 0)[..., None], text + colours, text)
        text = text * tokens.mask[..., None]
        text = text + self.neighbours(text.transpose(1, 2)).transpose(1, 2)
        x = torch.cat([self.queries.expand(len(text), -1, -1), text], dim=1)               # [B, S+T, D]
        seen = F.pad(tokens.mask, (len(self.queries), 0), value=True)[:, None, None]
        for layer in self.layers:
            x = layer(x, seen)
        states: Tensor = self.norm(x[:, :len(self.queries)])
        return states


class PromptReader:
    """Tokenizer, lexicon and encoder together: prompts in, states out."""

    def __init__(self, tokenizer: Tokenizer, encoder: MiniTextEncoder, lexicon: Lexicon) -> None:
        self.tokenizer, self.encoder, self.lexicon = tokenizer, encoder, lexicon
        marker = tokenizer.token_to_id(HEX_TOKEN)
        if marker is None:
            raise ValueError(f"the tokenizer has no token {HEX_TOKEN}, which stands for colours")
        self.marker = marker

    def tokenize(self, prompts: list[str]) -> Tokens:
        """Padded tokens of `prompts`, each cut at the encoder's longest text."""
        marked = [split_colours(prompt) for prompt in prompts]
        encoded = self.tokenizer.encode_batch([text for text, _ in marked])
        rows = [row.ids[: self.encoder.config.max_tokens] or [0] for row in encoded]
        longest = max(map(len, rows))
        ids = torch.tensor([row + [0] * (longest - len(row)) for row in rows])
        mask = torch.arange(longest)[None] < torch.tensor([len(row) for row in rows])[:, None]
        is_hex = ids.eq(self.marker)
        order = (is_hex.cumsum(1) * is_hex).clamp_max(MAX_COLOURS)
        colours = torch.zeros(*ids.shape, 3)
        for row, (_, found) in enumerate(marked):
            places = is_hex[row].nonzero().flatten()
            if found and len(places):
                colours[row, places] = torch.tensor(found[: len(places)])
        known = torch.tensor([self._look_up(text, row.offsets, longest) for (text, _), row in zip(marked, encoded, strict=True)])
        return Tokens(ids=ids, mask=mask, colours=colours, order=order, known=known * ~is_hex)

    def _look_up(self, text: str, offsets: Sequence[tuple[int, int]], longest: int) -> list[int]:
        """For each of the first `longest` tokens, given by its characters in `text`, its word's motif, from 1; 0: none."""
        numbers = [0] * len(text)
        for word in self.lexicon.find(text):
            numbers[word.start:word.end] = [word.motif + 1] * (word.end - word.start)
        known = [numbers[start] if start < end else 0 for start, end in offsets[:longest]]
        return known + [0] * (longest - len(known))

    def read(self, prompts: list[str]) -> list[Tensor]:
        """States [12, 256] of each prompt, in the encoder's dtype. One after another: the same prompt, the same bits."""
        return [self.read_batch([prompt])[0] for prompt in prompts]

    def read_batch(self, prompts: list[str]) -> Tensor:
        """States [B, 12, 256] in the encoder's dtype."""
        choices, colours, said = self.decide(prompts)
        return code_scenes(choices, colours, said).to(self.encoder.positions)

    def decide(self, prompts: list[str]) -> tuple[Tensor, Tensor, Tensor]:
        """What prompts ask for: class numbers [B, 7], colours [B, 5, 3] in 0..1, and which of them are asked for, [B, 5] bool.

        A colour that the prompt spells out is taken exactly.
        """
        tokens = self.tokenize(prompts)
        reading = self.weigh(tokens)
        colours = reading.colours.float().clamp(0, 1)
        spelled = tokens.colours.to(colours)
        apart = torch.cdist(colours, spelled)                                              # [B, 5, T]
        apart = apart.masked_fill(tokens.order.to(colours.device)[:, None] == 0, torch.inf)
        distance, nearest = apart.min(dim=2)
        exact = spelled.gather(1, nearest[..., None].expand(-1, -1, 3))
        colours = torch.where((distance < SAME_COLOUR)[..., None], exact, colours)
        chosen = torch.stack([logits.argmax(dim=1) for logits in reading.choices], dim=1)
        return chosen, colours, reading.said > 0

    def weigh(self, tokens: Tokens) -> Reading:
        """The encoder's reading of tokens, wherever the encoder is."""
        reading: Reading = self.encoder(self._there(tokens))
        return reading

    def _there(self, tokens: Tokens) -> Tokens:
        weights = self.encoder.positions
        device = weights.device
        return Tokens(ids=tokens.ids.to(device), mask=tokens.mask.to(device), colours=tokens.colours.to(weights),
                      order=tokens.order.to(device), known=tokens.known.to(device))


def load_prompt_reader(folder: str | Path, device: str | torch.device = "cpu",
                       dtype: torch.dtype = torch.float32) -> PromptReader:
    """The bundled text encoder in `folder`. Raises CheckpointError naming the file and the rule."""
    folder = Path(folder)
    try:
        content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        known = {field.name for field in dataclasses.fields(TextEncoderConfig)}
        config = TextEncoderConfig(**{key: value for key, value in content.items() if key in known})
        with torch.device("meta"):
            encoder = MiniTextEncoder(config)
        state = {name: tensor.to(device=device, dtype=dtype) for name, tensor in load_file(folder / "model.safetensors").items()}
        encoder.load_state_dict(state, assign=True)
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
        lexicon, most = load_lexicon(folder), CHOICES[0][1]
        if len(lexicon.words) > most:
            raise ValueError(f"{LEXICON_FILE} has {len(lexicon.words)} motifs; at most {most} are allowed")
        return PromptReader(tokenizer, encoder.eval().requires_grad_(False), lexicon)
    except CheckpointError:
        raise
    except Exception as exc:  # tokenizers raises bare Exception
        raise CheckpointError(f"{folder}: not a text encoder of this kind: {exc}") from exc
