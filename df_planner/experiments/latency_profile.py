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

from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path
import time

import click
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter
import numpy as np
import torch

from df_planner.diffusion.runtime.names import BACKENDS
from df_planner.driving.replanner import Replanner
from df_planner.evaluation.machine import machine_facts
from df_planner.evaluation.metrics import statistics
from df_planner.evaluation.protocol import Starts
from df_planner.experiments.common import echo_table
from df_planner.experiments.common import markdown_table
from df_planner.experiments.common import measure_options
from df_planner.experiments.common import open_planner
from df_planner.experiments.common import progress
from df_planner.experiments.common import result_folder
from df_planner.experiments.common import write_result
from df_planner.experiments.plan_timing import COLD
from df_planner.experiments.plan_timing import full_starts
from df_planner.experiments.plan_timing import NETWORK
from df_planner.experiments.plan_timing import REST
from df_planner.experiments.plan_timing import time_drive
from df_planner.experiments.plan_timing import time_plan
from df_planner.experiments.plan_timing import WARM
from df_planner.files import replace_files
from df_planner.planning.planner import Planner

FIRST_PLANS = 3  # after loading, reported apart


def measure_profile(planner: Planner, starts: Starts, seed: int,
                    on_start: Callable[[], None] = lambda: None) -> dict:
    """
    Time a cold plan and a warm one from every start; what is done is returned after Ctrl-C, too.

    :param seed: of the planner's noise.
    :param on_start: called after every start.
    :returns: ``first_plans`` (seconds of the first plans, all from the first start), ``records``
        of ``time_drive`` with the ``start`` they belong to, ``stopped``.
    """
    first: list[float] = []
    records: list[dict] = []
    stopped = False
    try:
        for _ in range(FIRST_PLANS):
            replanner = Replanner(planner, seed=seed)
            replanner.reset(starts.goal[0])
            first.append(time_plan(replanner, starts.state[0], 0)[0]['seconds'])
        for index, (state, goal) in enumerate(zip(starts.state, starts.goal)):
            records += [{'start': index, **record}
                        for record in time_drive(planner, state, goal, seed)]
            on_start()
    except KeyboardInterrupt:
        stopped = True
    return {'first_plans': first, 'records': records, 'stopped': stopped}


def summarize_profile(records: list[dict]) -> dict[str, dict]:
    """Return the summary of the plans of each kind there is: ``cold`` and ``warm``."""
    return {kind: _summary([record for record in records if record['kind'] == kind])
            for kind in (COLD, WARM) if any(record['kind'] == kind for record in records)}


def profile_table(summary: dict[str, dict]) -> list[list[str]]:
    """Return latency, network calls and candidates as rows of text, the header first."""
    rows = [['plans', 'number', 'valid', 'p50 [ms]', 'p95 [ms]', 'p99 [ms]', 'max [ms]',
             'CPU p50 [ms]', 'calls', 'ms per call', 'candidates']]
    for kind, found in summary.items():
        latency = found['latency_s']
        rows.append([kind, str(latency['count']), f'{found["valid"]:.0%}',
                     *(f'{1e3 * latency[name]:.1f}' for name in ('p50', 'p95', 'p99', 'max')),
                     f'{1e3 * found["cpu_s"]["p50"]:.1f}', f'{found["calls"]["mean"]:.1f}',
                     f'{1e3 * found["call_s"]:.2f}', f'{found["candidates"]["mean"]:.1f}'])
    return rows


def parts_table(summary: dict[str, dict]) -> list[list[str]]:
    """Return where the time of a mean plan goes as rows of text, the header first."""
    rows = [['where the time goes', *(text for kind in summary
                                      for text in (f'{kind} [ms]', f'{kind} [%]'))]]
    for name in dict.fromkeys(name for found in summary.values() for name in found['parts_s']):
        cells = []
        for found in summary.values():
            value = found['parts_s'].get(name, 0.0)
            share = value / sum(found['parts_s'].values())
            cells += [f'{1e3 * value:.2f}', f'{100.0 * share:.1f}']
        label = name
        if name == NETWORK:
            label += ' (' + ', '.join(
                f'{kind} {found["calls"]["mean"]:.1f} x {1e3 * found["call_s"]:.2f} ms'
                for kind, found in summary.items()) + ')'
        rows.append([label, *cells])
    return [*rows, ['mean', *(
        text for found in summary.values()
        for text in (f'{1e3 * sum(found["parts_s"].values()):.2f}', '100.0'))]]


