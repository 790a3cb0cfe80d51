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
A network on a GPU, recorded once and replayed: one launch instead of some two hundred.

The candidates of a plan are few, and a GPU is done with a layer before Python has launched the
next. A CUDA graph launches them all at once.
"""

from collections.abc import Callable
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional

from df_planner.diffusion.denoiser import Denoiser
from df_planner.diffusion.denoiser import Pullback

WARM_UP_CALLS = 3  # before recording, so that libraries have their workspaces


class CudaGraphDenoiser:
    """
    A network replayed from CUDA graphs, to be called like the one it was made from.

    A graph has one shape. Trajectories are padded to the longest and batches to the next power of
    two, which costs a GPU next to nothing, so that few shapes are met.

    :param denoiser: on a CUDA device, in evaluation mode.
    """

    def __init__(self, denoiser: Denoiser):
        self.part_sizes = denoiser.part_sizes
        self.max_tokens = denoiser.max_tokens
        self.per_channel = denoiser.per_channel
        self._denoiser = denoiser
        self._pool = torch.cuda.graph_pool_handle()
        self._graphs: dict[tuple[Callable[..., Tensor], int], _Graph] = {}

    def __reduce__(self) -> tuple:
        """Copy and pickle the network; the copy records it again."""
        return type(self), (self._denoiser,)

    def __call__(self, x: Tensor, levels: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return v (B, T, C); see ``Denoiser``."""
        return self._replayed(_forward, x, levels, lengths)

    def with_pullback(self, x: Tensor, levels: Tensor, lengths: Tensor | None = None
                      ) -> tuple[Tensor, Pullback]:
        """Return v and its pullback, which computes v again; see ``Denoiser``."""
        return (self(x, levels, lengths),
                lambda gradient: self._replayed(_pull_back, x, levels, lengths, gradient))

    def prepare(self, batch_sizes: Iterable[int]) -> None:
        """Record for batches of up to the largest of these sizes now, not when first met."""
        for batch in {_padded(size) for size in range(1, max(batch_sizes) + 1)}:
            x = self._zeros(batch, sum(self.part_sizes))
            levels = self._zeros(batch, len(self.part_sizes)).long()
            self.with_pullback(x, levels)[1](x)

    def _zeros(self, batch: int, channels: int) -> Tensor:
        device = self._denoiser.embed.weight.device
        return torch.zeros(batch, self.max_tokens, channels, device=device)

    def _replayed(self, function: Callable[..., Tensor], x: Tensor, levels: Tensor,
                  lengths: Tensor | None, *others: Tensor) -> Tensor:
        """Return what the function gives for the network and these inputs."""
        batch, num_tokens, _ = x.shape
        if lengths is None:
            lengths = torch.full((batch,), num_tokens, device=x.device)
        more, longer = _padded(batch) - batch, self.max_tokens - num_tokens
        inputs = [functional.pad(tensor, (0, 0, 0, longer, 0, more))
                  for tensor in (x, levels, *others)]
        inputs.insert(2, functional.pad(lengths, (0, more), value=1))
        key = function, batch + more
        if key not in self._graphs:
            self._graphs[key] = _Graph(lambda *given: function(self._denoiser, *given), inputs,
                                       self._pool)
        return self._graphs[key](inputs)[:batch, :num_tokens].clone()


class _Graph:
    """
    A function of tensors of fixed shape.

    :param pool: memory shared with other graphs: a replay may overwrite their outputs.
    """

    def __init__(self, function: Callable[..., Tensor], inputs: list[Tensor], pool: object):
        with torch.inference_mode(False), torch.no_grad():
            self._inputs = [tensor.clone() for tensor in inputs]
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(WARM_UP_CALLS):
                    function(*self._inputs)
            torch.cuda.current_stream().wait_stream(stream)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, pool):
                self._output = function(*self._inputs)

    def __call__(self, inputs: list[Tensor]) -> Tensor:
        """Return the function of these inputs, valid until the next replay."""
        for mine, given in zip(self._inputs, inputs):
            mine.copy_(given)
        self._graph.replay()
        return self._output


def _padded(batch: int) -> int:
    """Return the next power of two."""
    return 1 << (batch - 1).bit_length()


def _forward(denoiser: Denoiser, x: Tensor, levels: Tensor, lengths: Tensor) -> Tensor:
    return denoiser(x, levels, lengths)


def _pull_back(denoiser: Denoiser, x: Tensor, levels: Tensor, lengths: Tensor, gradient: Tensor
               ) -> Tensor:
    return denoiser.with_pullback(x, levels, lengths)[1](gradient)
