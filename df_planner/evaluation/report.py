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
The report of a run: ``results.json``, ``results.csv``, ``report.md`` and ``paths.png``.

``df_planner evaluate`` and the ROS benchmark node both report here. Usage::

    write_results(out_dir, place, records, meta, sketches)
    print(text_table(records, summarize(records)))

``results.json`` holds ``format_version``, ``meta`` (how the run was made), ``summary``,
``episodes`` (the records of ``metrics.episode_record``) and, when a baseline ran on the same
starts, ``baseline`` with its own ``name``, ``summary`` and ``episodes``. Never pickle.
"""

from collections.abc import Callable
from collections.abc import Sequence
import csv
import io
import json
from pathlib import Path

from df_planner.console import markdown_table
from df_planner.console import text_table as columns
from df_planner.evaluation.metrics import summarize
from df_planner.evaluation.picture import draw_paths
from df_planner.files import replace_files
from df_planner.sim.maze import DT_S
from df_planner.sim.place import Place

FORMAT_VERSION = 1
MISSING = '-'


def write_results(out_dir: str | Path, place: Place, records: Sequence[dict], meta: dict,
                  sketches: Sequence[dict] | None = None, baseline: dict | None = None) -> dict:
    """
    Write the report of a run, every file whole or not at all, and return the content of its JSON.

    :param out_dir: made if it does not exist; an older report in it is replaced.
    :param records: of ``episode_record``, at least one.
    :param meta: JSON-able facts on how the run was made, shown as a table.
    :param sketches: of ``picture.sketch``, in the order of the records; no picture without them.
    :param baseline: ``{'name': ..., 'episodes': records}`` of another policy on the same starts.
    """
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    results = {'format_version': FORMAT_VERSION, 'meta': meta, 'summary': summarize(records),
               'episodes': list(records)}
    if baseline is not None:
        episodes = list(baseline['episodes'])
        results['baseline'] = {'name': baseline['name'], 'summary': summarize(episodes),
                               'episodes': episodes}
    replace_files({
        out_dir / 'results.json': json.dumps(results, indent=1, allow_nan=False) + '\n',
        out_dir / 'results.csv': _csv(records, place.axes)})
    if sketches is not None:
        replace_files({out_dir / 'paths.png': lambda file: draw_paths(
            file, place, records, sketches, title=_title(meta, results['summary']))})
    replace_files({out_dir / 'report.md': _markdown(results, picture=sketches is not None)})
    return results


def progress_line(record: dict, position: int, episodes: int) -> str:
    """Return one line on a finished episode, for example ``[ 3/5] reached at 1.84 s ...``."""
    width = len(str(episodes))
    arrival = (f'goal reached at {record["first_reach_step"] * _dt_s(record):5.2f} s'
               if record['reached'] else 'goal NOT reached       ')
    value = (f'score {record["score"]:6.1f}' if record['score'] is not None
             else f'return {record["return"]:5.0f}' if record['touches'] is None
             else f'{record["touches"]} touches')
    line = f'[{position:{width}d}/{episodes}] {arrival}  {value}'
    if record['planning_time_p50_s'] is not None:
        line += f'  {record["plans"]} plans, {1e3 * record["planning_time_p50_s"]:.0f} ms each'
    return line


def text_table(records: Sequence[dict], summary: dict, baseline: dict | None = None) -> str:
    """
    Return the episodes and their summary as a table for the terminal.

    :param records: the rows; without any, only the summary is returned.
    :param baseline: as in ``results.json``, adds its line to the summary.
    """
    on_map = _is_on_map(summary)
    rows = [['episode', 'goal', 'reached',
             *(('way', 'touches') if on_map else ('return', 'score')),
             'plans', 'failed', 'in walls', 'gap', 'p50', 'p99']]
    for record in records:
        rows.append([
            str(record['episode']),
            '({:.1f}, {:.1f})'.format(*record['goal']),
            number(record['first_reach_step'], '{:.2f} s', _dt_s(record))
            if record['reached'] else 'no',
            *((number(record['path_length_m'], '{:.1f} m'), number(record['touches'], '{:.0f}'))
              if on_map else
              (number(record['return'], '{:.0f}'), number(record['score'], '{:.1f}'))),
            str(record['plans']),
            str(record['failed_plans']),
            number(record['wall_crossing_share'], '{:.1f} %', 100.0),
            number(record['plan_execution_gap'], '{:.1f} cm', 100.0),
            number(record['planning_time_p50_s'], '{:.0f} ms', 1e3),
            number(record['planning_time_p99_s'], '{:.0f} ms', 1e3),
        ])
    lines = [columns(rows, 'simple')] if records else []
    lines.append(summary_line(summary))
    if baseline is not None:
        lines.append(f'{baseline["name"]}: {summary_line(baseline["summary"])}')
    return '\n'.join(lines)


def summary_line(summary: dict) -> str:
    """Return reach rate, score and latency in one line."""
    parts = [f'{summary["reached"]} of {summary["episodes"]} goals reached']
    if _is_on_map(summary):
        if summary['reached']:
            took = _mean_and_error(summary['first_reach_step'], _dt_s(summary))
            parts.append(f'after {took} s')
        parts.append(f'touches {_mean_and_error(summary["touches"])}')
    else:
        name = 'score' if summary['score']['count'] else 'return'
        parts.append(f'{name} {_mean_and_error(summary[name])}')
    latency = summary['planning_time_s']
    if latency['count']:
        parts.append(f'planning p50 {1e3 * latency["p50"]:.0f} ms, '
                     f'p99 {1e3 * latency["p99"]:.0f} ms')
    return ', '.join(parts)


def _is_on_map(summary: dict) -> bool:
    """Tell whether touches count; they do on a map, where returns and scores mean nothing."""
    return bool(summary.get('touches', {}).get('count'))


def _csv(records: Sequence[dict], axes: tuple[str, str]) -> str:
    """Return the records as CSV: vectors as one column per axis, the raw latencies left out."""
    names = {'start': [f'start_{axis}{kind}' for kind in ('', '_velocity') for axis in axes],
             'goal': [f'goal_{axis}' for axis in axes]}
    rows: list[dict] = [{} for _ in records]
    for row, record in zip(rows, records):
        for key, value in record.items():
            if key in names:
                row.update(zip(names[key], value))
            elif key != 'planning_times_s':
                row[key] = value
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _markdown(results: dict, picture: bool) -> str:
    summary = results['summary']
    on_map = _is_on_map(summary)
    rows = [['#', 'start', 'goal', *(('way', 'touches') if on_map else
                                     ('return', 'score', 'latched')),
             'first reach', 'plans', 'in walls', 'gap', 'latency p50 / p99']]
    for record in results['episodes']:
        rows.append([
            str(record['episode']),
            '({:.2f}, {:.2f})'.format(*record['start'][:2]),
            '({:.2f}, {:.2f})'.format(*record['goal']),
            *((number(record['path_length_m'], '{:.1f} m'), number(record['touches'], '{:.0f}'))
              if on_map else
              (number(record['return'], '{:.0f}'), number(record['score'], '{:.1f}'),
               number(record['latched_return'], '{:.0f}'))),
            'never' if not record['reached']
            else number(record['first_reach_step'], '{:.2f} s', _dt_s(record)),
            f'{record["plans"]} ({record["failed_plans"]} failed)',
            number(record['wall_crossing_share'], '{:.2f} %', 100.0),
            number(record['plan_execution_gap'], '{:.1f} cm', 100.0),
            number(record['planning_time_p50_s'], '{:.0f}', 1e3) + ' / '
            + number(record['planning_time_p99_s'], '{:.0f} ms', 1e3),
        ])
    return '\n\n'.join([
        f'# {_title(results["meta"], summary)}', f'**{summary_line(summary)}.**',
        *(['![Planned and driven paths](paths.png)'] if picture else []),
        '## Summary', markdown_table(_summary_rows(summary, results.get('baseline'))),
        ('An episode ends within 0.5 m of its goal. ' if on_map else
         'Score: 100 = the reference return of D4RL. Return: observations within 0.5 m of the '
         'goal. Latched return: every step after the first reach counts. ')
        + '± is the standard error over episodes, sd the standard deviation.',
        '## Episodes', markdown_table(rows),
        '## How this was made', facts_table(results['meta'])]) + '\n'


def _summary_rows(summary: dict, baseline: dict | None) -> list[list[str]]:
    columns = [('this run', summary)]
    if baseline is not None:
        columns.append((baseline['name'], baseline['summary']))
    rows = [
        ('goals reached', lambda s: f'{s["reached"]} of {s["episodes"]}'),
        *_scores(_is_on_map(summary)),
        ('first reach [s]', lambda s: _mean_and_error(s['first_reach_step'], _dt_s(s), 2)),
        ('planned segments in walls [%]',
         lambda s: _mean_and_error(s['wall_crossing_share'], 100.0, 2)),
        ('plans with a segment in a wall [%]',
         lambda s: number(s.get('crossing_plan_rate'), '{:.2f}', 100.0)),
        ('calls with a valid candidate in the first batch [%]',
         lambda s: number(s.get('first_batch_rate'), '{:.1f}', 100.0)),
        ('plan-execution gap [cm]', lambda s: _mean_and_error(s['plan_execution_gap'], 100.0, 1)),
        ('planning latency p50 / p99 [ms]',
         lambda s: f'{number(s["planning_time_s"]["p50"], "{:.0f}", 1e3)} / '
                   f'{number(s["planning_time_s"]["p99"], "{:.0f}", 1e3)}'),
    ]
    return [['', *(name for name, _ in columns)],
            *([label, *(cell(values) for _, values in columns)] for label, cell in rows)]


def _scores(on_map: bool) -> list[tuple[str, Callable[[dict], str]]]:
    if on_map:
        return [('touches of walls', lambda s: _mean_and_error(s['touches'], digits=2)),
                ('way driven [m]', lambda s: _mean_and_error(s['path_length_m']))]
    return [('normalised score', lambda s: _mean_and_error(s['score'])),
            ('return', lambda s: _mean_and_error(s['return'])),
            ('latched return', lambda s: _mean_and_error(s['latched_return']))]


def _title(meta: dict, summary: dict) -> str:
    checkpoint = Path(meta['checkpoint']).stem if meta.get('checkpoint') else meta.get('policy')
    kind = 'map' if _is_on_map(summary) else 'maze'
    parts = [f'{kind} {Path(str(meta.get("maze", "?"))).stem}', checkpoint, meta.get('execution')]
    return '  ·  '.join(part for part in parts if part)


def _dt_s(values: dict) -> float:
    """Return the seconds of a step, of a record or a summary; older ones do not say it."""
    return values.get('dt_s', DT_S)


def _mean_and_error(values: dict, scale: float = 1.0, digits: int = 1) -> str:
    """Return ``mean ± standard error (sd standard deviation)``."""
    if values['mean'] is None:
        return MISSING
    text = f'{scale * values["mean"]:.{digits}f}'
    if values['std'] is not None:
        text += (f' ± {scale * values["stderr"]:.{digits}f}'
                 f' (sd {scale * values["std"]:.{digits}f})')
    return text


def number(value: float | None, pattern: str, scale: float = 1.0) -> str:
    """Format a number, or a dash where there is none."""
    return MISSING if value is None else pattern.format(scale * value)


def facts_table(facts: dict) -> str:
    """Return names and values as a table in Markdown."""
    def cell(value: object) -> str:
        text = value if isinstance(value, str) else json.dumps(value)
        return '`' + text.replace('|', '\\|').replace('\n', ' ') + '`'

    return markdown_table([['', ''], *([name, cell(value)] for name, value in facts.items())])
