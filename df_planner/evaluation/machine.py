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
The machine that a result was measured on, and the memory of its processes.

What a benchmark ran on: processor, versions and revision, without the machine's name.

The memory of this process, as Linux tells it.
"""

from importlib import metadata
import os
from pathlib import Path
import platform
import threading
from typing import Self

import df_planner
from df_planner.files import git_revision

PACKAGES = ('torch', 'numpy', 'mujoco', 'scipy')


def machine_facts() -> dict:
    """Return facts for the meta data of a report, plain values."""
    packages = ', '.join(f'{name} {metadata.version(name)}' for name in PACKAGES)
    return {
        'processor': _processor(),
        'cores': len(os.sched_getaffinity(0)),
        'load_average': round(os.getloadavg()[0], 1),
        'system': f'{platform.system()} {platform.machine()}, Python {platform.python_version()}',
        'packages': f'df_planner {df_planner.__version__}, {packages}',
        'revision': git_revision(),
    }


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used, which other load does not add to."""
    fields = Path(f'/proc/{pid}/stat').read_text(encoding='utf-8').rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def _processor() -> str:
    """Return the model of the processor."""
    try:
        lines = Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
    except OSError:
        return platform.processor() or 'unknown'
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor() or 'unknown'


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
