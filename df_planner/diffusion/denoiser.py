# Copyright 2026 the df_planner authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""
The denoising network: a transformer that is told the noise level of every part of every token.

A token is split into parts (for a robot: position, velocity, actions). The network sees all tokens
with their levels at once and predicts v for all of them (see ``noise.py``).
"""

import math

import torch
from torch import nn
from torch import Tensor
from torch.nn import functional

LEVEL_FREQUENCIES = 8


class Attention(nn.Module):
    """Multi-head self-attention over the tokens of a trajectory, in both directions."""

    def __init__(self, width: int, num_heads: int):
        """Split ``width`` evenly over ``num_heads``."""
        super().__init__()
        self.num_heads = num_heads
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map (B, T, W) to (B, T, W); mask (B, 1, 1, T) is False on padding."""
        batch, tokens, width = x.shape
        qkv = self.project_in(x).view(batch, tokens, 3, self.num_heads, width // self.num_heads)
        # float32 under autocast too: backwards, the bfloat16 kernel for CPUs is ten times slower.
        query, key, value = qkv.float().permute(2, 0, 3, 1, 4)
        with torch.autocast(x.device.type, enabled=False):
            x = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.project_out(x.transpose(1, 2).reshape(batch, tokens, width))


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width: int, num_heads: int):
        """Use a hidden layer of four times the width, as is usual."""
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = Attention(width, num_heads)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate='tanh'),
                                 nn.Linear(4 * width, width))

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map (B, T, W) to (B, T, W)."""
        x = x + self.attention(self.norm_attention(x), mask)
        return x + self.mlp(self.norm_mlp(x))


class Denoiser(nn.Module):
    """
    Predict v for every token of a noised trajectory.

    Positions are counted from both ends of the trajectory, so the network knows how far the end is
    whatever the horizon.

    :param part_sizes: channels of each part of a token, for example (2, 2, 20).
    :param max_tokens: the longest trajectory.
    :param num_levels: the level of pure noise.
    """

    def __init__(self, part_sizes: tuple[int, ...], max_tokens: int, num_levels: int,
                 width: int = 128, num_layers: int = 6, num_heads: int = 4):
        """Build the network; the output layer starts at zero."""
        super().__init__()
        if width % num_heads:
            raise ValueError(f'width must be a multiple of num_heads, got {width} and {num_heads}')
        self.part_sizes = tuple(part_sizes)
        self.max_tokens = max_tokens
        self.num_levels = num_levels
        channels = sum(part_sizes)
        level_features = 2 * LEVEL_FREQUENCIES * len(part_sizes)
        self.embed = nn.Linear(channels + level_features, width)
        self.from_start = nn.Embedding(max_tokens, width)
        self.from_end = nn.Embedding(max_tokens, width)
        self.blocks = nn.ModuleList(Block(width, num_heads) for _ in range(num_layers))
        self.norm = nn.LayerNorm(width)
        self.read_out = nn.Linear(width, channels)
        for embedding in (self.from_start, self.from_end):
            nn.init.normal_(embedding.weight, std=0.02)
        nn.init.zeros_(self.read_out.weight)
        nn.init.zeros_(self.read_out.bias)
        self.register_buffer('part_of_channel', torch.repeat_interleave(
            torch.arange(len(part_sizes)), torch.tensor(part_sizes)), persistent=False)
        self.register_buffer('frequencies', math.pi / 2 * 2.0 ** torch.arange(
            LEVEL_FREQUENCIES), persistent=False)

    def per_channel(self, levels: Tensor) -> Tensor:
        """Spread levels of parts (B, T, P) over the channels (B, T, C)."""
        return levels[..., self.part_of_channel]

    def forward(self, x: Tensor, levels: Tensor, lengths: Tensor | None = None) -> Tensor:
        """
        Return v (B, T, C).

        :param x: (B, T, C) noised tokens, each part at its level.
        :param levels: (B, T, P) integer levels.
        :param lengths: (B,) tokens that are real; later ones are padding and are not attended to.
            None means all T.
        """
        batch, tokens, _ = x.shape
        index = torch.arange(tokens, device=x.device)
        if lengths is None:
            mask = None
            to_end = (tokens - 1 - index).expand(batch, tokens)
        else:
            mask = (index < lengths[:, None])[:, None, None, :]
            to_end = (lengths[:, None] - 1 - index).clamp(min=0)
        angle = (levels / self.num_levels)[..., None] * self.frequencies
        features = torch.cat([angle.sin(), angle.cos()], dim=-1).flatten(2)
        hidden = (self.embed(torch.cat([x, features], dim=-1))
                  + self.from_start(index) + self.from_end(to_end))
        for block in self.blocks:
            hidden = block(hidden, mask)
        return self.read_out(self.norm(hidden))
