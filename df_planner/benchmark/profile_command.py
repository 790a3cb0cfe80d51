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

"""The command ``df_planner profile``; what it needs is imported when it runs."""

import time

import click

from df_planner.benchmark.measuring import echo_table
from df_planner.benchmark.measuring import markdown_table
from df_planner.benchmark.measuring import measure_options
from df_planner.benchmark.measuring import open_planner
from df_planner.benchmark.measuring import progress
from df_planner.benchmark.measuring import result_folder
from df_planner.benchmark.measuring import write_result
from df_planner.diffusion.backend_names import BACKENDS


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
    import torch

    from df_planner.benchmark.machine import machine_facts
    from df_planner.benchmark.plan_timing import full_starts
    from df_planner.benchmark.latency_profile import measure_profile
    from df_planner.benchmark.latency_profile import parts_table
    from df_planner.benchmark.latency_profile import profile_table
    from df_planner.benchmark.latency_profile import summarize_profile
    from df_planner.benchmark.profile_picture import draw_profile_picture
    from df_planner.benchmark.report import write_text

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
    write_text(folder / 'report.md', '\n'.join([
        f'# Profile of {title}', '', *(markdown_table(table) for table in tables), apart + '.', '',
        '![Latency and its parts](profile.png)', '',
        markdown_table([('what', 'value'), *((key, str(value)) for key, value in facts.items())]),
    ]))
    draw_profile_picture(folder / 'profile.png', title, measured['records'], summary)
    write_result(folder / 'results.json', checkpoint, seed, {
        'maze': maze.name, 'threads': threads, 'device': planner.device, 'backend': backend,
        'settings': planner.settings.model_dump(), 'load_s': load_s,
        'first_plans_s': measured['first_plans'], 'summary': summary,
        'records': measured['records']})
    if measured['stopped']:
        raise KeyboardInterrupt
