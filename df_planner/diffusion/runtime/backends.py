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

``torch`` runs it as it is. ``onnxruntime`` runs it on the CPU, in half the time. ``cuda_graphs``
replays it on a GPU (see ``cuda_graphs.py``).
"""

from collections.abc import Iterable
from io import BytesIO
import warnings

import torch
from torch import Tensor

from df_planner.diffusion.denoiser import Denoiser
from df_planner.diffusion.denoiser import Network
from df_planner.diffusion.networks import TransformerDenoiser
from df_planner.diffusion.runtime.cuda_graphs import CudaGraphDenoiser
from df_planner.diffusion.runtime.names import Backend

OPSET = 20  # of ONNX: the first that knows GELU


class OnnxDenoiser:
    """
    A network that ONNX Runtime evaluates, to be called like the one it was made from.

    Gradients are still torch's. Threads are as many as torch has when it is made.

    :param denoiser: a transformer on the CPU, in evaluation mode.
    :raises ImportError: without the packages ``onnx`` and ``onnxruntime``.
    """

    def __init__(self, denoiser: TransformerDenoiser):
        import onnxruntime
        self._denoiser = denoiser
        self.part_sizes = denoiser.part_sizes
        self.max_tokens = denoiser.max_tokens
        self.per_channel = denoiser.per_channel
        self.with_pullback = denoiser.with_pullback
        channels, parts = sum(denoiser.part_sizes), len(denoiser.part_sizes)
        example = (torch.zeros(2, 3, channels), torch.zeros(2, 3, parts, dtype=torch.long),
                   torch.tensor([3, 2]))
        batch, tokens, model = {0: 'batch'}, {0: 'batch', 1: 'tokens'}, BytesIO()
        with warnings.catch_warnings():
            # Of tracing, on constants that are meant to be some; and that there is a newer
            # exporter, which needs one more package.
            warnings.simplefilter('ignore')
            torch.onnx.export(
                denoiser, example, model, dynamo=False, opset_version=OPSET,
                input_names=['x', 'levels', 'lengths'], output_names=['v'],
                dynamic_axes={'x': tokens, 'levels': tokens, 'lengths': batch, 'v': tokens})
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.inter_op_num_threads = 1
        # Threads that wait for work leave the processor to others.
        options.add_session_config_entry('session.intra_op.allow_spinning', '0')
        self._session = onnxruntime.InferenceSession(
            model.getvalue(), options, providers=['CPUExecutionProvider'])
        self._reads = {entry.name for entry in self._session.get_inputs()}  # not all read lengths

    def __reduce__(self) -> tuple:
        """Copy and pickle the network; the copy makes its session again."""
        return type(self), (self._denoiser,)

    def __call__(self, x: Tensor, levels: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return v (B, T, C); see ``Denoiser``."""
        if lengths is None:
            lengths = torch.full((len(x),), x.shape[1])
        given = {'x': x, 'levels': levels, 'lengths': lengths}
        v, = self._session.run(None, {name: given[name].numpy() for name in self._reads})
        return torch.from_numpy(v)

    def prepare(self, batch_sizes: Iterable[int]) -> None:
        """Do nothing: no shape needs code of its own."""


def on_backend(denoiser: Denoiser, backend: Backend, device: str) -> Network:
    """
    Return the network as ``backend`` evaluates it.

    ``auto`` is, for a transformer, ONNX Runtime on the CPU, where it is installed, and CUDA graphs
    on a GPU; else torch.

    :raises ImportError: if ``onnxruntime`` is asked for and not installed.
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
        return OnnxDenoiser(denoiser)
    except (ImportError, RuntimeError):
        if backend == 'auto':
            return denoiser
        raise
