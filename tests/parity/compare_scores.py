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
Compare the scores of two revisions, episode by episode, to the last bit.

A change that should change no plan is checked with the same command before and after it, on the
same machine (other processors round differently)::

    python tests/parity/compare_scores.py record before        # about three minutes on one core
    python tests/parity/compare_scores.py record after
    python tests/parity/compare_scores.py compare before after

Ten fixed starts for each of the six tasks of D4RL's mazes and each execution, and the differential
drive. Latencies are left out. Exit code 1: something differs, or is missing.
"""

import argparse
from itertools import product
import json
from pathlib import Path
import subprocess
import sys

LATENCIES = {'planning_time_p50_s', 'planning_time_p99_s', 'planning_time_max_s',
             'planning_times_s'}
EXECUTIONS = {'point': ('tracking', 'raw', 'time_optimal'), 'diff_drive': ('tracking', 'raw')}
TASKS = [*(('point', maze, options) for maze, options in product(
    ('umaze', 'medium', 'large'), ((), ('--multi-goal',)))), ('diff_drive', 'medium', ())]


def record(folder: Path, episodes: int, seed: int) -> None:
    """Evaluate every task with every execution; what is there already is kept."""
    for checkpoint, maze, options in TASKS:
        for execution in EXECUTIONS[checkpoint]:
            words = [checkpoint, maze, *(option.strip('-') for option in options), execution]
            out = folder / '-'.join(words)
            if (out / 'results.json').exists():
                continue
            print(out.name, flush=True)
            subprocess.run(
                [sys.executable, '-m', 'df_planner.cli', 'evaluate', '--checkpoint', checkpoint,
                 '--maze', maze, '--episodes', str(episodes), '--seed', str(seed),
                 '--execution', execution, '--no-baseline', *options, '--out', str(out)],
                check=True, stdout=subprocess.DEVNULL)


def differences(before: Path, after: Path) -> list[str]:
    """Return what differs between two folders of results, one line each."""
    found = []
    for path in sorted(before.glob('*/results.json')):
        name = path.parent.name
        other = after / name / 'results.json'
        if not other.exists():
            found.append(f'{name}: missing in {after}')
            continue
        first, second = (json.loads(p.read_text(encoding='utf-8'))['episodes']
                         for p in (path, other))
        if len(first) != len(second):
            found.append(f'{name}: {len(first)} and {len(second)} episodes')
        for index, (old, new) in enumerate(zip(first, second)):
            fields = sorted(key for key in (old.keys() | new.keys()) - LATENCIES
                            if old.get(key) != new.get(key))
            if fields:
                found.append(f'{name}, episode {index}: {", ".join(fields)}')
    return found


def main() -> int:
    """Record or compare."""
    parser = argparse.ArgumentParser(description=__doc__.strip().split('\n')[0])
    commands = parser.add_subparsers(dest='command', required=True)
    recording = commands.add_parser('record', help='evaluate into FOLDER')
    recording.add_argument('folder', type=Path)
    recording.add_argument('--episodes', type=int, default=10)
    recording.add_argument('--seed', type=int, default=3)
    comparing = commands.add_parser('compare', help='list what differs')
    comparing.add_argument('before', type=Path)
    comparing.add_argument('after', type=Path)
    arguments = parser.parse_args()
    if arguments.command == 'record':
        record(arguments.folder, arguments.episodes, arguments.seed)
        return 0
    if not list(arguments.before.glob('*/results.json')):
        print(f'{arguments.before}: no results; record some first')
        return 1
    found = differences(arguments.before, arguments.after)
    print('\n'.join(found) or 'equal to the last bit')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
