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

"""What ``df_planner report`` writes: a table per goal in Markdown, and the series as CSV."""

from collections.abc import Sequence
import csv
from pathlib import Path

import numpy as np

from df_planner.console import markdown_table
from df_planner.drives import metrics
from df_planner.drives.bag import Drive
from df_planner.drives.picture import draw_drive

MAX_PROBLEMS = 10
MISSING = '–'


def write_report(drive: Drive, bag: Path, out: Path, goal_radius_m: float) -> list[list[str]]:
    """
    Write report.md, report.png, legs.csv, drive.csv and plans.csv into a folder.

    :returns: the table of the goals, headings first.
    """
    out.mkdir(parents=True, exist_ok=True)
    errors, found = metrics.tracking_errors(drive), metrics.legs(drive, goal_radius_m)
    records = [metrics.leg_record(drive, leg, errors) for leg in found]
    _write_csv(out / 'legs.csv', list(records[0]) if records else ['goal_x_m'],
               [list(record.values()) for record in records])
    _write_csv(out / 'drive.csv',
               ['time_s', 'x_m', 'y_m', 'vx_mps', 'vy_mps', 'tracking_error_m'],
               [[*row, None if np.isnan(error) else error] for row, error in zip(
                   np.column_stack([drive.times_s, drive.states]).tolist(), errors.tolist())])
    _write_csv(out / 'plans.csv', ['heard_s', 'start_s', 'duration_s', 'points', 'end_x_m',
                                   'end_y_m', 'planning_time_s', 'uncertainty_mean_m',
                                   'uncertainty_max_m'], _plan_rows(drive))
    draw_drive(out / 'report.png', drive, found, errors, goal_radius_m, _title(bag))
    table = _table(records)
    (out / 'report.md').write_text(
        _markdown(drive, bag, _overall(drive, found, errors, goal_radius_m), table),
        encoding='utf-8')
    return table


def _plan_rows(drive: Drive) -> list[list]:
    rows = []
    for plan in drive.plans:
        discs = metrics.uncertainty_of(drive, plan)
        spread = [None, None] if discs is None else [discs.radii_m.mean(), discs.radii_m.max()]
        where = [None] * 4 if not len(plan) else [
            plan.times_s[0], plan.times_s[-1] - plan.times_s[0], *plan.states[-1, :2]]
        rows.append([plan.heard_s, *where[:2], len(plan), *where[2:], plan.planning_time_s,
                     *spread])
    return rows


def _table(records: Sequence[dict]) -> list[list[str]]:
    rows = [['goal [m]', 'reached', 'way [m]', 'top speed', 'plans', 'planning p50 / p95',
             'error mean / max', 'uncertainty']]
    for r in records:
        rows.append([
            f'({r["goal_x_m"]:.1f}, {r["goal_y_m"]:.1f})',
            f'{r["time_s"]:.2f} s' if r['reached'] else 'no',
            f'{r["path_m"]:.2f}', f'{r["top_speed_mps"]:.1f} m/s', str(r['plans']),
            f'{_scaled(r["planning_p50_s"], 1e3)} / {_scaled(r["planning_p95_s"], 1e3)} ms',
            f'{_scaled(r["tracking_error_mean_m"], 1e2, 1)} / '
            f'{_scaled(r["tracking_error_max_m"], 1e2, 1)} cm',
            f'{_scaled(r["uncertainty_mean_m"], 1e2, 1)} cm'])
    return rows


def _overall(drive: Drive, found: Sequence[metrics.Leg], errors: np.ndarray, goal_radius_m: float
             ) -> list[list[str]]:
    """Return the table of the whole bag; times and errors are those on the way to goals."""
    plans = [plan for plan in drive.plans if plan.planning_time_s is not None]
    on_way = metrics.on_the_way(drive, found, [plan.heard_s for plan in plans])
    durations_s = [p.planning_time_s for p, counts in zip(plans, on_way) if counts]
    known = errors[~np.isnan(errors) & metrics.on_the_way(drive, found, drive.times_s)]
    reached = sum(leg.reached_row is not None for leg in found)
    overall = [
        ['', 'value'],
        ['goals reached', f'{reached} of {len(found)} (within {goal_radius_m:g} m)'],
        ['time in the bag', f'{drive.times_s[-1] - drive.times_s[0]:.1f} s'],
        ['plans; of them "brake"',
         f'{len(drive.plans)}; {sum(len(plan) == 0 for plan in drive.plans)}'],
        ['planning time p50 / p95 / p99, on the way',
         _quantiles(durations_s, (0.5, 0.95, 0.99), 1e3) + ' ms'],
        ['tracking error p50 / p95 / max, on the way',
         _quantiles(known, (0.5, 0.95, 1.0), 1e2) + ' cm']]
    if drive.clock_jumps:
        overall.append(['jumps of the clock', f'{drive.clock_jumps}; the longest stretch between '
                        'them is reported'])
    return overall


def _markdown(drive: Drive, bag: Path, overall: list[list[str]], table: list[list[str]]) -> str:
    problems = [['how often', 'warning or error in the diagnostics'],
                *([str(count), words.replace('|', '/')]
                  for words, count in list(drive.problems.items())[:MAX_PROBLEMS])]
    parts = [f'# {_title(bag)}', markdown_table(overall), '## Goals', markdown_table(table),
             'Way, plans, planning time, error and uncertainty (mean radius of the 95 % discs) '
             'until the goal was reached. Not recorded: ' + MISSING + '.']
    if drive.problems:
        parts += ['## Diagnostics', markdown_table(problems)]
    parts += ['![The drive](report.png)',
              'Series: [legs.csv](legs.csv), [drive.csv](drive.csv), [plans.csv](plans.csv).']
    return '\n\n'.join(parts) + '\n'


def _title(bag: Path) -> str:
    """Return the name of a bag with that of its run, since every run's bag is called so."""
    return f'{bag.parent.name}/{bag.name}'


def _scaled(value: float | None, factor: float, digits: int = 0) -> str:
    return MISSING if value is None else f'{factor * value:.{digits}f}'


def _quantiles(values: Sequence[float], shares: Sequence[float], factor: float) -> str:
    return ' / '.join(_scaled(metrics.quantile(values, share), factor, 1) for share in shares)


def _write_csv(path: Path, head: list[str], rows: list[list]) -> None:
    """Write rows, numbers to the microsecond or micrometre, empty for what is not known."""
    with path.open('w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(head)
        writer.writerows([[round(float(value), 6) if isinstance(value, float) else value
                           for value in row] for row in rows])