def _summary(records: list[dict]) -> dict:
    """Return the numbers of the plans of one kind; parts are means."""
    names = list(dict.fromkeys(name for record in records for name in record['parts']))
    return {
        'latency_s': statistics([record['seconds'] for record in records]),
        'cpu_s': statistics([record['cpu_s'] for record in records]),
        'valid': float(np.mean([record['valid'] for record in records])),
        'calls': statistics([record['calls'] for record in records]),
        'candidates': statistics([record['candidates'] for record in records]),
        'call_s': _per_call(records),
        'parts_s': {name: float(np.mean([record['parts'][name] for record in records]))
                    for name in names},
    }


def _per_call(records: list[dict]) -> float:
    """Return the mean seconds of a network call."""
    return (sum(record['network_s'] for record in records)
            / max(1, sum(record['calls'] for record in records)))


COLORS = {'cold': '#1f77ff', 'warm': '#ee4b3a'}
PART_COLORS = ('#1f77ff', '#a23bd8', '#ffb000', '#12a594', '#ee4b3a', '#5b6470', '#8c564b')
REST_COLOR = '#c4c7cf'


def draw_profile_picture(path: Path, title: str, records: list[dict], summary: dict[str, dict]
                         ) -> None:
    """
    Draw to a PNG file.

    :param records: of ``time_drive``, and ``summary`` of ``summarize_profile``.
    """
    figure = Figure(figsize=(11.0, 4.2), layout='constrained', facecolor='white')
    left, right = figure.subplots(1, 2)
    draw_distribution(left, {kind: ([record['seconds'] for record in records
                                     if record['kind'] == kind], COLORS[kind], '-')
                             for kind in summary})
    _draw_parts(right, summary)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=120)


def draw_distribution(axis, lines: dict[str, tuple[Sequence[float], str, str]]) -> None:
    """
    Draw the share of plans that are made within a time, on a logarithmic axis.

    :param lines: by label: seconds of every plan, colour, line style.
    """
    for label, (seconds, color, style) in lines.items():
        ordered = 1e3 * np.sort(seconds)
        share = np.arange(1, len(ordered) + 1) / len(ordered)
        axis.step(np.concatenate([ordered[:1], ordered]), np.concatenate([[0.0], share]),
                  where='post', color=color, linestyle=style,
                  label=f'{label}: p50 {np.percentile(ordered, 50):.0f} ms, '
                        f'p99 {np.percentile(ordered, 99):.0f} ms')
    axis.set_xscale('log')
    axis.xaxis.set_major_formatter(LogFormatter())
    axis.set(xlabel='time for a plan [ms]', ylabel='share of plans', ylim=(0.0, 1.02))
    axis.grid(True, which='both', linewidth=0.3)
    axis.legend(fontsize=8, frameon=False, loc='lower right')
    axis.spines[['top', 'right']].set_visible(False)


def _draw_parts(axis, summary: dict[str, dict]) -> None:
    """Draw a bar per kind of plan, stacked of its parts, in shares of its mean."""
    names = list(dict.fromkeys(name for found in summary.values() for name in found['parts_s']))
    names = [NETWORK, *(name for name in names if name not in (NETWORK, REST)), REST]
    split = {kind: found['parts_s'] for kind, found in summary.items() if found['parts_s']}
    left = np.zeros(len(split))
    for index, name in enumerate(names):
        shares = np.array([100.0 * parts.get(name, 0.0) / sum(parts.values())
                           for parts in split.values()])
        color = REST_COLOR if name == REST else PART_COLORS[index % len(PART_COLORS)]
        axis.barh(range(len(split)), shares, left=left, height=0.5, color=color, label=name)
        left += shares
    axis.set_yticks(range(len(split)), [
        f'{kind}\n{1e3 * sum(parts.values()):.0f} ms' for kind, parts in split.items()])
    axis.set(xlabel='share of a mean plan [%]', xlim=(0.0, 100.0))
    axis.invert_yaxis()
    axis.legend(fontsize=8, frameon=False, ncols=2, loc='upper center',
                bbox_to_anchor=(0.5, -0.15))
    axis.spines[['top', 'right']].set_visible(False)


