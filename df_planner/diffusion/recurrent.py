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

"""The small recurrent network of the paper (Chen et al., 2024, section 3.2)."""

from torch import nn
from torch import Tensor

from df_planner.diffusion.denoiser import Denoiser
from df_planner.diffusion.denoiser import zero_linear


class RecurrentDenoiser(Denoiser):
    """
    Predict v of a token from a latent that has seen it and all earlier ones.

    The latent z_t follows from z_{t-1}, the noised token x_t and its levels, and the prediction
    for x_t reads z_t. A clean past makes z_t a filter's posterior; pure noise leaves its prior.
    """

    def __init__(self, part_sizes: tuple[int, ...], max_tokens: int, num_levels: int,
                 width: int = 128, num_layers: int = 1):
        """Build the network; the output layer starts at zero."""
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
