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
A yardstick: the arithmetic of one plan at the settings of the method's paper and public code.

Chen et al. (2024) plan with a transformer of 12 layers, width 128, four heads and a feed-forward
width of 512, over 81 tokens of the large maze, in 129 steps of its pyramid schedule; every step is
guided, so that it takes a gradient back through the network. The time does not depend on weights:
random ones will do.
"""

import time

import torch

from df_planner.diffusion.networks import build_denoiser

LAYERS, WIDTH, HEADS, TOKENS, CALLS, NUM_LEVELS = 12, 128, 4, 81, 129, 1000


class AsPublished:
    """
    One plan's worth of calls of a network, each with a backward pass, by torch.

    :param part_sizes: channels of each part of a token.
    """

    def __init__(self, part_sizes: tuple[int, ...], device: str = 'cpu'):
        self._network = build_denoiser('transformer', part_sizes, TOKENS, NUM_LEVELS, WIDTH,
                                       LAYERS, HEADS).eval().requires_grad_(False).to(device)
        self._tokens = torch.randn(1, TOKENS, sum(part_sizes), device=device)
        self._levels = torch.full((1, TOKENS, len(part_sizes)), NUM_LEVELS, device=device)

    def seconds(self) -> float:
        """Return how long it takes."""
        started, x = time.perf_counter(), self._tokens
        for _ in range(CALLS):
            v, pullback = self._network.with_pullback(x, self._levels)
            x = x - (v + pullback(v)) / CALLS
        x.sum().item()  # waits for a GPU
        return time.perf_counter() - started
