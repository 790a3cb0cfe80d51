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
from pathlib import Path

import click
from matplotlib.figure import Figure
import numpy as np
import torch

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
from df_planner.experiments.latency_profile import COLORS
from df_planner.experiments.latency_profile import draw_distribution
from df_planner.experiments.plan_timing import COLD
from df_planner.experiments.plan_timing import full_starts
from df_planner.experiments.plan_timing import time_drive
from df_planner.experiments.plan_timing import WARM
from df_planner.files import replace_files
from df_planner.planning.planner import Planner
from df_planner.planning.settings import settings_for

REFERENCE, PLANNER = 'reference', 'planner'
# Guided sampling as it is published: every step of every candidate is steered by a gradient that
# goes back through the network, and every candidate starts from pure noise.
REFERENCE_SETTINGS = {
    'num_samples': 64, 'sampling_steps': 16, 'schedule': 'full_sequence', 'warm_start': 0.0,
    'guidance_scale': 1.0, 'guidance_from': 1.0, 'guidance_to': 0.0, 'guide_goal': 0.0,
    'guide_clearance': 1.0, 'predict_horizon': False}


def measure_comparison(planners: dict[str, Planner], starts: Starts, rounds: int, seed: int,
                       on_drive: Callable[[], None] = lambda: None) -> tuple[list[dict], bool]:
    """
    Time cold and warm plans of several planners in turns.

    :param planners: by the name of who is compared; the first start is planned from once by each
        before anything counts.
    :param rounds: of turns on every start.
    :param on_drive: called after every cold plan with its warm ones.
    :returns: records of ``time_drive`` with ``who``, ``start`` and ``round``, and whether Ctrl-C
        ended it early.
    """
    records: list[dict] = []
    try:
        for planner in planners.values():
            time_drive(planner, starts.state[0], starts.goal[0], seed)
        for index, (state, goal) in enumerate(zip(starts.state, starts.goal)):
            for turn in range(rounds):
                for who, planner in planners.items():
                    records += [{'who': who, 'start': index, 'round': turn, **record}
                                for record in time_drive(planner, state, goal, seed)]
                    on_drive()
    except KeyboardInterrupt:
        return records, True
    return records, False


def summarize_comparison(records: list[dict]) -> list[dict]:
    """Return one summary per kind of plan and who made it; ratios are to the reference."""
    return [_summary(records, kind, who) for kind in (COLD, WARM) for who in (REFERENCE, PLANNER)
            if _of(records, kind, who)]


def comparison_table(summaries: list[dict]) -> list[list[str]]:
    """Return the summaries as rows of text, the header first."""
    rows = [['plans', 'of', 'number', 'valid', 'p50 [ms]', 'p95 [ms]', 'p99 [ms]', 'mean [ms]',
             'CPU [ms]', 'calls', 'candidates', 'ratio', '10..90 %', 'of means', 'CPU ratio',
             'faster']]
    for found in summaries:
        latency, ratio, cpu = found['latency_s'], found['ratio'], found['cpu_ratio']
        if found['who'] == REFERENCE:
            compared = ['1', '', '1', '1', '']
        elif ratio['count'] == 0:
            compared = ['-'] * 5
        else:
            compared = [f'{ratio["p50"]:.3f}', f'{ratio["p10"]:.3f}..{ratio["p90"]:.3f}',
                        f'{found["ratio_of_means"]:.3f}', f'{cpu["p50"]:.3f}',
                        f'{1.0 / ratio["p50"]:.1f}x']
        rows.append([
            found['kind'], found['who'], str(latency['count']), f'{found["valid"]:.0%}',
            *(f'{1e3 * latency[name]:.1f}' for name in ('p50', 'p95', 'p99', 'mean')),
            f'{1e3 * found["cpu_s"]["mean"]:.1f}', f'{found["calls"]["mean"]:.1f}',
            f'{found["candidates"]["mean"]:.1f}', *compared])
    return rows


def ratios(records: list[dict], kind: str, name: str = 'seconds') -> list[float]:
    """Return planner / reference of every start both planned from, of its plans the median."""
    reference, planner = (_by_start(_of(records, kind, who), name)
                          for who in (REFERENCE, PLANNER))
    return [planner[start] / reference[start] for start in sorted(planner) if start in reference]


def _summary(records: list[dict], kind: str, who: str) -> dict:
    members = _of(records, kind, who)
    means = {name: np.mean([record['seconds'] for record in _of(records, kind, name)] or [np.nan])
             for name in (REFERENCE, PLANNER)}
    of_means = float(means[who] / means[REFERENCE])
    return {
        'kind': kind, 'who': who,
        'latency_s': statistics([record['seconds'] for record in members]),
        'cpu_s': statistics([record['cpu_s'] for record in members]),
        'valid': float(np.mean([record['valid'] for record in members])),
        'calls': statistics([record['calls'] for record in members]),
        'candidates': statistics([record['candidates'] for record in members]),
        'ratio_of_means': of_means if np.isfinite(of_means) else None,
        'ratio': _spread(ratios(records, kind) if who == PLANNER else []),
        'cpu_ratio': _spread(ratios(records, kind, 'cpu_s') if who == PLANNER else []),
    }


def _spread(values: list[float]) -> dict:
    """Return the statistics of ratios, with the tenth and the ninetieth percentile."""
    return {**statistics(values), 'p10': float(np.percentile(values, 10)) if values else None,
            'p90': float(np.percentile(values, 90)) if values else None}


