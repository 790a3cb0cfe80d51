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

"""The command ``df_planner measure cost``; what it needs is imported when it runs."""

import click

from df_planner.benchmark.measuring import echo_table
from df_planner.benchmark.measuring import markdown_table
from df_planner.benchmark.measuring import measure_options
from df_planner.benchmark.measuring import progress
from df_planner.benchmark.measuring import result_folder
from df_planner.benchmark.measuring import write_result

POSITIVE = click.IntRange(min=1)
JOURNAL_NAME = 'points.jsonl'


@click.command(epilog='\b\nExamples:\n'
               '  df_planner measure cost --checkpoint maze2d-large\n'
               '  df_planner measure cost --checkpoint maze2d-large --out results/cost --resume\n'
               '  df_planner measure cost --checkpoint maze2d-umaze --horizon 800 --horizon 4000 '
               '--candidates 8 --sampling-steps 8 --threads 1')
@click.option('--horizon', 'horizons', type=POSITIVE, multiple=True, show_default=True,
              default=(100, 200, 400, 800, 1600, 4000), help='Control steps; may be repeated.')
@click.option('--candidates', type=POSITIVE, multiple=True, show_default=True,
              default=(1, 2, 4, 8, 16, 32, 64, 128, 256),
              help='Trajectories in a batch; may be repeated.')
@click.option('--sampling-steps', type=POSITIVE, multiple=True, show_default=True,
              default=(1, 2, 4, 8, 16), help='Denoising steps; may be repeated.')
@click.option('--threads', type=POSITIVE, multiple=True, show_default=True, default=(1, 2),
              help='Of the network; may be repeated.')
@click.option('--repeats', type=POSITIVE, default=5, show_default=True,
              help='Timed roll-outs per point; the median counts.')
@click.option('--resume', is_flag=True, help='Keep the points already in --out.')
@measure_options('cost', seed_of='start and noise',
                 files='cost.json, cost.csv, cost.md, cost.png and points.jsonl')
def cost(checkpoint, horizons, candidates, sampling_steps, threads, repeats, resume, seed,
         settings, device, out):
    """
    Measure how the cost of sampling grows.

    One quantity is swept at a time: the horizon, the candidates of a batch, the sampling steps,
    each for every number of threads; meanwhile the others are 400 control steps, 8 candidates and
    the sampling_steps of the planner. What is timed is a roll-out of exactly that size, nothing
    checked or chosen. Beyond the trained length horizons slide, window by window. Memory is the
    peak growth of the resident set in one roll-out. Every point runs in a process of its own, and
    is on disk at once: after Ctrl-C, --resume with the same --out goes on.
    """
    from df_planner.benchmark.assignments import assignments
    from df_planner.benchmark.cost import measure_cost
    from df_planner.benchmark.cost import sweeps
    from df_planner.benchmark.cost_report import cost_table
    from df_planner.benchmark.cost_report import csv_of
    from df_planner.benchmark.cost_report import draw_cost_picture
    from df_planner.benchmark.cost_report import growth
    from df_planner.benchmark.cost_report import growth_lines
    from df_planner.benchmark.cost_report import of_sweeps
    from df_planner.benchmark.evaluate import identity_of
    from df_planner.benchmark.evaluate import Specification
    from df_planner.benchmark.journal import Journal
    from df_planner.benchmark.report import write_text
    from df_planner.training.checkpoint import load_card

    card = load_card(checkpoint)
    specification = Specification(card.maze or '', checkpoint=checkpoint, device=device,
                                  settings=assignments(settings), robot=card.robot)
    swept = sweeps(horizons, candidates, sampling_steps, threads,
                   specification.planner_settings().sampling_steps)
    points = list(dict.fromkeys(point for members in swept.values() for point in members))
    identity = {**identity_of(specification), 'points': [vars(point) for point in points],
                'repeats': repeats, 'seed': seed}
    folder = result_folder('cost', out)
    try:
        with Journal(folder / JOURNAL_NAME, identity, resume) as journal, \
                progress(len(points), 'points') as bar:
            records = measure_cost(checkpoint, device, settings, points, repeats, seed, journal,
                                   lambda: bar.update(1))
    except KeyboardInterrupt:
        click.echo(f'stopped: the finished points are kept in {folder}; the same command with '
                   f'--resume --out {folder} goes on', err=True)
        raise
    by_sweep = of_sweeps(swept, points, records)
    rows, fits = cost_table(by_sweep), growth(by_sweep)
    echo_table(rows)
    for line in growth_lines(fits):
        click.echo(line)
    title = f'Cost of sampling with {checkpoint} on {device}'
    write_text(folder / 'cost.csv', csv_of(rows))
    write_text(folder / 'cost.md', '\n'.join([
        f'# {title}', '', markdown_table(rows), *(f'- {line}' for line in growth_lines(fits)), '',
        '![Growth of time and memory](cost.png)', '']))
    draw_cost_picture(folder / 'cost.png', title, by_sweep)
    write_result(folder / 'cost.json', checkpoint, seed, {
        'settings': specification.planner_settings().model_dump(), 'repeats': repeats,
        'growth': fits, 'records': records})
