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

"""The memory of this process, as Linux tells it."""

from pathlib import Path
import threading
from typing import Self


def memory_mib(entry: str) -> float:
    """
    Return an entry of /proc/self/status, NaN where there is none.

    :param entry: ``RssAnon``, what is no file's (mapped pages are the kernel's, which takes them
        back when memory is short), or ``VmHWM``, the most that was resident at once, mapped pages
        included.
    """
    try:
        lines = Path('/proc/self/status').read_text(encoding='utf-8').splitlines()
    except OSError:
        return float('nan')
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f'{entry}:')),
                float('nan'))


class OwnMemoryPeak(threading.Thread):
    """A context that watches how much of this process's memory is no file's."""

    def __init__(self, interval_s: float = 0.01):
        """Look that often."""
        super().__init__(daemon=True)
        self.mib = 0.0
        self._interval_s = interval_s
        self._over = threading.Event()

    def __enter__(self) -> Self:
        """Begin to watch."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Look once more, and no longer."""
        self._over.set()
        self.join()

    def run(self) -> None:
        """Look until it is over."""
        over = False
        while not over:
            over = self._over.wait(self._interval_s)
            self.mib = max(self.mib, memory_mib('RssAnon'))