def _of(records: list[dict], kind: str, who: str) -> list[dict]:
    return [record for record in records if record['kind'] == kind and record['who'] == who]


def _by_start(records: list[dict], name: str) -> dict[int, float]:
    """Return the median of a field over all plans from a start, by start."""
    values: dict[int, list[float]] = {}
    for record in records:
        values.setdefault(record['start'], []).append(record[name])
    return {start: float(np.median(several)) for start, several in values.items()}


STYLES = {REFERENCE: ':', PLANNER: '-'}


def draw_comparison_picture(path: Path, title: str, records: list[dict]) -> None:
    """
    Draw to a PNG file.

    :param records: of ``measure_comparison``.
    """
    figure = Figure(figsize=(11.0, 4.2), layout='constrained', facecolor='white')
    left, right = figure.subplots(1, 2)
    lines = {}
    for kind, color in COLORS.items():
        for who, style in STYLES.items():
            seconds = [record['seconds'] for record in records
                       if record['kind'] == kind and record['who'] == who]
            if seconds:
                lines[f'{kind}, {who}'] = seconds, color, style
        found = np.sort(ratios(records, kind))
        if len(found):
            right.plot(100.0 * (np.arange(len(found)) + 0.5) / len(found), found, 'o-',
                       markersize=3, color=color, label=f'{kind}: median {np.median(found):.3f}')
    draw_distribution(left, lines)
    right.axhline(1.0, color='black', linewidth=0.8)
    right.set(yscale='log', xlabel='share of starts [%]', ylabel='time of planner / reference')
    right.grid(True, which='both', linewidth=0.3)
    right.legend(fontsize=8, frameon=False)
    right.spines[['top', 'right']].set_visible(False)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=120)


@click.command(epilog='\b\nExamples:\n'
               '  df_planner measure latency --checkpoint maze2d-large\n'
               '  df_planner measure latency --checkpoint maze2d-large --plans 5 --rounds 1\n'
               '  df_planner measure latency --checkpoint maze2d-large --set sampling_steps=4')
@click.option('--plans', type=click.IntRange(min=1), default=15, show_default=True,
              help='Starts of the benchmark to plan from.')
@click.option('--rounds', type=click.IntRange(min=1), default=2, show_default=True,
              help='Turns of both on every start; a start counts with its median.')
@click.option('--threads', type=click.IntRange(min=1), default=1, show_default=True,
              help='Of the network.')
@measure_options('latency', seed_of='starts and plans',
                 files='results.json, report.md and latency.png')
def latency(checkpoint, plans, rounds, threads, seed, settings, device, out):
    """
    Compare latency with a slow reference sampler.

    The reference: up to 64 candidates, in batches of up to 8 until one is valid (on average some
    22 cold and 8 warm with maze2d-large), 16 sampling steps, all tokens at once, every candidate
    from pure noise, and every step steered by a gradient (clearance) that goes back through the
    network, evaluated by torch. The planner: its defaults, changed by --set. They take turns on
    the same starts, so that other work on the machine cancels in the ratio; cold and warm plans as
    in `df_planner profile`.
    The ratio is planner / reference, from start to start: the median and where 80 % of
    the starts lie; CPU counts only the time that the processor gave. Ctrl-C reports what there is.
    """
    planner, maze = open_planner(checkpoint, device, settings, threads)
    starts = full_starts(maze, plans, seed, planner.settings.goal_tolerance_m,
                         planner.card.robot)
    reference, _ = open_planner(checkpoint, device, threads=threads, backend='torch')
    reference.settings = settings_for(planner.card.robot, planner.card.robot_radius_m,
                                      **REFERENCE_SETTINGS)
    compared = {REFERENCE: reference, PLANNER: planner}
    with progress(2 * plans * rounds, 'drives') as bar:
        records, stopped = measure_comparison(compared, starts, rounds, seed,
                                              lambda: bar.update(1))
    if not records:
        raise KeyboardInterrupt
    summaries = summarize_comparison(records)
    rows = comparison_table(summaries)
    folder = result_folder('latency', out)
    title = (f'Latency of {checkpoint}, {threads} thread{"s" if threads > 1 else ""}, '
             f'{planner.device}, torch {torch.__version__}')
    click.echo(title)
    echo_table(rows)
    facts = {**machine_facts(), 'threads': threads, 'device': planner.device,
             'reference': ', '.join(f'{key} {value}' for key, value in
                                    REFERENCE_SETTINGS.items()),
             'planner': ', '.join(settings) or 'defaults'}
    replace_files({folder / 'report.md': '\n'.join([
        f'# {title}', '', markdown_table(rows),
        'ratio: planner / reference from start to start, median and where 80 % of the starts '
        f'lie; {len({record["start"] for record in records})} starts, {rounds} rounds in turns.',
        '', '![Latency and its ratio](latency.png)', '',
        markdown_table([('what', 'value'), *((key, str(value)) for key, value in facts.items())]),
    ])})
    draw_comparison_picture(folder / 'latency.png', title, records)
    write_result(folder / 'results.json', checkpoint, seed, {
        'maze': maze.name, 'threads': threads, 'device': planner.device, 'rounds': rounds,
        'settings': {who: chosen.settings.model_dump() for who, chosen in compared.items()},
        'summary': summaries, 'records': records})
    if stopped:
        raise KeyboardInterrupt
