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

"""The command ``df_planner measure noise``; what it needs is imported when it runs."""

import click

from df_planner.benchmark.measuring import echo_table
from df_planner.benchmark.measuring import journal_of_drives
from df_planner.benchmark.measuring import measure_options
from df_planner.benchmark.measuring import open_point_planner
from df_planner.benchmark.measuring import progress
from df_planner.benchmark.measuring import result_folder
from df_planner.benchmark.measuring import RESUME
from df_planner.benchmark.measuring import write_result


@click.command(epilog='\b\nExamples:\n'
               '  df_planner measure noise --checkpoint maze2d-medium\n'
               '  df_planner measure noise --checkpoint maze2d-umaze --episodes 10 --noise 0.1 '
               '--execution tracking')
@click.option('--episodes', type=click.IntRange(min=1), default=30, show_default=True,
              help='Fixed starts, the same for every noise, execution and pin.')
@click.option('--noise', 'stds', multiple=True, type=click.FloatRange(min=0.0),
              default=(0.0, 0.02, 0.05, 0.1, 0.2), show_default=True,
              help='Standard deviation, in m of the position and in m/s of the velocity; may be '
                   'repeated.')
@click.option('--execution', 'executions', multiple=True, default=('raw', 'tracking'),
              show_default=True, type=click.Choice(['raw', 'tracking', 'time_optimal']),
              help='May be repeated.')
@RESUME
@measure_options('noise', seed_of='starts, noise and plans',
                 files='noise.json, noise.png and drives.jsonl')
def noise(checkpoint, episodes, stds, executions, resume, seed, settings, device, out):
    """
    Drive with noisy odometry, known to be noisy or taken for exact.

    The policy sees state plus noise, new in every control step, the simulator is the truth. Pins:
    exact (the noisy state at noise level 0) and matched (at the level that its noise amounts to,
    so that planning filters it). A position that noise puts into a wall is drawn again.
    Every drive is on disk at once: after Ctrl-C, --resume with the same --out goes on.
    """
    from df_planner.benchmark.odometry_noise import arms_at
    from df_planner.benchmark.odometry_noise import measure_noise
    from df_planner.benchmark.odometry_noise_picture import draw_noise_picture

    planner, maze = open_point_planner('noise', checkpoint, device, settings)
    total = episodes * len(executions) * sum(len(arms_at(std)) for std in stds)
    folder = result_folder('noise', out)
    with journal_of_drives(folder, checkpoint, device, settings, resume, episodes=episodes,
                           noise_stds=stds, executions=executions, seed=seed) as journal, \
            progress(total, 'drives') as bar:
        results = measure_noise(planner, maze, episodes, stds, executions, seed, journal,
                                lambda: bar.update(1))
    draw_noise_picture(folder / 'noise.png', results)
    rows = [['noise, execution, pin', 'score', '+-', 'reached', 'failed plans', 'redrawn',
             'matched less exact']]
    for result in results:
        for arm in arms_at(result['noise_std']):
            found = result[arm]
            rows.append([
                f'{result["noise_std"]:g}, {result["execution"]}, {arm}',
                f'{found["score"]["mean"]:.1f}', f'{found["score"]["stderr"] or 0.0:.1f}',
                f'{found["reached"]:.0%}', f'{found["failed_plans"]:.1f}',
                f'{found["redrawn_share"]:.1%}',
                f'{result["difference"]["mean"]:+.1f} +- {result["difference"]["stderr"] or 0:.1f}'
                if arm == 'matched' else ''])
    echo_table(rows)
    write_result(folder / 'noise.json', checkpoint, seed, {
        'maze': maze.name, 'settings': planner.settings.model_dump(), 'results': results})
