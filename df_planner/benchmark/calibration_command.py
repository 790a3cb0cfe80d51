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

"""The command ``df_planner measure calibration``; what it needs is imported when it runs."""

import click

from df_planner.benchmark.measuring import echo_table
from df_planner.benchmark.measuring import measure_options
from df_planner.benchmark.measuring import open_point_planner
from df_planner.benchmark.measuring import progress
from df_planner.benchmark.measuring import result_folder
from df_planner.benchmark.measuring import write_result


@click.command(epilog='\b\nExamples:\n'
               '  df_planner measure calibration --checkpoint maze2d-medium\n'
               '  df_planner measure calibration --checkpoint maze2d-medium --temperature 1 '
               '--temperature 1.2\n'
               '  df_planner measure calibration --checkpoint maze2d-umaze --windows 40 '
               '--set sampling_steps=32')
@click.option('--windows', type=click.IntRange(min=2), default=200, show_default=True,
              help='Held-out windows, each as long as the model was trained for.')
@click.option('--samples', type=click.IntRange(min=2), default=32, show_default=True,
              help='Futures sampled of each window.')
@click.option('--plans', type=click.IntRange(min=1), default=50, show_default=True,
              help='Plans that are executed without replanning, to check Plan.uncertainty.')
@click.option('--temperature', 'temperatures', multiple=True, default=(1.0, 1.2),
              show_default=True, type=click.FloatRange(0.0, 2.0, min_open=True),
              help='Standard deviation of the noise that is denoised; may be repeated.')
@measure_options('calibration', seed_of='held-out windows and samples')
def calibration(checkpoint, windows, samples, plans, temperatures, seed, settings, device, out):
    """
    Check whether the model's uncertainty can be believed.

    Futures are sampled of held-out windows, given the start, or start and end. Their central 50 to
    95 % intervals should hold the truth as often as that; the calibration error is the mean
    distance from it. Intervals by ranks (quantiles of the samples) and as a Gaussian. Last come
    plans: whether a robot that executes one to its end stays within Plan.uncertainty.
    Ctrl-C reports the windows and plans until then.
    """
    from df_planner.benchmark.calibration import CHANNELS
    from df_planner.benchmark.calibration import CONDITIONS
    from df_planner.benchmark.calibration import CURVE
    from df_planner.benchmark.calibration import KINDS
    from df_planner.benchmark.calibration import measure_calibration
    from df_planner.benchmark.calibration import NOMINAL
    from df_planner.benchmark.calibration_picture import draw_calibration_picture
    from df_planner.benchmark.held_out import held_out_windows
    from df_planner.benchmark.plan_calibration import EXECUTIONS
    from df_planner.benchmark.plan_calibration import measure_plans

    planner, maze = open_point_planner('calibration', checkpoint, device, settings)
    card = planner.card
    truth = held_out_windows(card, windows, card.architecture.max_tokens, seed)
    with progress(windows * len(temperatures) * len(CONDITIONS), 'windows') as bar:
        measured = measure_calibration(planner, truth, temperatures, samples, seed,
                                       lambda: bar.update(1))
    if not measured['results']:
        raise KeyboardInterrupt
    planned = {'plans': 0, 'stopped': True, **dict.fromkeys(EXECUTIONS)}
    if not measured['stopped']:
        with progress(plans, 'plans') as bar:
            planned = measure_plans(planner, maze, plans, seed, lambda: bar.update(1))
    folder = result_folder('calibration', out)
    draw_calibration_picture(folder / 'calibration.png', maze, measured, truth[0],
                             card.frame_stack * card.dt_s)
    rows = [['given, temperature, part, kind', *(f'{p:.0%}' for p in NOMINAL), 'error']]
    for result in measured['results']:
        for part in CHANNELS:
            for kind in KINDS:
                found = result[part][kind]
                rows.append([f'{result["condition"]}, {result["temperature"]:g}, {part}, {kind}',
                             *(f'{share:.1%}' for share in found['coverage']),
                             f'{found["calibration_error"]:.3f}'])
    for execution in EXECUTIONS:
        if planned[execution]:
            rows.append([f'Plan.uncertainty, executed {execution}',
                         *(f'{share:.1%}' for share in planned[execution]['coverage']), ''])
    echo_table(rows)
    write_result(folder / 'calibration.json', checkpoint, seed, {
        'maze': maze.name, 'windows': windows, 'samples': samples,
        'settings': planner.settings.model_dump(), 'token_s': card.frame_stack * card.dt_s,
        'nominal': NOMINAL, 'curve_at': CURVE, 'results': measured['results'],
        'executed_plans': planned})
    if planned['stopped']:
        raise KeyboardInterrupt
