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
The report of a soak test, made from nothing but its files, so that a run cut short has one too.

``soak.json`` has the numbers, ``report.md`` the tables, ``seconds.csv`` a row per second,
``soak.png`` memory, commands and latency over time.
"""

from collections import Counter
from collections import defaultdict
import csv
import json
from pathlib import Path

import numpy as np
from soak.checks import Growth
from soak.checks import growth
from soak.picture import draw_soak_picture

from df_planner.console import markdown_table

MEASURED = ('odometry', 'commands', 'plans', 'empty_plans', 'contacts', 'peak_n', 'speed_m_s')


def summarise(folder: Path, warm_up_s: float) -> dict:
    """Return what a run's files say: counts, latencies, memory, and all violations."""
    events, seconds, unsafe = read_journals(folder)
    kinds = Counter(event['kind'] for event in events)
    grown = grown_memory(read_memory(folder), warm_up_s)
    violations = [event for event in events if event['kind'] == 'violation'] + unsafe + [
        {'check': 'memory', 'what': f'{g.process}, life {g.life}: {g.share:+.1%} in '
                                    f'{g.seconds:.0f} s after warm-up'}
        for g in grown if not g.is_flat]
    inputs = Counter(event['name'] for event in events if event['kind'] == 'input')
    latencies_ms = [value for second in seconds for value in second['latencies_ms']]
    planning_s = [value for second in seconds for value in second['planning_s']]
    return {
        'complete': kinds['end'] == 1,
        'seconds': events[-1]['seconds'] if events else 0.0,
        'goals_sent': kinds['goal'], 'goals_reached': kinds['reached'],
        'planner_kills': kinds['kill'], 'resumed_by_itself': kinds['resumed'],
        'bad_inputs': sum(inputs.values()), 'kinds_of_bad_inputs': len(inputs),
        'commands': sum(second['commands'] for second in seconds),
        'peak_n': max((second['peak_n'] for second in seconds), default=0.0),
        'plans': sum(second['plans'] for second in seconds),
        'command_latency_ms': _percentiles(latencies_ms),
        'planning_ms': _percentiles([1e3 * value for value in planning_s]),
        'memory': [{**vars(g), 'share': round(g.share, 4)} for g in grown],
        'inputs': dict(sorted(inputs.items())),
        'violations': violations,
    }


def write_report(folder: Path, warm_up_s: float, facts: dict) -> dict:
    """Write all files of the report beside the journals; return the summary."""
    summary = summarise(folder, warm_up_s)
    (folder / 'soak.json').write_text(json.dumps({**facts, **summary}, indent=1) + '\n',
                                      encoding='utf-8')
    (folder / 'report.md').write_text(_markdown(summary, facts), encoding='utf-8')
    _, seconds, _ = read_journals(folder)
    with open(folder / 'seconds.csv', 'w', encoding='utf-8', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['seconds', *MEASURED, 'latency_p50_ms', 'latency_max_ms'])
        for second in seconds:
            writer.writerow([second['seconds'], *(second[name] for name in MEASURED),
                             *_middle_and_most(second['latencies_ms'])])
    draw_soak_picture(folder / 'soak.png', read_memory(folder), seconds, read_journals(folder)[0])
    return summary


def read_journals(folder: Path) -> tuple[list[dict], list[dict], list[dict]]:
    """Return the events, the observer's seconds and its unsafe commands, as far as written."""
    events = _read_lines(folder / 'events.jsonl')
    observed = _read_lines(folder / 'observed.jsonl')
    started = events[0]['time'] if events else 0.0
    for line in observed:
        line['seconds'] = round(line['time'] - started, 1)
    return (events, [line for line in observed if line['kind'] == 'second'],
            [{'check': 'command', **line} for line in observed if line['kind'] == 'unsafe'])


def read_memory(folder: Path) -> dict[tuple[str, int], list[tuple[float, float]]]:
    """Return (seconds, MB) by process and life."""
    samples = defaultdict(list)
    with open(folder / 'memory.csv', encoding='utf-8', newline='') as file:
        for row in csv.DictReader(file):
            if row['mb']:
                samples[row['process'], int(row['life'])].append(
                    (float(row['seconds']), float(row['mb'])))
    return dict(samples)


def grown_memory(samples: dict, warm_up_s: float) -> list[Growth]:
    """Return the growth of every life that was long enough to tell."""
    found = [growth(name, life, rows, warm_up_s) for (name, life), rows in samples.items()]
    return [one for one in found if one is not None]


def _read_lines(path: Path) -> list[dict]:
    lines = []
    if path.exists():
        for text in path.read_text(encoding='utf-8').splitlines():
            try:
                lines.append(json.loads(text))
            except ValueError:  # the last one, cut short
                break
    return lines


def _percentiles(values: list[float]) -> dict[str, float]:
    if not values:
        return {}
    p50, p99, most = np.percentile(values, (50, 99, 100)).round(2).tolist()
    return {'p50': p50, 'p99': p99, 'max': most}


def _middle_and_most(values: list[float]) -> list[object]:
    return [round(float(np.median(values)), 3), max(values)] if values else ['', '']


def main_rows(summary: dict) -> list[list[str]]:
    """Return the table of what was done and found, its header first."""
    def spread(name: str) -> str:
        return ' / '.join(str(value) for value in summary[name].values()) or 'none'

    cut = '' if summary['complete'] else ' (cut short)'
    return [
        ['', 'value'],
        ['seconds', f'{summary["seconds"]:.0f}{cut}'],
        ['goals reached', f'{summary["goals_reached"]} of {summary["goals_sent"]}'],
        ['planner killed', f'{summary["planner_kills"]} times'],
        ['of these, went on by itself', f'{summary["resumed_by_itself"]} times'],
        ['bad inputs', f'{summary["bad_inputs"]}, {summary["kinds_of_bad_inputs"]} kinds'],
        ['commands', f'{summary["commands"]}, up to {summary["peak_n"]} N'],
        ['odometry to command, p50 / p99 / longest [ms]', spread('command_latency_ms')],
        ['planning, p50 / p99 / longest [ms]', spread('planning_ms')],
        ['violations', str(len(summary['violations']))]]


def _markdown(summary: dict, facts: dict) -> str:
    memory = [['process', 'life', 'seconds after warm-up', 'first MB', 'last MB', 'growth']] + [
        [g['process'], str(g['life']), f'{g["seconds"]:.0f}', f'{g["first_mb"]:.1f}',
         f'{g["last_mb"]:.1f}', f'{g["share"]:+.2%}'] for g in summary['memory']]
    inputs = [['bad input', 'times']] + [[name, str(count)]
                                         for name, count in summary['inputs'].items()]
    bad = [f'- {v["check"]}, at {v.get("seconds", "the end")}: {v["what"]}'
           for v in summary['violations']]
    return '\n'.join([
        '# Soak test', '', f'`{facts["command"]}`', '', markdown_table(main_rows(summary)), '',
        '## Violations', '', *(bad or ['None.']), '', '## Memory', '', markdown_table(memory), '',
        '![Memory, commands and latency over time](soak.png)', '', '## Bad inputs', '',
        markdown_table(inputs), ''])
