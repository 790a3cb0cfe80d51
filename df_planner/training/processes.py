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
The processes of a training: one, several of this machine, or those that ``torchrun`` started.

Lightning Fabric gives every process its device and exchanges gradients between them. The first
process (rank 0) alone writes files and prints. It finds errors of the input and ends all others.
Ctrl-C and SIGTERM stop all processes after the same step.
"""

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
import logging
import os
import signal
import threading
import time
from types import FrameType
from typing import NoReturn
from typing import Self
from typing import TypeVar

from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import TorchElasticEnvironment
from lightning_fabric.plugins.precision import MixedPrecision
from lightning_fabric.plugins.precision import Precision
from lightning_fabric.strategies import DDPStrategy
from lightning_fabric.utilities.exceptions import MisconfigurationException
import torch

from df_planner.errors import ConfigError
from df_planner.errors import DFPlannerError
from df_planner.errors import ProcessLost
from df_planner.training.config import RunConfig

LET_GO_S = 0.2
AGREE_EVERY_STEPS = 10  # an exchange with the other processes costs time
T = TypeVar('T')


@contextmanager
def processes_of(config: RunConfig) -> Iterator[Fabric]:
    """
    Start the other processes and connect this one with them, for as long as the context lasts.

    :raises ConfigError: if there are no such devices.
    :raises ProcessLost: if one of several processes cannot be reached any more.
    """
    fabric = _start(config)
    try:
        yield fabric
    except RuntimeError as error:
        if not isinstance(error, torch.distributed.DistError) and 'gloo' not in str(error):
            raise
        raise ProcessLost(
            f'process {fabric.global_rank} of {fabric.world_size} cannot reach the others; the '
            'same command resumes from the last saved state') from error
    finally:
        if fabric.world_size > 1:
            # The threads of gloo must end before the program, or they can crash its exit. They
            # need the interpreter's lock to release their last tensors; without this pause, the
            # call below would hold it and wait for them forever.
            time.sleep(LET_GO_S)
            torch.distributed.destroy_process_group()


def _start(config: RunConfig) -> Fabric:
    """
    Return this process's Fabric.

    Under ``torchrun`` its numbers of processes and hosts hold; otherwise this program, with the
    same arguments, is started ``devices - 1`` more times on this machine.
    """
    processes, hosts = config.devices, 1
    if TorchElasticEnvironment.detect():
        processes = int(os.environ['LOCAL_WORLD_SIZE'])
        hosts = int(os.environ['WORLD_SIZE']) // processes
    logging.getLogger('lightning_fabric').setLevel(logging.WARNING)
    try:
        # Buffers are constants of the network.
        fabric = Fabric(accelerator=config.device, devices=processes, num_nodes=hosts,
                        strategy='auto' if processes * hosts == 1
                        else DDPStrategy(forward_sync_buffers=False))
        fabric.launch()
    except (MisconfigurationException, RuntimeError, ValueError) as error:
        raise ConfigError(f'device {config.device}, devices {processes}: {error}') from error
    return fabric


def set_precision(fabric: Fabric, config: RunConfig) -> None:
    """Set the arithmetic of the networks that are set up from now on: stages may differ in it."""
    fabric.strategy.precision = (Precision() if config.precision == '32' else
                                 MixedPrecision(config.precision, fabric.device.type))


def on_rank_zero(fabric: Fabric, function: Callable[[], T]) -> T | None:
    """
    Call a function on rank 0 and return its result there, None on the other processes.

    Its typed error is raised on rank 0 and ends the others without a message.
    """
    result, failure = None, None
    if fabric.is_global_zero:
        try:
            result = function()
        except DFPlannerError as error:
            failure = error
    if fabric.broadcast(failure is not None):
        exit_all(fabric, failure)
    return result


def rank_zero_first(fabric: Fabric, function: Callable[[], T]) -> T:
    """Call a function on rank 0, which may write a file or raise, then on the others."""
    result = on_rank_zero(fabric, function)
    return function() if result is None else result


def exit_all(fabric: Fabric, error: BaseException | None) -> NoReturn:
    """End all processes: rank 0, which has the error, with it, the others without a message."""
    if fabric.is_global_zero and error is not None:
        raise error
    raise SystemExit(0)


class StopRequests:
    """
    A context that catches the first SIGINT or SIGTERM; a second one acts as usual.

    Only the main thread of a program can catch signals; in other threads nothing changes.
    """

    def __init__(self, fabric: Fabric):
        self.signal: int | None = None
        self._fabric = fabric
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._catch)
        return self

    def __exit__(self, *_: object) -> None:
        for number in list(self._previous):
            signal.signal(number, self._previous.pop(number))

    def _catch(self, number: int, _: FrameType | None) -> None:
        self.signal = number
        self.__exit__()

    def agreed(self, step: int) -> bool:
        """Tell whether to stop after this step; all processes agree."""
        if self._fabric.world_size == 1:
            return self.signal is not None
        if step % AGREE_EVERY_STEPS:
            return False
        asked = torch.tensor(float(self.signal is not None), device=self._fabric.device)
        return bool(self._fabric.all_reduce(asked, reduce_op='sum'))

    def exception(self) -> BaseException:
        """Return the exception that ends the stopped program."""
        if self.signal == signal.SIGTERM:
            return SystemExit(128 + signal.SIGTERM)
        return KeyboardInterrupt()
