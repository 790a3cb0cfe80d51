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
How the cost of sampling grows with horizon, candidates and sampling steps.

    df_planner measure cost --checkpoint point --maze large
"""

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path
import time

import click
from matplotlib.figure import Figure
import numpy as np

from df_planner.console import examples
from df_planner.console import refuse_given
from df_planner.console import RESUME
from df_planner.console import text_table
from df_planner.evaluation.jobs import processes
from df_planner.evaluation.journal import Journal
from df_planner.evaluation.protocol import sample_starts
from df_planner.experiments import common

BASE_HORIZON_STEPS, BASE_CANDIDATES = 400, 8  # while something else is swept
FAR_STEPS = 800  # from here on the growth with the horizon is fitted
FITTED_FROM = {'horizon_steps': (0, FAR_STEPS), 'candidates': (BASE_CANDIDATES,),
               'sampling_steps': (0,)}
LABELS = {'horizon_steps': 'horizon [control steps]', 'candidates': 'candidates',
          'sampling_steps': 'sampling steps'}
COLORS = ('#1f77ff', '#ee4b3a', '#12a594', '#a23bd8', '#ffb000')
HEADER = ['sweep', 'horizon [steps]', 'candidates', 'sampling steps', 'threads', 'time [ms]',
          'min', 'max', 'calls', 'ms per call', 'peak memory [MiB]']
POSITIVE = click.IntRange(min=1)


@dataclass(frozen=True)
class Point:
    """What is measured: roll-outs of control steps x candidates, on so many threads."""

    horizon_steps: int
    candidates: int
    sampling_steps: int
    threads: int


def sweeps(horizons: Sequence[int], candidates: Sequence[int], sampling_steps: Sequence[int],
           threads: Sequence[int], base_sampling_steps: int) -> dict[str, list[Point]]:
    """Return the points of each sweep, one quantity after the other, for all thread counts."""
    base = {'horizon_steps': BASE_HORIZON_STEPS, 'candidates': BASE_CANDIDATES,
            'sampling_steps': base_sampling_steps}
    return {name: [Point(**{**base, name: value}, threads=count)
                   for count in sorted(set(threads)) for value in sorted(set(values))]
            for name, values in (('horizon_steps', horizons), ('candidates', candidates),
                                 ('sampling_steps', sampling_steps))}


def measure_cost(checkpoint: str, maze: str, device: str, settings: Sequence[str],
                 points: list[Point], repeats: int, seed: int, journal: Journal,
                 on_point: Callable[[], None] = lambda: None) -> list[dict]:
    """
    Measure every point that the journal lacks and return the records of all, in their order.

    :param repeats: timed roll-outs per point, after one that is not.
    :param on_point: called after every point, also for those that were there.
    """
    for index, point in enumerate(points):
        if index not in journal.episodes:
            with processes(1) as (process,):
                record = process.submit(measure_point, checkpoint, maze, device, settings,
                                        point, repeats, seed).result()
            journal.add({'record': {'episode': index, **asdict(point), **record}})
        on_point()
    return [journal.episodes[index]['record'] for index in range(len(points))]


def measure_point(checkpoint: str, maze: str, device: str, settings: Sequence[str],
                  point: Point, repeats: int, seed: int) -> dict:
    """
    Return the numbers of one point, to be called in a process that has done nothing else.

    They are ``seconds`` of every repetition, ``calls`` of the network, ``call_s`` (mean of a
    call, median of repetitions) and ``peak_mib``, by how much memory grew at most in the first,
    untimed repetition; None where the system does not tell.
    """
    planner, place = common.open_planner(checkpoint, maze, device, settings, point.threads)
    planner.settings = planner.settings.model_copy(update={'sampling_steps': point.sampling_steps})
    starts = sample_starts(place, 1, seed, robot=planner.card.robot)

    def roll_out() -> float:
        started = time.perf_counter()
        planner.rollout(starts.state[0], point.horizon_steps, point.candidates, seed)
        return time.perf_counter() - started

    before_mib = _reset_peak_mib()
    roll_out()
    peak_mib = None if before_mib is None else _peak_mib() - before_mib
    seconds, call_s = [], []
    for _ in range(repeats):
        seconds.append(roll_out())
        call_s.append(planner.clock.spent_s['network'] / planner.clock.network_calls)
    return {'seconds': seconds, 'calls': planner.clock.network_calls,
            'call_s': float(np.median(call_s)), 'peak_mib': peak_mib}


def growth_exponent(records: Sequence[dict], name: str, least: float = 0.0) -> float | None:
    """
    Return k of seconds ~ value^k, fitted to the medians from ``least`` on; None for one value.

    :param name: of the swept quantity.
    """
    known = [(record[name], np.median(record['seconds'])) for record in records
             if record[name] >= least]
    if len({value for value, _ in known}) < 2:
        return None
    values, seconds = np.log(np.array(known)).T
    return float(np.polyfit(values, seconds, 1)[0])


def _reset_peak_mib() -> float | None:
    """Forget the peak of this process's memory and return what it holds; None but on Linux."""
    try:
        Path('/proc/self/clear_refs').write_text('5', encoding='ascii')
        return _peak_mib()
    except OSError:
        return None


