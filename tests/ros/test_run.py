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

"""How the process of a node ends."""

import subprocess
import sys

import pytest

# What a module holds goes last, when Python has given up its handlers of signals.
PROGRAM = """
import os
import signal

from rclpy.node import Node

from df_planner.ros.run import run_node


class Late:
    def __del__(self, kill=os.kill, pid=os.getpid(), number=signal.SIGINT):
        kill(pid, number)


def work(node, is_stopped):
    signal.raise_signal(signal.SIGINT)
    return CODE if is_stopped() else 99


late = Late()
raise SystemExit(run_node(lambda: Node('brief', enable_rosout=False), work=work))
"""


@pytest.mark.parametrize('code', [0, 3])
def test_a_second_signal_does_not_change_how_a_node_ends(code):
    """Under launch without a terminal, Ctrl-C reaches a node twice."""
    done = subprocess.run([sys.executable, '-c', PROGRAM.replace('CODE', str(code))],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
