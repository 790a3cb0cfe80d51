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
Start the graph without ``ros2 launch``: one subprocess per node, all of which end with this one.

Each process gets a session of its own, so that Ctrl-C in a terminal reaches only the runner, which
then stops the others in order. On Linux they also end when the runner is killed outright.
"""

from collections.abc import Mapping
from contextlib import suppress
import ctypes
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
from tempfile import TemporaryDirectory
import threading
import time

from df_planner.errors import ConfigError
from df_planner.launching.domain import chosen_domain
from df_planner.launching.graph import build_graph
from df_planner.launching.graph import Graph
from df_planner.launching.graph import Process
from df_planner.launching.graph import Value

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# How to ask a process to end, and how long to wait before asking louder.
STOPPING = ((signal.SIGINT, 10.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0))
POLL_S = 0.05
PR_SET_PDEATHSIG = 1


def run(values: Mapping[str, Value]) -> int:
    """
    Run the graph until the benchmark ends, a node fails, or a signal comes.

    :param values: arguments by name (see ``graph.ARGUMENTS``).
    :returns: the exit code of the benchmark, 1 if a node failed, 128 + the number of a signal.
    :raises ConfigError: if an argument does not fit or a program is missing.
    """
    graph = build_graph(values)
    for process in graph.processes:
        if process.command and shutil.which(process.command[0]) is None:
            raise ConfigError(f'{process.name} needs the program {process.command[0]!r} of a '
                              'ROS 2 installation, which is not on the PATH')
    with TemporaryDirectory(prefix='df_planner-') as folder:
        return Runner(graph, Path(folder), environment(graph)).run()


def environment(graph: Graph) -> dict[str, str]:
    """
    Return the environment of the processes: talk on this machine only, unless told otherwise.

    A benchmark gets a ROS domain of its own, too, so that no other run answers. Without one, the
    domain stays as it is, so that goals can be published from any terminal.
    """
    values = {'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', 'PYTHONUNBUFFERED': '1',
              'RCUTILS_CONSOLE_OUTPUT_FORMAT': '[{severity}] {message}'}
    if any(process.ends_run for process in graph.processes):
        values['ROS_DOMAIN_ID'] = chosen_domain()
    return {**values, **os.environ}


def node_command(graph: Graph, process: Process, folder: Path) -> list[str]:
    """Return the command of a process."""
    if process.command:
        return list(process.command)
    command = [sys.executable, '-m', f'df_planner.nodes.{process.name}.node', '--ros-args',
               '-r', f'__node:={process.name}', '--log-level', graph.log_level]
    if graph.namespace:
        command += ['-r', f'__ns:=/{graph.namespace}']
    for old, new in graph.remappings:
        command += ['-r', f'{old}:={new}']
    for path in graph.write_parameters(process, folder):
        command += ['--params-file', str(path)]
    return command


class Runner:
    """The subprocesses of one run."""

    def __init__(self, graph: Graph, folder: Path, env: dict[str, str]):
        self._graph = graph
        self._folder = folder
        self._env = env
        self._children: list[tuple[Process, subprocess.Popen]] = []
        self._relays: dict[str, threading.Thread] = {}
        self._signals: list[int] = []
        self._stopping = False

    def run(self) -> int:
        """Start all, wait for the end, stop all, and return the exit code."""
        previous = {number: signal.signal(number, lambda n, frame: self._signals.append(n))
                    for number in SIGNALS}
        try:
            self._start()
            return self._wait()
        finally:
            self._stop()
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _start(self) -> None:
        domain = self._env.get('ROS_DOMAIN_ID', '0')
        print(f'Starting {", ".join(p.name for p in self._graph.processes)} '
              f'(ROS_DOMAIN_ID={domain})', flush=True)
        for process in self._graph.processes:
            # The benchmark owns the terminal; what the others say is prefixed with their name.
            output = {} if process.ends_run else {
                'stdout': subprocess.PIPE, 'stderr': subprocess.STDOUT}
            self._children.append((process, subprocess.Popen(
                node_command(self._graph, process, self._folder), stdin=subprocess.DEVNULL,
                env=self._env, start_new_session=True, preexec_fn=end_with(os.getpid()),
                **output)))
        for process, child in self._children:  # threads only now: they and preexec_fn do not mix
            if child.stdout is not None:
                self._relays[process.name] = relay = threading.Thread(
                    target=self._relay, args=(process.name, child.stdout), daemon=True)
                relay.start()

    def _relay(self, name: str, stream) -> None:
        """Print the output of a process until the run is stopped."""
        for line in stream:
            if not self._signals and not self._stopping:
                print(f'[{name}] {line.decode(errors="replace").rstrip()}', flush=True)

    def _wait(self) -> int:
        while not self._signals:
            for process, child in self._children:
                code = child.poll()
                if code is None or (process.command and code == 0):
                    continue
                if process.ends_run:
                    return code if code >= 0 else 128 - code
                self._relays[process.name].join(timeout=1.0)  # its last words say why
                print(f'{process.name} ended too early, with exit code {code}', file=sys.stderr,
                      flush=True)
                return 1
            time.sleep(POLL_S)
        return 128 + self._signals[0]

    def _stop(self) -> None:
        """Ask, insist, kill; a second signal to the runner kills at once."""
        self._stopping = True
        for last in (False, True):
            self._stop_all([child for process, child in self._children
                            if process.stops_last == last])

    def _stop_all(self, children: list[subprocess.Popen]) -> None:
        signals_before = len(self._signals)
        for number, patience_s in STOPPING:
            running = [child for child in children if child.poll() is None]
            for child in running:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, number)
            deadline = time.monotonic() + patience_s
            while any(child.poll() is None for child in running) and time.monotonic() < deadline:
                if len(self._signals) > signals_before:
                    break
                time.sleep(POLL_S)


def end_with(parent: int):
    """Return a function for a new process that makes it end with its parent, on Linux."""
    if not sys.platform.startswith('linux'):
        return None
    libc = ctypes.CDLL(None)

    def ask_kernel() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)
    return ask_kernel