def _peak_mib() -> float:
    # psutil does not know it.
    lines = Path('/proc/self/status').read_text(encoding='ascii').splitlines()
    return next(int(line.split()[1]) / 1024.0 for line in lines if line.startswith('VmHWM:'))


def cost_table(by_sweep: dict[str, list[dict]]) -> list[list[str]]:
    """Return one row of text per point and sweep, the header first; times are medians."""
    return [HEADER, *(
        [name.replace('_', ' '), *(str(record[key]) for key in (
            'horizon_steps', 'candidates', 'sampling_steps', 'threads')),
         *(f'{1e3 * value:.1f}' for value in (
             np.median(record['seconds']), min(record['seconds']), max(record['seconds']))),
         str(record['calls']), f'{1e3 * record["call_s"]:.2f}',
         '-' if record['peak_mib'] is None else f'{record["peak_mib"]:.1f}']
        for name, records in by_sweep.items() for record in records)]


def growth(by_sweep: dict[str, list[dict]]) -> list[dict]:
    """Return the fitted growth exponents: of every sweep and thread count, from a value on."""
    return [{'sweep': name, 'threads': threads, 'from': least,
             'exponent': growth_exponent(_on(records, threads), name, least)}
            for name, records in by_sweep.items()
            for threads in sorted({record['threads'] for record in records})
            for least in FITTED_FROM[name]]


def growth_lines(fits: list[dict]) -> list[str]:
    """Return the growth exponents as sentences."""
    return [f'time ~ {fit["sweep"].replace("_", " ")} ^ {fit["exponent"]:.2f}'
            + (f' from {fit["from"]} on' if fit['from'] else '')
            + f', {fit["threads"]} thread{"s" if fit["threads"] > 1 else ""}'
            for fit in fits if fit['exponent'] is not None]


def draw_cost_picture(path: Path, title: str, by_sweep: dict[str, list[dict]]) -> None:
    """Draw time over each swept quantity, and memory over the horizon, all axes logarithmic."""
    figure = Figure(figsize=(11.0, 8.0), layout='constrained', facecolor='white')
    axes = figure.subplots(2, 2).ravel()
    for axis, (name, records) in zip(axes, by_sweep.items()):
        for color, threads in zip(COLORS, sorted({record['threads'] for record in records})):
            _draw_line(axis, name, _on(records, threads), threads, color)
        axis.set(xlabel=LABELS[name], ylabel='time of a batch [ms]')
        axis.legend(fontsize=8, frameon=False)
    for style, name in (('o-', 'horizon_steps'), ('s--', 'candidates')):
        fewest = min((record['threads'] for record in by_sweep[name]), default=1)
        known = [record for record in _on(by_sweep[name], fewest)
                 if record['peak_mib'] is not None and record['peak_mib'] > 0.0]
        axes[3].plot([record[name] for record in known], [record['peak_mib'] for record in known],
                     style, color=COLORS[0], markersize=4, label=f'over {LABELS[name]}')
    axes[3].set(xlabel='value', ylabel='peak growth of memory [MiB]')
    axes[3].legend(fontsize=8, frameon=False)
    for axis in axes:
        axis.set(xscale='log', yscale='log')
        axis.grid(True, which='both', linewidth=0.3)
        axis.spines[['top', 'right']].set_visible(False)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=120)


