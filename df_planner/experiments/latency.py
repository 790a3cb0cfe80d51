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
Latency of plans: where the time goes, and a comparison with a slow reference sampler.

    df_planner profile --checkpoint point --maze large
    df_planner measure latency --checkpoint point --maze large

Both time cold and warm plans from the same starts (see ``plan_timing.py``). The reference takes
turns with the planner, so that other work on the machine cancels in the ratio.
"""

from collections.abc import Sequence
from pathlib import Path
import time

import click
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter
import numpy as np
import torch

from df_planner.console import examples
from df_planner.console import markdown_table
from df_planner.console import text_table
from df_planner.diffusion.runtime.names import BACKENDS
from df_planner.evaluation.machine import machine_facts
from df_planner.evaluation.metrics import statistics
from df_planner.experiments import common
from df_planner.experiments import plan_timing as timing
from df_planner.experiments.as_published import AsPublished
from df_planner.files import replace_files
from df_planner.planning.planner import Planner
from df_planner.planning.settings import settings_for
from df_planner.sim.maze import Maze

# Guided sampling as it is published: every step of every candidate is steered by a gradient that
# goes back through the network, and every candidate starts from pure noise.
REFERENCE_SETTINGS = {
    'num_samples': 64, 'sampling_steps': 16, 'schedule': 'full_sequence',
    'guidance_scale': 1.0, 'guidance_from': 1.0, 'guidance_to': 0.0, 'guide_goal': 1.0,
    'guide_clearance': 1.0, 'select_by': 'reward'}
MOST_AS_PUBLISHED = 5  # times that a plan as published is timed: each takes seconds
COLORS = {timing.COLD: '#1f77ff', timing.WARM: '#ee4b3a'}
STYLES = {timing.REFERENCE: ':', timing.PLANNER: '-'}
PART_COLORS = ('#1f77ff', '#a23bd8', '#ffb000', '#12a594', '#ee4b3a', '#5b6470', '#8c564b')
REST_COLOR = '#c4c7cf'
BUSY = 0.5  # load average before a run, from which on a report says so
THREADS = click.option('--threads', type=click.IntRange(min=1), default=1, help='Of the network.')


def summarize(records: list[dict]) -> list[dict]:
    """Return a summary per kind of plan and planner; ratios are to the reference."""
    summaries = []
    for kind in (timing.COLD, timing.WARM):
        for who in (timing.REFERENCE, timing.PLANNER):
            if members := timing.of(records, kind, who):
                compared = [timing.ratios(records, kind, name) if who == timing.PLANNER else []
                            for name in ('seconds', 'cpu_s')]
                means = [float(np.mean([record['seconds'] for record in some]))
                         for some in (members, timing.of(records, kind, timing.REFERENCE)) if some]
                summaries.append({
                    'kind': kind, 'who': who, **timing.summary_of(members),
                    'ratio_of_means': means[0] / means[1] if len(means) == 2 else None,
                    'ratio': _spread(compared[0]), 'cpu_ratio': _spread(compared[1])})
    return summaries


def _spread(values: list[float]) -> dict:
    """Return the statistics of ratios, with the tenth and the ninetieth percentile."""
    low, high = np.percentile(values, (10, 90)).tolist() if values else (None, None)
    return {**statistics(values), 'p10': low, 'p90': high}


def latency_table(summaries: list[dict]) -> list[list[str]]:
    """Return the summaries as rows of text, the header first; ratios only beside a reference."""
    rows = [['plans', 'of', 'number', 'valid', 'p50 [ms]', 'p95 [ms]', 'p99 [ms]', 'max [ms]',
             'mean [ms]', 'CPU p50 [ms]', 'calls', 'ms per call', 'candidates', 'ratio',
             '10..90 %', 'of means', 'CPU ratio', 'faster']]
    for found in summaries:
        latency, ratio, cpu = found['latency_s'], found['ratio'], found['cpu_ratio']
        compared = ['-'] * 5 if ratio['count'] == 0 else [
            f'{ratio["p50"]:.3f}', f'{ratio["p10"]:.3f}..{ratio["p90"]:.3f}',
            f'{found["ratio_of_means"]:.3f}', f'{cpu["p50"]:.3f}', f'{1.0 / ratio["p50"]:.1f}x']
        rows.append([
            found['kind'], found['who'], str(latency['count']), f'{found["valid"]:.0%}',
            *(f'{1e3 * latency[name]:.1f}' for name in ('p50', 'p95', 'p99', 'max', 'mean')),
            f'{1e3 * found["cpu_s"]["p50"]:.1f}', f'{found["calls"]["mean"]:.1f}',
            f'{1e3 * found["call_s"]:.2f}', f'{found["candidates"]["mean"]:.1f}', *compared])
    is_alone = all(found['who'] == timing.PLANNER for found in summaries)
    return [row[:-5] for row in rows] if is_alone else rows


def parts_table(summaries: list[dict]) -> list[list[str]]:
    """Return where the time of a mean plan goes as rows of text, the header first."""
    names = dict.fromkeys(name for found in summaries for name in found['parts_s'])
    whole = [sum(found['parts_s'].values()) for found in summaries]
    return [
        ['where the time goes', *(f'{found["kind"]}, {found["who"]} {unit}'
                                  for found in summaries for unit in ('[ms]', '[%]'))],
        *([name, *(text for found, total in zip(summaries, whole)
                   for value in [found['parts_s'].get(name, 0.0)]
                   for text in (f'{1e3 * value:.2f}', f'{100.0 * value / total:.1f}'))]
          for name in names),
        ['mean', *(text for total in whole for text in (f'{1e3 * total:.2f}', '100.0'))]]


def draw_latency_picture(path: Path, title: str, records: list[dict], summaries: list[dict]
                         ) -> None:
    """Draw latency, and its parts or the ratio to the reference, to a PNG file."""
    figure = Figure(figsize=(11.0, 4.2), layout='constrained', facecolor='white')
    left, right = figure.subplots(1, 2)
    _draw_distribution(left, {
        f'{found["kind"]}, {found["who"]}': (
            [record['seconds'] for record in timing.of(records, found['kind'], found['who'])],
            COLORS[found['kind']], STYLES[found['who']]) for found in summaries})
    if any(found['who'] == timing.REFERENCE for found in summaries):
        _draw_ratios(right, records)
    else:
        _draw_parts(right, {found['kind']: found['parts_s'] for found in summaries})
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=120)


def _draw_distribution(axis, lines: dict[str, tuple[Sequence[float], str, str]]) -> None:
    """Draw the share of plans within a time, of lines by label: (seconds, colour, style)."""
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


def _draw_parts(axis, split: dict[str, dict[str, float]]) -> None:
    """Draw a bar per kind of plan, stacked of its parts, in shares of its mean."""
    names = dict.fromkeys(name for parts in split.values() for name in parts)
    others = [name for name in names if name not in (timing.NETWORK, timing.REST)]
    names = [timing.NETWORK, *others, timing.REST]
    left = np.zeros(len(split))
    for name, color in zip(names, [*PART_COLORS[:len(names) - 1], REST_COLOR]):
        shares = np.array([100.0 * parts.get(name, 0.0) / sum(parts.values())
                           for parts in split.values()])
        axis.barh(range(len(split)), shares, left=left, height=0.5, color=color, label=name)
        left += shares
    axis.set_yticks(range(len(split)), [
        f'{kind}\n{1e3 * sum(parts.values()):.0f} ms' for kind, parts in split.items()])
    axis.set(xlabel='share of a mean plan [%]', xlim=(0.0, 100.0))
    axis.invert_yaxis()
    axis.legend(fontsize=8, frameon=False, ncols=2, loc='upper center',
                bbox_to_anchor=(0.5, -0.15))
    axis.spines[['top', 'right']].set_visible(False)


def _draw_ratios(axis, records: list[dict]) -> None:
    for kind, color in COLORS.items():
        found = np.sort(timing.ratios(records, kind))
        if len(found):
            axis.plot(100.0 * (np.arange(len(found)) + 0.5) / len(found), found, 'o-',
                      markersize=3, color=color, label=f'{kind}: median {np.median(found):.3f}')
    axis.axhline(1.0, color='black', linewidth=0.8)
    axis.set(yscale='log', xlabel='share of starts [%]', ylabel='time of planner / reference')
    axis.grid(True, which='both', linewidth=0.3)
    axis.legend(fontsize=8, frameon=False)
    axis.spines[['top', 'right']].set_visible(False)


def _as_published(seconds: list[float], summaries: list[dict]) -> str:
    """Return how plans compare with one as published, as text."""
    median_s = float(np.median(seconds))
    faster = ', '.join(f'{found["kind"]} {median_s / found["latency_s"]["p50"]:.0f}'
                       for found in summaries if found['who'] == timing.PLANNER)
    return (f'network calls of one plan at the settings of the paper, in the same run: '
            f'{1e3 * min(seconds):.0f}..{1e3 * max(seconds):.0f} ms, p50 {1e3 * median_s:.0f} ms; '
            f'times faster, p50: {faster}')


def _measure(name: str, planners: dict[str, Planner], maze: Maze, plans: int, rounds: int,
             seed: int, out: Path | None, checkpoint: str, facts: dict,
             published: AsPublished | None = None) -> None:
    """
    Time plans, then print and write the tables, the picture and ``results.json``.

    :param published: timed between the first drives.
    """
    machine, published_s = machine_facts(), []
    planner = planners[timing.PLANNER]
    starts = timing.full_starts(maze, plans, seed, planner.settings.goal_tolerance_m,
                                planner.card.robot)
    with common.progress(len(planners) * plans * rounds, 'drives') as advance:
        def on_drive() -> None:
            advance()
            if published is not None and len(published_s) < MOST_AS_PUBLISHED:
                published_s.append(published.seconds())
        measured = timing.time_plans(planners, starts, rounds, seed, on_drive)
    records = measured['records']
    if not records:
        raise KeyboardInterrupt
    summaries = summarize(records)
    facts = {**facts, 'device': planner.device, 'rounds': rounds, 'torch': torch.__version__}
    title = f'{checkpoint}: ' + ', '.join(f'{key} {value}' for key, value in facts.items())
    notes = ['first plans after loading, not counted: '
             + ', '.join(f'{1e3 * seconds:.0f}' for seconds in measured['first_plans']) + ' ms']
    if timing.REFERENCE in planners:
        notes.append('ratio: planner / reference from start to start, median and where 80 % of '
                     'the starts lie; reference: ' + ', '.join(
                         f'{key} {value}' for key, value in REFERENCE_SETTINGS.items()))
    if published_s:
        notes.append(_as_published(published_s, summaries))
    if machine['load_average'] > BUSY:
        notes.append(f'the machine was busy before: load average {machine["load_average"]}; '
                     'compare ratios only')
    tables = [latency_table(summaries), parts_table(summaries)]
    click.echo('\n\n'.join([title, *map(text_table, tables), *notes]))
    folder = common.result_folder(name, out)
    replace_files({folder / 'report.md': '\n\n'.join([
        f'# Latency of {title}', *map(markdown_table, tables), *notes, f'![Latency]({name}.png)',
        markdown_table([['what', 'value'], *map(list, machine.items())])]) + '\n'})
    draw_latency_picture(folder / f'{name}.png', title, records, summaries)
    common.write_result(folder / 'results.json', checkpoint, seed, {
        'maze': maze.name, **facts, 'first_plans_s': measured['first_plans'],
        'as_published_s': published_s,
        'settings': {who: chosen.settings.model_dump() for who, chosen in planners.items()},
        'summary': summaries, 'records': records})
    if measured['stopped']:
        raise KeyboardInterrupt


@click.command(epilog=examples(
    'df_planner profile --checkpoint point --maze large',
    'df_planner profile --checkpoint point --maze large --plans 10 --threads 2',
    'df_planner profile --checkpoint point --set num_samples=16 --set sampling_steps=4'))
@click.option('--plans', type=click.IntRange(min=1), default=50,
              help='Starts of the benchmark to plan from, each cold and, 0.25 s later, warm.')
@THREADS
@click.option('--backend', type=click.Choice(BACKENDS), default='auto',
              help='What evaluates the network; auto is the fastest.')
@common.measure_options('profile', seed_of='starts and plans',
                        files='results.json, report.md and profile.png')
def profile(checkpoint, maze, plans, threads, backend, seed, settings, device, out):
    """
    Show how long plans take, and where the time goes.

    Cold: a full plan to the goal, with no plan in hand. Warm: the next plans, 0.25 s apart, as
    while driving: from the planned position, with the rest of the plan in hand. Starts are those
    of the benchmark that are away from their goal.

    The parts: network calls; guidance (the gradient of the reward, back through the network);
    checks, interpolation and choice; the sampler's own arithmetic, preparation and the rest.
    After Ctrl-C the report is of the plans until then.
    """
    started = time.perf_counter()
    planner, maze = common.open_planner(checkpoint, maze, device, settings, threads, backend)
    _measure('profile', {timing.PLANNER: planner}, maze, plans, 1, seed, out, checkpoint, {
        'threads': threads, 'backend': backend, 'load_s': time.perf_counter() - started})


@click.command(epilog=examples(
    'df_planner measure latency --checkpoint point --maze large',
    'df_planner measure latency --checkpoint point --maze large --plans 5 --rounds 1',
    'df_planner measure latency --checkpoint point --maze large --set sampling_steps=4'))
@click.option('--plans', type=click.IntRange(min=1), default=15,
              help='Starts of the benchmark to plan from.')
@click.option('--rounds', type=click.IntRange(min=1), default=2,
              help='Turns of both on every start; a start counts with its median.')
@THREADS
@common.measure_options('latency', seed_of='starts and plans',
                        files='results.json, report.md and latency.png')
def latency(checkpoint, maze, plans, rounds, threads, seed, settings, device, out):
    """
    Compare latency with a slow reference sampler.

    Times plans as `df_planner profile` does, beside a reference: the same model with 64 candidates
    of which the best by reward is taken, 16 sampling steps, all tokens at once, and every step
    steered by a gradient (goal and clearance) that goes back through the network, evaluated by
    torch. The planner has its defaults, changed by --set. They take turns on the same starts, so
    that other work on the machine cancels in the ratio.
    The ratio is planner / reference, from start to start: the median and where 80 % of the starts
    lie. Between them, a plan's worth of network calls at the settings of the method's paper is
    timed: 12 layers, 81 tokens, 129 calls with their gradients, random weights. After Ctrl-C the
    report is of the plans until then.
    """
    reference, _ = common.open_planner(checkpoint, maze, device, threads=threads, backend='torch')
    planner, maze = common.open_planner(checkpoint, maze, device, settings, threads)
    reference.settings = settings_for(planner.card.robot, planner.card.robot_radius_m,
                                      **REFERENCE_SETTINGS)
    _measure('latency', {timing.REFERENCE: reference, timing.PLANNER: planner}, maze, plans,
             rounds, seed, out, checkpoint, {'threads': threads},
             AsPublished(planner.space.part_sizes, planner.device))