@click.command(epilog='\b\nExamples:\n'
               '  df_planner profile --checkpoint maze2d-large\n'
               '  df_planner profile --checkpoint maze2d-large --plans 10 --threads 2\n'
               '  df_planner profile --checkpoint maze2d-medium --set num_samples=16 '
               '--set sampling_steps=4')
@click.option('--plans', type=click.IntRange(min=1), default=50, show_default=True,
              help='Starts of the benchmark to plan from, each cold and, 0.25 s later, warm.')
@click.option('--threads', type=click.IntRange(min=1), default=1, show_default=True,
              help='Of the network.')
@click.option('--backend', type=click.Choice(BACKENDS), default='auto', show_default=True,
              help='What evaluates the network; auto is the fastest.')
@measure_options('profile', seed_of='starts and plans',
                 files='results.json, report.md and profile.png')
def profile(checkpoint, plans, threads, backend, seed, settings, device, out):
    """
    Show how long plans take, and where the time goes.

    Cold: a full plan to the goal with nothing in hand. Warm: the next one, as while driving,
    0.25 s later, from where the plan says the robot is, with the rest of the plan in hand. Starts
    are those of the benchmark, but for the ones at the goal already. The first plans after loading
    are reported apart.

    The parts: network calls; guidance (the gradient of the reward, back through the network);
    checks, interpolation and choice; the sampler's own arithmetic, preparation and the rest.
    Ctrl-C reports what there is until then.
    """
    started = time.perf_counter()
    planner, maze = open_planner(checkpoint, device, settings, threads, backend)
    load_s = time.perf_counter() - started
    starts = full_starts(maze, plans, seed, planner.settings.goal_tolerance_m,
                         planner.card.robot)
    with progress(plans, 'starts') as bar:
        measured = measure_profile(planner, starts, seed, lambda: bar.update(1))
    if not measured['records']:
        raise KeyboardInterrupt
    summary = summarize_profile(measured['records'])
    folder = result_folder('profile', out)
    title = (f'{checkpoint}, {threads} thread{"s" if threads > 1 else ""}, {planner.device}, '
             f'backend {backend}, torch {torch.__version__}')
    apart = (f'reported apart: {load_s:.2f} s to load; the first plans after that took '
             + ', '.join(f'{1e3 * seconds:.0f}' for seconds in measured['first_plans'])
             + ' ms, all from the first start')
    tables = profile_table(summary), parts_table(summary)
    click.echo(title)
    for table in tables:
        echo_table(table)
        click.echo()
    click.echo(apart)
    facts = {**machine_facts(), 'threads': threads, 'device': planner.device, 'backend': backend}
    replace_files({folder / 'report.md': '\n'.join([
        f'# Profile of {title}', '', *(markdown_table(table) for table in tables), apart + '.', '',
        '![Latency and its parts](profile.png)', '',
        markdown_table([('what', 'value'), *((key, str(value)) for key, value in facts.items())]),
    ])})
    draw_profile_picture(folder / 'profile.png', title, measured['records'], summary)
    write_result(folder / 'results.json', checkpoint, seed, {
        'maze': maze.name, 'threads': threads, 'device': planner.device, 'backend': backend,
        'settings': planner.settings.model_dump(), 'load_s': load_s,
        'first_plans_s': measured['first_plans'], 'summary': summary,
        'records': measured['records']})
    if measured['stopped']:
        raise KeyboardInterrupt
