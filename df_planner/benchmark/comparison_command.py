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

"""The command ``df_planner measure latency``; what it needs is imported when it runs."""

import click

from df_planner.benchmark.measuring import echo_table
from df_planner.benchmark.measuring import markdown_table
from df_planner.benchmark.measuring import measure_options
from df_planner.benchmark.measuring import open_planner
from df_planner.benchmark.measuring import progress
from df_planner.benchmark.measuring import result_folder
from df_planner.benchmark.measuring import write_result


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
    import torch

    from df_planner.benchmark.comparison import comparison_table
    from df_planner.benchmark.comparison import measure_comparison
    from df_planner.benchmark.comparison import PLANNER
    from df_planner.benchmark.comparison import REFERENCE
    from df_planner.benchmark.comparison import REFERENCE_SETTINGS
    from df_planner.benchmark.comparison import summarize_comparison
    from df_planner.benchmark.comparison_picture import draw_comparison_picture
    from df_planner.benchmark.machine import machine_facts
    from df_planner.benchmark.plan_timing import full_starts
    from df_planner.benchmark.report import write_text
    from df_planner.planning.settings import settings_for

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
    write_text(folder / 'report.md', '\n'.join([
        f'# {title}', '', markdown_table(rows),
        'ratio: planner / reference from start to start, median and where 80 % of the starts '
        f'lie; {len({record["start"] for record in records})} starts, {rounds} rounds in turns.',
        '', '![Latency and its ratio](latency.png)', '',
        markdown_table([('what', 'value'), *((key, str(value)) for key, value in facts.items())]),
    ]))
    draw_comparison_picture(folder / 'latency.png', title, records)
    write_result(folder / 'results.json', checkpoint, seed, {
        'maze': maze.name, 'threads': threads, 'device': planner.device, 'rounds': rounds,
        'settings': {who: chosen.settings.model_dump() for who, chosen in compared.items()},
        'summary': summaries, 'records': records})
    if stopped:
        raise KeyboardInterrupt
