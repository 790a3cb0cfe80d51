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
import json
from pathlib import Path
import signal
import subprocess
import sys
import time

from click.testing import CliRunner

from df_planner.cli.main import main


AT_A_CALL = """
import os, signal, sys
from df_planner.cli.main import main
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


def interrupted_and_resumed(command: Sequence[str], folder: Path, name: str, num_drives: int
                            ) -> tuple[dict, dict]:
    """
    Press Ctrl-C in a measurement that takes ``--resume``, resume it, and look after its drives.

    :returns: the first drive kept, and what the measurement wrote to ``NAME.json``.
    """
    command = ['measure', name, *command, '--out', str(folder), '--resume']
    journal = folder / 'drives.jsonl'
    code, said = interrupted(
        command, lambda: journal.exists() and journal.read_text().count('\n') >= 2)
    assert code == 130 and '--resume' in said and 'Traceback' not in said, said
    kept = journal.read_text().splitlines()
    assert 2 <= len(kept) <= num_drives and not (folder / f'{name}.json').exists()
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    lines = journal.read_text().splitlines()
    assert len(lines) == 1 + num_drives and lines[:len(kept)] == kept
    other = CliRunner().invoke(main, [*command, '--seed', '1'])
    assert other.exit_code == 2 and 'differs in seed' in other.output
    return json.loads(kept[1])['drive'], json.loads((folder / f'{name}.json').read_text())
