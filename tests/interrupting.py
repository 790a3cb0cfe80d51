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

"""Ctrl-C for a command under way."""

from collections.abc import Callable
from collections.abc import Sequence
import signal
import subprocess
import sys
import time


AT_A_CALL = """
import os, signal, sys
from df_planner.cli import main
import {module}

calls, function = 0, {module}.{name}

def counted(*arguments, **named):
    global calls
    calls += 1
    if calls == {number}:
        os.kill(os.getpid(), signal.SIGINT)
    return function(*arguments, **named)

{module}.{name} = counted
signal.signal(signal.SIGINT, signal.default_int_handler)
main(sys.argv[1:], 'df_planner')
"""


def interrupted_at(module: str, name: str, number: int, arguments: Sequence[str]
                   ) -> tuple[int, str]:
    """Start ``df_planner``, Ctrl-C at a call of a function; return exit code and what it said."""
    done = subprocess.run(
        [sys.executable, '-c', AT_A_CALL.format(module=module, name=name, number=number),
         *arguments], capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


def interrupted(arguments: Sequence[str], is_time: Callable[[], bool],
                limit_s: float = 120.0) -> tuple[int, str]:
    """
    Start ``df_planner`` with arguments, press Ctrl-C, return its exit code and what it said.

    :param is_time: whether to press it now.
    """
    # A shell has SIGINT ignored in what it starts in the background, and children inherit that.
    process = subprocess.Popen(
        [sys.executable, '-m', 'df_planner.cli', *arguments], stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    deadline = time.monotonic() + limit_s
    try:
        while not is_time():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, output + errors
