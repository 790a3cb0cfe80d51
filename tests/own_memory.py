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
The memory of a process that is no file's: mapped pages are the kernel's to take back.

    python tests/own_memory.py CONFIG

trains and prints the most MiB at once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
import sys
import threading

import psutil

from df_planner.training.train import train


def own_mib() -> float:
    """Return what this process holds now."""
    memory = psutil.Process().memory_info()
    return (memory.rss - memory.shared) / 2**20


@contextmanager
def own_peak(interval_s: float = 0.01) -> Iterator[list[float]]:
    """Watch this process; the list has what was held at each look."""
    seen, over = [own_mib()], threading.Event()

    def watch() -> None:
        while not over.wait(interval_s):
            seen.append(own_mib())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()
        seen.append(own_mib())


if __name__ == '__main__':
    with own_peak() as looks:
        train(sys.argv[1])
    print(max(looks))
