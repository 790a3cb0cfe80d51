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

"""The command ``df_planner measure inpainting``; what it needs is imported when it runs."""

import click

from df_planner.benchmark.measuring import echo_table
from df_planner.benchmark.measuring import LIKE_THE_DATA
from df_planner.benchmark.measuring import measure_options
from df_planner.benchmark.measuring import open_point_planner
from df_planner.benchmark.measuring import progress
from df_planner.benchmark.measuring import result_folder
from df_planner.benchmark.measuring import write_result


@click.command(epilog='\b\nExamples:\n'
               '  df_planner measure inpainting --checkpoint maze2d-medium\n'
               '  df_planner measure inpainting --checkpoint maze2d-umaze --windows 20 '
               '--samples 8\n'
               '  df_planner measure inpainting --checkpoint maze2d-medium --set '
               'sampling_steps=32')
@click.option('--windows', type=click.IntRange(min=2), default=200, show_default=True,
              help='Held-out windows, each as long as the model was trained for.')
@click.option('--samples', type=click.IntRange(min=1), default=16, show_default=True,
              help='Samples of each window.')
@measure_options('inpainting', seed_of='held-out windows and samples')
def inpainting(checkpoint, windows, samples, seed, settings, device, out):
    """
    Hide parts of held-out motion and fill them in.

    Hidden are the middle half; all but start, end and two way-points; all but the start. Compared
    with the truth: every sample, the best of them, their mean, and straight lines and splines
    through what is known. A seam's jump is in units of what the data do (99.95 % quantile).
    Ctrl-C reports the windows until then.
    """
    from df_planner.benchmark.held_out import held_out_windows
    from df_planner.benchmark.inpainting import measure_inpainting
    from df_planner.benchmark.inpainting import TASKS
    from df_planner.benchmark.inpainting_picture import draw_inpainting_picture

    planner, maze = open_point_planner('inpainting', checkpoint, device,
                                       (*LIKE_THE_DATA, *settings))
    card = planner.card
    truth = held_out_windows(card, windows, card.architecture.max_tokens, seed)
    with progress(windows * len(TASKS), 'windows') as bar:
        measured = measure_inpainting(planner, maze, truth, samples, seed, lambda: bar.update(1))
    if not measured['summary']:
        raise KeyboardInterrupt
    folder = result_folder('inpainting', out)
    draw_inpainting_picture(folder / 'inpainting.png', maze, measured)
    rows = [['hidden, method', 'error [m]', '+-', 'median', 'in walls', 'crossing', 'seam jump',
             'over limit']]
    for task, methods in measured['summary'].items():
        for method, found in methods.items():
            error = found['error_m']
            rows.append([
                f'{task}, {method}', f'{error["mean"]:.3f}', f'{error["stderr"] or 0.0:.3f}',
                f'{error["p50"]:.3f}', f'{found["in_walls"]["mean"]:.2%}',
                f'{found["crosses_wall"]["mean"]:.1%}', f'{found["seam_jump"]["mean"]:.2f}',
                f'{found["seam_over_limit"]["mean"]:.1%}'])
    echo_table(rows)
    write_result(folder / 'inpainting.json', checkpoint, seed, {
        'maze': maze.name, 'windows': windows, 'samples': samples,
        'settings': planner.settings.model_dump(), 'summary': measured['summary']})
    if measured['stopped']:
        raise KeyboardInterrupt
