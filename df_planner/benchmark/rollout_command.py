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

"""The command ``df_planner measure rollout``; what it needs is imported when it runs."""

import click

from df_planner.benchmark.measuring import echo_table
from df_planner.benchmark.measuring import LIKE_THE_DATA
from df_planner.benchmark.measuring import measure_options
from df_planner.benchmark.measuring import open_point_planner
from df_planner.benchmark.measuring import progress
from df_planner.benchmark.measuring import result_folder
from df_planner.benchmark.measuring import write_result


@click.command(epilog='\b\nExamples:\n'
               '  df_planner measure rollout --checkpoint maze2d-medium\n'
               '  df_planner measure rollout --checkpoint maze2d-umaze --starts 4 --multiples 20')
@click.option('--starts', type=click.IntRange(min=2), default=16, show_default=True,
              help='States of held-out data to roll out from.')
@click.option('--samples', type=click.IntRange(min=1), default=8, show_default=True,
              help='Roll-outs from each of them.')
@click.option('--multiples', type=click.IntRange(min=1), default=10, show_default=True,
              help='Length of a roll-out, in times the trained length.')
@measure_options('rollout', seed_of='held-out data and roll-outs')
def rollout(checkpoint, starts, samples, multiples, seed, settings, device, out):
    """
    Roll out far beyond the trained length and watch for drift.

    A row per trained length, and one for the data: share of positions in walls; share of steps
    beyond what the data do; the gap between a token and where the actions before it lead the
    simulator (median); speed; actions; and distances from the data as distributions. Stable means
    that the rows are alike.
    Ctrl-C reports the roll-outs until then.
    """
    from df_planner.benchmark.held_out import held_out_windows
    from df_planner.benchmark.rollout import measure_rollout
    from df_planner.benchmark.rollout import roll_out
    from df_planner.benchmark.rollout_picture import draw_rollout_picture

    planner, maze = open_point_planner('rollout', checkpoint, device, (*LIKE_THE_DATA, *settings))
    card = planner.card
    windows = held_out_windows(card, max(starts, 200), card.architecture.max_tokens + 1, seed)
    with progress(starts, 'roll-outs') as bar:
        states, actions = roll_out(planner, windows[:starts, 0, :4], multiples, samples, seed,
                                   lambda: bar.update(1))
    done = len(states) // samples
    measured = measure_rollout(maze, card, states, actions, windows)
    folder = result_folder('rollout', out)
    draw_rollout_picture(folder / 'rollout.png', maze, card, states, measured)
    rows = [['length', 'in walls', '+-', 'over limit', 'gap [m]', 'gap [m/s]', 'speed', 'std',
             'action std', 'speed dist.', 'action dist.', 'cell dist.']]
    for label, found in [*((f'{index}x', stretch) for index, stretch in
                           enumerate(measured['stretches'], 1)), ('data', measured['data'])]:
        rows.append([
            label, f'{found["in_walls"]["mean"]:.2%}', f'{found["in_walls"]["stderr"] or 0:.2%}',
            f'{found["over_limit"]["mean"]:.1%}', f'{found["simulated_gap_m"]["mean"]:.3f}',
            f'{found["simulated_gap_mps"]["mean"]:.3f}', f'{found["speed_mps"]["mean"]:.2f}',
            f'{found["speed_std_mps"]["mean"]:.2f}', f'{found["action_std"]["mean"]:.3f}',
            f'{found["speed_distance_mps"]:.3f}', f'{found["action_distance"]:.3f}',
            f'{found["cell_distance"]:.3f}'])
    echo_table(rows)
    write_result(folder / 'rollout.json', checkpoint, seed, {
        'maze': maze.name, 'starts': done, 'samples': samples,
        'trained_length_s': card.architecture.max_tokens * card.frame_stack * card.dt_s,
        'settings': planner.settings.model_dump(), **measured})
    if done < starts:
        raise KeyboardInterrupt
