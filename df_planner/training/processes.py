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
The processes that share a training run, and how they stop together.

The processes of a run: one, several of this machine, or those that ``torchrun`` started.

Lightning Fabric gives every process its device and exchanges gradients between them. Only the
first process writes files and talks; what can be wrong is found by the first and ends all.

Stop between two steps when asked to by Ctrl-C or SIGTERM, all processes after the same step.
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
from lightning_fabric.strategies import DDPStrategy
from lightning_fabric.utilities.exceptions import MisconfigurationException
import torch

from df_planner.errors import ConfigError
from df_planner.errors import DFPlannerError
from df_planner.errors import ProcessLost
from df_planner.training.config import RunConfig

LET_GO_S = 0.2
T = TypeVar('T')


@contextmanager
def processes_of(config: RunConfig) -> Iterator[Fabric]:
    """
    Give this process's end of the run, the other processes being started.

    What connects them ends with the context, also by an error: its threads must not outlive the
    program, which they can crash at its exit.

    :raises ConfigError: if there are no such devices.
    """
    fabric = _start(config)
    try:
        yield fabric
    finally:
        if fabric.world_size > 1:
            # A thread of gloo lets go of the last tensors, for which it needs the interpreter's
            # lock; an exit of the program that overtakes it waits for it with the lock held.
            time.sleep(LET_GO_S)
            torch.distributed.destroy_process_group()


def _start(config: RunConfig) -> Fabric:
    """
    Return this process's end of the run.

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
                        precision=config.precision, strategy='auto' if processes * hosts == 1
                        else DDPStrategy(forward_sync_buffers=False))
        fabric.launch()
    except (MisconfigurationException, RuntimeError, ValueError) as error:
        raise ConfigError(f'device {config.device}, devices {processes}: {error}') from error
    return fabric


def on_first(fabric: Fabric, function: Callable[[], T]) -> T | None:
    """
    Call a function on the first process and return its result there, None on the others.

    Its typed error is raised on the first process and ends the others in silence.
    """
    result, failure = None, None
    if fabric.is_global_zero:
        try:
            result = function()
        except DFPlannerError as error:
            failure = error
    if fabric.broadcast(failure is not None):
        end_all(fabric, failure)
    return result


def first_then_others(fabric: Fabric, function: Callable[[], T]) -> T:
    """Call a function on the first process, for what it writes or refuses, then on the others."""
    result = on_first(fabric, function)
    return function() if result is None else result


def end_all(fabric: Fabric, error: BaseException | None) -> NoReturn:
    """End all processes: the first one, which has the error, with it, the others in silence."""
    if fabric.is_global_zero and error is not None:
        raise error
    raise SystemExit(0)


@contextmanager
def none_may_be_lost(fabric: Fabric) -> Iterator[None]:
    """
    Have the failure of another process told in one line, in place of how it was noticed.

    :raises ProcessLost: if one of several processes cannot be reached any more.
    """
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.distributed.DistError) and 'gloo' not in str(error):
            raise
        raise ProcessLost(
            f'process {fabric.global_rank} of {fabric.world_size} cannot reach the others; the '
            'same command goes on from the last saved state') from error


AGREE_EVERY_STEPS = 10  # asking the other processes costs time


class StopRequests:
    """
    A context in which the first SIGINT or SIGTERM is noted; a second one acts as ever.

    Only the main thread of a program can have it so; elsewhere signals do what they did before.
    """

    def __init__(self, fabric: Fabric):
        """Watch for the given process and those beside it."""
        self.signal: int | None = None
        self._fabric = fabric
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Self:
        """Begin to note signals."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        """Have signals do what they did before."""
        for number in list(self._previous):
            signal.signal(number, self._previous.pop(number))

    def _note(self, number: int, _: FrameType | None) -> None:
        self.signal = number
        self.__exit__()

    def agreed(self, step: int) -> bool:
        """Tell whether to stop after this step, the same on all processes."""
        if self._fabric.world_size == 1:
            return self.signal is not None
        if step % AGREE_EVERY_STEPS:
            return False
        asked = torch.tensor(float(self.signal is not None), device=self._fabric.device)
        return bool(self._fabric.all_reduce(asked, reduce_op='sum'))

    def exception(self) -> BaseException:
        """Return what ends a program that was asked to stop."""
        if self.signal == signal.SIGTERM:
            return SystemExit(128 + signal.SIGTERM)
        return KeyboardInterrupt()
