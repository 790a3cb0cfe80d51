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
The networks: a transformer, in both directions or causal, and a recurrent one.

The recurrent one is the small network of the paper (Chen et al., 2024, section 3.2).
"""

from typing import Literal

import torch
from torch import nn
from torch import Tensor
from torch.nn import functional

from df_planner.diffusion.denoiser import Denoiser
from df_planner.diffusion.denoiser import zero_linear

NetworkName = Literal['transformer', 'causal_transformer', 'gru']


class Attention(nn.Module):
    """Multi-head self-attention over the tokens of a trajectory."""

    def __init__(self, width: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.project_in = nn.Linear(width, 3 * width)
        self.project_out = nn.Linear(width, width)

    def forward(self, x: Tensor, batch: int, mask: Tensor | None) -> Tensor:
        """Map (B * T, W) to (B * T, W); mask, of (B, 1, T, T), is False on what is not seen."""
        width = x.shape[-1]
        qkv = self.project_in(x).view(batch, -1, 3 * self.num_heads, width // self.num_heads)
        # float32 under autocast too: backwards, the bfloat16 kernel for CPUs is ten times slower.
        query, key, value = qkv.float().transpose(1, 2).split(self.num_heads, dim=1)
        with torch.autocast(x.device.type, enabled=False):
            x = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.project_out(x.transpose(1, 2).reshape(-1, width))


class Block(nn.Module):
    """A pre-norm transformer block."""

    def __init__(self, width: int, num_heads: int):
        super().__init__()
        self.norm_attention = nn.LayerNorm(width)
        self.attention = Attention(width, num_heads)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate='tanh'),
                                 nn.Linear(4 * width, width))

    def forward(self, x: Tensor, batch: int, mask: Tensor | None) -> Tensor:
        """Map (B * T, W) to (B * T, W)."""
        x = x + self.attention(self.norm_attention(x), batch, mask)
        return x + self.mlp(self.norm_mlp(x))


class TransformerDenoiser(Denoiser):
    """
    Predict v for every token of a noised trajectory.

    In both directions, every token sees all others, and positions are counted from both ends of
    the trajectory, so the network knows how far the end is whatever the horizon. Causal, a token
    sees itself and earlier ones, and its position is counted from the start only.
    """

    def __init__(self, part_sizes: tuple[int, ...], max_tokens: int, num_levels: int,
                 width: int = 128, num_layers: int = 6, num_heads: int = 4, causal: bool = False):
        if width % num_heads:
            raise ValueError(f'width must be a multiple of num_heads, got {width} and {num_heads}')
        super().__init__(part_sizes, max_tokens, num_levels, width)
        self.causal = causal
        self.from_start = nn.Embedding(max_tokens, width)
        if not causal:
            self.from_end = nn.Embedding(max_tokens, width)
        self.blocks = nn.ModuleList(Block(width, num_heads) for _ in range(num_layers))
        self.norm = nn.LayerNorm(width)
        self.read_out = zero_linear(width, sum(part_sizes))
        nn.init.normal_(self.from_start.weight, std=0.02)
        if not causal:
            nn.init.normal_(self.from_end.weight, std=0.02)

    def forward(self, x: Tensor, levels: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return v (B, T, C); see ``Denoiser``."""
        batch, tokens, _ = x.shape
        index = torch.arange(tokens, device=x.device)
        hidden = self.embedded(x, levels) + self.from_start(index)
        if self.causal:
            # Padding comes last, where no real token looks.
            mask = (index <= index[:, None])[None, None]
        elif lengths is None:
            mask = None
            hidden = hidden + self.from_end((tokens - 1 - index).expand(batch, tokens))
        else:
            mask = (index < lengths[:, None])[:, None, None, :]
            hidden = hidden + self.from_end((lengths[:, None] - 1 - index).clamp(min=0))
        hidden = hidden.flatten(0, 1)  # two dimensions: layers that backends fuse with their bias
        for block in self.blocks:
            hidden = block(hidden, batch, mask)
        return self.read_out(self.norm(hidden)).view(x.shape)


class RecurrentDenoiser(Denoiser):
    """
    Predict v of a token from a latent that has seen it and all earlier ones.

    The latent z_t follows from z_{t-1}, the noised token x_t and its levels, and the prediction
    for x_t reads z_t. A clean past makes z_t a filter's posterior; pure noise leaves its prior.
    """

    def __init__(self, part_sizes: tuple[int, ...], max_tokens: int, num_levels: int,
                 width: int = 128, num_layers: int = 1):
        super().__init__(part_sizes, max_tokens, num_levels, width)
        self.gru = nn.GRU(width, width, num_layers, batch_first=True)
        self.hidden = nn.Linear(width, width)
        self.read_out = zero_linear(width, sum(part_sizes))
        self.activation = nn.GELU(approximate='tanh')

    def train(self, mode: bool = True) -> 'RecurrentDenoiser':
        """Leave the GRU as it is: cuDNN gives guidance no gradient in evaluation mode."""
        super().train(mode)
        self.gru.train()
        return self

    def forward(self, x: Tensor, levels: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return v (B, T, C); see ``Denoiser``. Padding comes last, where no latent has been."""
        latent, _ = self.gru(self.embedded(x, levels))
        return self.read_out(self.activation(self.hidden(latent)))


def build_denoiser(network: NetworkName, part_sizes: tuple[int, ...], max_tokens: int,
                   num_levels: int, width: int, num_layers: int, num_heads: int) -> Denoiser:
    """Return an untrained network; a ``gru`` has no use for ``num_heads``."""
    if network == 'gru':
        return RecurrentDenoiser(part_sizes, max_tokens, num_levels, width, num_layers)
    return TransformerDenoiser(part_sizes, max_tokens, num_levels, width, num_layers, num_heads,
                               causal=network == 'causal_transformer')
