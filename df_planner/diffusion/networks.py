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

"""The networks by name."""

from typing import Literal

from df_planner.diffusion.denoiser import Denoiser
from df_planner.diffusion.recurrent import RecurrentDenoiser
from df_planner.diffusion.transformer import TransformerDenoiser

NetworkName = Literal['transformer', 'causal_transformer', 'gru']


def build_denoiser(network: NetworkName, part_sizes: tuple[int, ...], max_tokens: int,
                   num_levels: int, width: int, num_layers: int, num_heads: int) -> Denoiser:
    """Return an untrained network; a ``gru`` has no use for ``num_heads``."""
    if network == 'gru':
        return RecurrentDenoiser(part_sizes, max_tokens, num_levels, width, num_layers)
    return TransformerDenoiser(part_sizes, max_tokens, num_levels, width, num_layers, num_heads,
                               causal=network == 'causal_transformer')
