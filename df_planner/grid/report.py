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
The report of a grid: ``report.md``, ``results.csv``, ``results.json`` and plots, from its numbers.

    write_grid_report('results/headline', grid_results(runs))
"""

import csv
import io
import json
from pathlib import Path

from df_planner.console import markdown_table
from df_planner.console import text_table
from df_planner.evaluation.report import facts_table
from df_planner.evaluation.report import MISSING
from df_planner.evaluation.report import number
from df_planner.files import replace_files
from df_planner.grid.plots import draw_plots
from df_planner.grid.results import LIMIT
from df_planner.grid.results import SECONDS
from df_planner.sim.maze import DT_S

KINDS = {'measured': 'measured here', 'controller': 'controller, measured here',
         'published': 'published', 'reference': 'controller, other starts', 'limit': 'limit'}
LEGEND = (
    'Score: 100 = the reference return of D4RL; on a map, where an episode ends at its goal, rows '
    'are compared by the seconds to it. Return: observations within 0.5 m of the goal. '
    'Latched return: every step after the first reach counts. First reach: of the episodes that '
    'reached the goal.',
    '± is the standard error over starts. Where a row has several training seeds, its episodes '
    'are averaged over them start by start before that, and *sd over seeds* is the standard '
    'deviation of the mean scores of the seeds.',
    '*difference*: mean over the same starts of (this row minus the reference row), with the '
    'standard error of these differences, which is tighter than that of two separate means.',
    '*touches*: of walls, per drive, where an episode ends at its goal. *in walls*: share of '
    'planned segments, executed or not, that touch a wall; *plans in walls*: of plans with such a '
    'segment. *first batch*: share of the calls of the planner in which a candidate of the first '
    'batch passed all checks; *valid*: share of the candidates there that did. *gap*: mean '
    'distance between planned and executed positions. Latency: wall time of a planning call; it '
    'depends on the machine and on what else runs there.',
    '*measured here*: on the starts of this report. *published*: by its authors, on other starts. '
    '*limit*: what an exhaustive search on the exact physics achieves, on other starts.',
)
HEADER = ('row', 'kind', 'episodes', 'score', 'sd over seeds', 'difference', 'return', 'latched',
          'reached', 'first reach [s]', 'touches', 'in walls [%]',
          'plans in walls [%]', 'first batch [%]', 'valid [%]', 'gap [cm]',
          'latency p50 / p95 / p99 [ms]')


def write_grid_report(out_dir: str | Path, results: dict, pictures: dict[str, str] | None = None
                      ) -> None:
    """
    Write the report of ``grid_results``, every file whole or not at all.

    :param pictures: that are in the folder already, file name to caption.
    """
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    replace_files({
        out_dir / 'results.json': json.dumps(results, indent=1, allow_nan=False) + '\n',
        out_dir / 'results.csv': csv_text(results)})
    replace_files({out_dir / 'report.md': markdown(
        results, {**draw_plots(out_dir, results), **(pictures or {})})})


def csv_text(results: dict) -> str:
    """Return one line per row and task, then the scores of others, with what kind each is."""
    text = io.StringIO()
    names = ('task', 'group', 'row', 'kind', 'episodes', 'seeds', 'score', 'score_stderr',
             'score_std', 'score_std_over_seeds', 'difference', 'difference_stderr', 'reference',
             'return', 'latched_return', 'reach_rate', 'first_reach_s', 'touches',
             'wall_crossing_share', 'crossing_plan_rate', 'first_batch_rate', 'valid_candidates',
             'plan_execution_gap_m', 'latency_p50_s', 'latency_p95_s', 'latency_p99_s', 'failure',
             'source')
    writer = csv.DictWriter(text, names, lineterminator='\n')
    writer.writeheader()
    for row in results['rows']:
        summary, difference = row['summary'], row['difference'] or {}
        first = summary['first_reach_step']['mean']
        writer.writerow({
            'task': row['task'], 'group': row['group'], 'row': row['name'], 'kind': row['kind'],
            'episodes': row['episodes'], 'seeds': row['seeds']['count'],
            'score': summary['score']['mean'], 'score_stderr': summary['score']['stderr'],
            'score_std': summary['score']['std'], 'score_std_over_seeds': row['seeds']['std'],
            'difference': difference.get('mean'), 'difference_stderr': difference.get('stderr'),
            'reference': difference.get('reference'), 'return': summary['return']['mean'],
            'latched_return': summary['latched_return']['mean'],
            'reach_rate': summary['reach_rate'],
            'first_reach_s': None if first is None else (summary['dt_s'] or DT_S) * first,
            'touches': summary['touches']['mean'],
            'wall_crossing_share': summary['wall_crossing_share']['mean'],
            'crossing_plan_rate': summary['crossing_plan_rate'],
            'first_batch_rate': summary['first_batch_rate'],
            'valid_candidates': summary['valid_candidates']['mean'],
            'plan_execution_gap_m': summary['plan_execution_gap']['mean'],
            'latency_p50_s': summary['planning_time_s']['p50'],
            'latency_p95_s': summary['planning_time_s']['p95'],
            'latency_p99_s': summary['planning_time_s']['p99'], 'failure': row['failure']})
    for name, task in results['tasks'].items():
        for other in results['others']['rows']:
            if task['published_as'] in other['scores']:
                writer.writerow({'task': name, 'row': other['name'], 'kind': other['kind'],
                                 'score': other['scores'][task['published_as']],
                                 'source': other['source']})
    return text.getvalue()


def markdown(results: dict, plots: dict[str, str]) -> str:
    """
    Return the report for a reader.

    :param plots: file name to caption.
    """
    meta = results['meta']
    lines = [f'# {meta["description"] or "Benchmark"}', '']
    lines += _state(results)
    lines += ['## Scores', '', markdown_table(_overview(results)), '',
              *(f'- {line}' for line in LEGEND), '']
    for name, caption in plots.items():
        lines += [f'![{caption}]({name})', '', f'*{caption}*', '']
    for name, task in results['tasks'].items():
        rows = [row for row in results['rows'] if row['task'] == name]
        lines += [f'## {task["title"]}', '']
        for position, group in enumerate(dict.fromkeys(row['group'] for row in rows)):
            members = [row for row in rows if row['group'] == group]
            references = {row['reference'] for row in members}
            members = [row for row in rows if row['group'] != group
                       and row['name'] in references] + members
            others = _others(results, task) if position == 0 else []
            table = _without_empty([*_rows(members), *others])
            lines += [f'### {group}', '', markdown_table(table), '']
    lines += ['## What the rows are', '', markdown_table(_settings(results)), '',
              '## Scores of others', '', markdown_table([['row', 'kind', 'source'], *(
                  [other['name'], KINDS[other['kind']], other['source']]
                  for other in results['others']['rows'])]), '',
              results['others']['note'].strip(), '', '## How this was made', '',
              facts_table(meta)]
    return '\n'.join(lines) + '\n'


def text_overview(results: dict) -> str:
    """Return the scores of the first group and those of others as a table for the terminal."""
    return text_table(_overview(results))


def score_cell(row: dict) -> str:
    """Return the score of a row; where there is none, seconds on a map, a return in a maze."""
    measured = row['measured']
    if measured['mean'] is None:
        return 'failed' if row['failure'] else MISSING
    return {'return': 'return {}', SECONDS: '{} s'}.get(measured['name'], '{}').format(
        _with_error(measured, '.2f' if measured['name'] == SECONDS else '.1f'))


def _state(results: dict) -> list[str]:
    """Return what is missing, failed, or measured with other code."""
    meta, lines = results['meta'], []
    for row in results['rows']:
        title = f'**{row["name"]}** [{row["task"] or "?"}]'
        codes = {code for run in row['runs'] for code in run['code']}
        if row['failure']:
            lines.append(f'- {title} FAILED: {row["failure"]}')
        elif row['episodes'] < meta['starts']:
            lines.append(f'- {title} is not finished: {row["episodes"]} of {meta["starts"]} '
                         'starts; its mean is over other starts than that of a finished row')
        if codes - {meta['code']}:
            lines.append(f'- {title} holds episodes of another state of the code: '
                         f'{", ".join(sorted(codes))}')
    return [*lines, ''] if lines else []


def _overview(results: dict) -> list[list[str]]:
    """Return the scores of the first group, rows by tasks, beside those of others, as cells."""
    tasks = list(results['tasks'])
    group = results['rows'][0]['group'] if results['rows'] else None
    rows = [row for row in results['rows'] if row['group'] == group]
    lines = [['row', 'kind', *tasks]]
    for name in dict.fromkeys(row['name'] for row in rows):
        cells = {row['task']: score_cell(row) for row in rows if row['name'] == name}
        kind = next(row['kind'] for row in rows if row['name'] == name)
        lines.append([name, KINDS[kind], *(cells.get(task, MISSING) for task in tasks)])
    for other in results['others']['rows']:
        cells = [number(other['scores'].get(results['tasks'][task]['published_as']), '{:.1f}')
                 for task in tasks]
        if set(cells) != {MISSING}:
            lines.append([other['name'], KINDS[other['kind']], *cells])
    return lines


def _rows(rows: list[dict]) -> list[list[str]]:
    """Return the cells of rows measured here, the header first."""
    lines = [list(HEADER)]
    for row in rows:
        summary, seeds = row['summary'], row['seeds']
        latency = summary['planning_time_s']
        lines.append([
            row['name'], KINDS[row['kind']], str(row['episodes']), score_cell(row),
            MISSING if seeds['std'] is None else f'{seeds["std"]:.1f} ({seeds["count"]} seeds)',
            _difference_cell(row),
            *([MISSING] * 2 if row['measured']['name'] == SECONDS else
              [_with_error(summary['return']), _with_error(summary['latched_return'])]),
            number(summary['reach_rate'], '{:.1f} %', 100.0),
            _with_error(summary['first_reach_step'], '.2f', summary['dt_s'] or DT_S),
            _with_error(summary['touches'], '.2f'),
            _with_error(summary['wall_crossing_share'], '.2f', 100.0),
            number(summary['crossing_plan_rate'], '{:.2f}', 100.0),
            number(summary['first_batch_rate'], '{:.1f}', 100.0),
            _with_error(summary['valid_candidates'], '.1f', 100.0),
            _with_error(summary['plan_execution_gap'], '.1f', 100.0),
            ' / '.join(number(latency[share], '{:.0f}', 1e3) for share in ('p50', 'p95', 'p99')),
        ])
    return lines


def _without_empty(lines: list[list[str]]) -> list[list[str]]:
    """Return a table without the columns that say nothing about any row."""
    kept = [index for index in range(len(lines[0]))
            if any(line[index] != MISSING for line in lines[1:])]
    return [[line[index] for index in kept] for line in lines]


def _difference_cell(row: dict) -> str:
    difference = row['difference']
    if not difference or difference['mean'] is None:
        return MISSING
    pattern = '+.2f' if row['measured']['name'] == SECONDS else '+.1f'
    return f'{_with_error(difference, pattern)} to {difference["reference"]}'


def _others(results: dict, task: dict) -> list[list[str]]:
    """Return the cells of the scores of others, for the same table; the limit is bold."""
    lines = []
    for other in results['others']['rows']:
        score = other['scores'].get(task['published_as'])
        if score is not None:
            name = f'**{other["name"]}**' if other['kind'] == LIMIT else other['name']
            lines.append([name, KINDS[other['kind']], MISSING, f'{score:.1f}', *[MISSING] * 13])
    return lines


def _settings(results: dict) -> list[list[str]]:
    """Return the cells of what each row sets and where its episodes are, a line per run."""
    lines = [['row', 'task', 'checkpoint', 'mean', 'settings', 's / episode', 'episodes']]
    for row in results['rows']:
        for run in row['runs']:
            settings = ', '.join(f'{key} {value}' for key, value in run['settings'].items())
            mean = run.get('score_mean', run.get('return_mean'))
            lines.append([
                row['name'], row['task'], run['checkpoint'] or MISSING, number(mean, '{:.1f}'),
                settings or MISSING, number(row['seconds_per_episode'], '{:.2f}'),
                f'[{run["episodes"]}]({run["journal"]})'])
    return lines


def _with_error(values: dict, pattern: str = '.1f', scale: float = 1.0) -> str:
    if values['mean'] is None:
        return MISSING
    text = f'{scale * values["mean"]:{pattern}}'
    if values['stderr'] is not None:
        text += f' ± {scale * values["stderr"]:{pattern.lstrip("+")}}'
    return text
