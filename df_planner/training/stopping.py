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

"""Stop between two steps when asked to by Ctrl-C or SIGTERM, all processes after the same step."""

import signal
import threading
from types import FrameType
from typing import Self

from lightning_fabric import Fabric
import torch

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
