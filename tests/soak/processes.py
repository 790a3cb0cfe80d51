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

"""The processes under test: started, killed, watched, and their memory read."""

from contextlib import suppress
import os
from pathlib import Path
import subprocess
import sys
import time

import psutil

from df_planner.launching.graph import Graph
from df_planner.launching.runner import end_with
from df_planner.launching.runner import node_command
from df_planner.launching.runner import STOPPING

TESTS = Path(__file__).parents[1]
OBSERVER = 'soak_observer'


class Processes:
    """
    One process per node, its output in ``folder/logs``, a file per life.

    All end with this process, even if it is killed.
    """

    def __init__(self, graph: Graph, folder: Path, parameters: Path, env: dict[str, str]):
        """Take what there is to start, and a folder for the parameter files."""
        self._folder = folder
        # The observer, ``python -m soak.observer``, is found in tests/.
        self._env = {**env, 'PYTHONPATH': os.pathsep.join(
            [str(TESTS), *filter(None, [env.get('PYTHONPATH')])])}
        self._commands = {process.name: node_command(graph, process, parameters)
                          for process in graph.processes}
        self._children: dict[str, subprocess.Popen] = {}
        self.lives: dict[str, int] = {}
        (folder / 'logs').mkdir(exist_ok=True)

    @property
    def names(self) -> list[str]:
        """Return the names of the nodes under test."""
        return list(self._commands)

    def add_observer(self, **parameters: object) -> None:
        """Start the observer, which is watched like the others, with parameters."""
        arguments = [part for name, value in parameters.items()
                     for part in ('-p', f'{name}:={value}')]
        self._commands[OBSERVER] = [sys.executable, '-m', 'soak.observer',
                                    '--ros-args', *arguments]
        self.start(OBSERVER)

    def start(self, name: str) -> None:
        """Start a process, again if it has ended."""
        life = self.lives[name] = self.lives.get(name, -1) + 1
        with open(self._folder / 'logs' / f'{name}-{life}.log', 'w') as log:
            self._children[name] = subprocess.Popen(
                self._commands[name], stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, env=self._env, start_new_session=True,
                preexec_fn=end_with(os.getpid()))

    def kill(self, name: str) -> None:
        """End a process without warning."""
        self._children[name].kill()
        self._children[name].wait()

    def ended(self) -> list[tuple[str, int]]:
        """Return name and exit code of every process that is not running."""
        codes = [(name, child.poll()) for name, child in self._children.items()]
        return [(name, code) for name, code in codes if code is not None]

    def memory_mb(self) -> dict[str, float]:
        """Return the resident memory of the nodes under test, without what they share."""
        found = {}
        for name, child in self._children.items():
            if name == OBSERVER:
                continue
            with suppress(psutil.Error):
                memory = psutil.Process(child.pid).memory_info()
                if memory.rss:
                    found[name] = (memory.rss - memory.shared) / 2**20
        return found

    def tracebacks(self) -> list[str]:
        """Return the logs in which a process tells of an exception that it did not expect."""
        return [path.name for path in sorted((self._folder / 'logs').glob('*.log'))
                if 'Traceback' in path.read_text(errors='replace')]

    def stop(self) -> None:
        """Ask all to end, insist, kill."""
        for number, patience_s in STOPPING:
            running = [child for child in self._children.values() if child.poll() is None]
            for child in running:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, number)
            end_s = time.monotonic() + patience_s
            while any(child.poll() is None for child in running) and time.monotonic() < end_s:
                time.sleep(0.05)
