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
Backends: what evaluates a trained network.

``torch`` runs it as it is. ``openvino`` compiles it for the CPU, in bfloat16 where the CPU has
instructions for that. ``cuda_graphs`` replays it on a GPU (see ``cuda_graphs.py``).
"""

from collections.abc import Iterable
import warnings

import torch
from torch import Tensor
from torch.nn import functional

from df_planner.diffusion.denoiser import Denoiser
from df_planner.diffusion.denoiser import Network
from df_planner.diffusion.networks import TransformerDenoiser
from df_planner.diffusion.runtime.cuda_graphs import CudaGraphDenoiser
from df_planner.diffusion.runtime.names import Backend

TOKENS = 4  # OpenVINO's lengths are multiples of it: fewer shapes for little padding


class OpenVinoDenoiser:
    """
    A network compiled by OpenVINO, to be called like the one it was made from.

    Gradients are still torch's: written out and compiled, too, they were hardly faster. OpenVINO
    keeps code of its own for every shape that it has seen, about 1 MB, and takes 5 ms to make it.

    :param denoiser: a transformer on the CPU, in evaluation mode.
    :raises ImportError: without the ``openvino`` package.
    """

    def __init__(self, denoiser: TransformerDenoiser):
        import openvino
        from openvino.frontend import FrontEndManager
        from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
        self._denoiser = denoiser
        self.part_sizes = denoiser.part_sizes
        self.max_tokens = denoiser.max_tokens
        self.per_channel = denoiser.per_channel
        self.with_pullback = denoiser.with_pullback
        channels, parts = sum(denoiser.part_sizes), len(denoiser.part_sizes)
        example = (torch.zeros(2, 3, channels), torch.zeros(2, 3, parts, dtype=torch.long),
                   torch.tensor([3, 2]))
        # The front end itself: openvino.convert_model does the same, and reports its use.
        frontend = FrontEndManager().load_by_framework('pytorch')
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of tracing, on constants that are meant to be some
            decoder = TorchScriptPythonDecoder(denoiser, example_input=example)
        model = frontend.convert(frontend.load(decoder))
        # OpenVINO (2025.4.1, 2026.2.0 and 2026.4.1) writes beyond its memory with this network, so
        # that programs may abort at their end: much less often without its "snippets", and no
        # slower.
        self._request = openvino.Core().compile_model(model, 'CPU', {
            'PERFORMANCE_HINT': 'LATENCY', 'SNIPPETS_MODE': 'DISABLE',
            'INFERENCE_NUM_THREADS': torch.get_num_threads()}).create_infer_request()

    def __reduce__(self) -> tuple:
        """Copy and pickle the network; the copy compiles it again."""
        return type(self), (self._denoiser,)

    def __call__(self, x: Tensor, levels: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return v (B, T, C); see ``Denoiser``."""
        num_tokens = x.shape[1]
        if lengths is None:
            lengths = torch.full((len(x),), num_tokens)
        more = min(-num_tokens % TOKENS, self.max_tokens - num_tokens)
        x, levels = (functional.pad(tensor, (0, 0, 0, more)) for tensor in (x, levels))
        inputs = [tensor.contiguous().numpy() for tensor in (x, levels, lengths)]
        v = self._request.infer(inputs, share_inputs=True)[0]
        return torch.from_numpy(v[:, :num_tokens].copy())

    def prepare(self, batch_sizes: Iterable[int]) -> None:
        """Make the code for batches of these sizes now, rather than when they are first met."""
        for batch in batch_sizes:
            for num_tokens in range(TOKENS, self.max_tokens + TOKENS, TOKENS):
                shape = batch, min(num_tokens, self.max_tokens)
                self(torch.zeros(*shape, sum(self.part_sizes)),
                     torch.zeros(*shape, len(self.part_sizes), dtype=torch.long))


def on_backend(denoiser: Denoiser, backend: Backend, device: str) -> Network:
    """
    Return the network as ``backend`` evaluates it.

    ``auto`` is, for a transformer, OpenVINO on the CPU, where it is installed, and CUDA graphs on
    a GPU; else torch.

    :raises ImportError: if ``openvino`` is asked for and not installed.
    :raises RuntimeError: if the backend cannot run this network or on this device.
    """
    if backend == 'torch':
        return denoiser
    is_cuda = device.startswith('cuda')
    try:
        if not isinstance(denoiser, TransformerDenoiser):
            raise RuntimeError('it runs transformers only')
        if backend == 'cuda_graphs' or backend == 'auto' and is_cuda:
            if not is_cuda:
                raise RuntimeError('it runs on cuda only')
            return CudaGraphDenoiser(denoiser)
        if device != 'cpu':
            raise RuntimeError('it runs on the cpu only')
        return OpenVinoDenoiser(denoiser)
    except (ImportError, RuntimeError):
        if backend == 'auto':
            return denoiser
        raise
