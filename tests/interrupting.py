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