def _draw_line(axis, name: str, records: list[dict], threads: int, color: str) -> None:
    """Draw medians with the range of the repetitions, and the fit of the far horizons."""
    values = np.array([record[name] for record in records])
    seconds = [np.array(record['seconds']) for record in records]
    medians = 1e3 * np.array([np.median(several) for several in seconds])
    axis.errorbar(values, medians, [medians - [1e3 * several.min() for several in seconds],
                                    [1e3 * several.max() for several in seconds] - medians],
                  color=color, marker='o', markersize=4, capsize=2, linewidth=1.2,
                  label=f'{threads} thread{"s" if threads > 1 else ""}')
    least = FITTED_FROM[name][-1]
    exponent = growth_exponent(records, name, least)
    if exponent is not None:
        far = values[values >= least]
        level = np.exp(np.mean(np.log(medians[values >= least]) - exponent * np.log(far)))
        axis.plot(far, level * far ** exponent, ':', color=color,
                  label=f'grows with the power {exponent:.2f}'
                        + (f' from {least} on' if least else ''))


def _on(records: list[dict], threads: int) -> list[dict]:
    return [record for record in records if record['threads'] == threads]


@click.command(epilog=examples(
    'df_planner measure cost --checkpoint point --maze large',
    'df_planner measure cost --checkpoint point --maze large --out results/cost --resume',
    'df_planner measure cost --checkpoint point --maze umaze --horizon 800 --horizon 4000 '
    '--candidates 8 --sampling-steps 8 --threads 1'))
@click.option('--horizon', 'horizons', type=POSITIVE, multiple=True,
              default=(100, 200, 400, 800, 1600, 4000), help='Control steps; may be repeated.')
@click.option('--candidates', type=POSITIVE, multiple=True,
              default=(1, 2, 4, 8, 16, 32, 64, 128, 256),
              help='Trajectories in a batch; may be repeated.')
@click.option('--sampling-steps', type=POSITIVE, multiple=True,
              default=(1, 2, 4, 8, 16), help='Denoising steps; may be repeated.')
@click.option('--threads', type=POSITIVE, multiple=True, default=(1, 2),
              help='Of the network; may be repeated.')
@click.option('--repeats', type=POSITIVE, default=5,
              help='Timed roll-outs per point; the median counts.')
@RESUME
@common.measure_options('cost', seed_of='start and noise',
                        files='cost.json, cost.png and points.jsonl')
def cost(checkpoint, maze, horizons, candidates, sampling_steps, threads, repeats, resume, seed,
         settings, device, out):
    """
    Measure how the cost of sampling grows.

    One quantity is swept at a time, for every number of threads: the horizon, the candidates of a
    batch, the sampling steps. The others are 400 control steps, 8 candidates and the planner's
    sampling_steps. A roll-out of exactly that size is timed; nothing is checked or chosen.
    Horizons beyond the trained length go on window by window. Memory is the peak growth of the
    resident set in one roll-out. Every point runs in a process of its own and is on disk at once:
    after Ctrl-C, --resume with the same --out goes on.
    """
    specification = common.specification_of(checkpoint, maze, device, settings)
    chosen = specification.planner_settings
    swept = sweeps(horizons, candidates, sampling_steps, threads, chosen.sampling_steps)
    points = list(dict.fromkeys(point for members in swept.values() for point in members))
    if out is None:
        refuse_given('without --out, where the run is that goes on', 'resume')
    folder = common.result_folder('cost', out)
    with common.open_journal(folder / 'points.jsonl', specification, resume, repeats=repeats,
                             seed=seed, points=[vars(point) for point in points]) as kept, \
            common.progress(len(points), 'points') as advance:
        records = measure_cost(checkpoint, maze, device, settings, points, repeats, seed, kept,
                               advance)
    by_sweep = {name: [records[points.index(point)] for point in members]
                for name, members in swept.items()}
    fits = growth(by_sweep)
    click.echo('\n'.join([text_table(cost_table(by_sweep)), *growth_lines(fits)]))
    draw_cost_picture(folder / 'cost.png', f'Cost of sampling with {checkpoint} on {device}',
                      by_sweep)
    common.write_result(folder / 'cost.json', checkpoint, seed, {
        'settings': chosen.model_dump(), 'repeats': repeats, 'growth': fits, 'records': records})
