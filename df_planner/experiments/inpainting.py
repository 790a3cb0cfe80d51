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
Hide parts of held-out motion and fill them in, beside straight lines and splines.

    df_planner measure inpainting --checkpoint point
"""

from collections.abc import Callable
from pathlib import Path

import click
from matplotlib.figure import Figure
import numpy as np
from scipy.interpolate import CubicHermiteSpline
from scipy.interpolate import CubicSpline

from df_planner.console import examples
from df_planner.console import text_table
from df_planner.evaluation.metrics import statistics
from df_planner.evaluation.picture import draw_walls
from df_planner.experiments import common
from df_planner.model.checkpoint import ModelCard
from df_planner.planning.curves import interpolate
from df_planner.planning.planner import Planner
from df_planner.planning.reconstruction import reconstruct
from df_planner.sim.maze import Maze

POSITION, VELOCITY = 0, 1  # columns of a mask of known parts; the third is the actions
TASKS = ('middle', 'way-points', 'future')
COLORS = {'truth': '#111111', 'sample': '#1f77ff', 'best': '#0b3d91', 'mean': '#5fa4f5',
          'linear': '#ffb000', 'spline': '#d1344b'}  # by method
MEASURES = ('error_m', 'in_walls', 'crosses_wall', 'seam_jump', 'seam_over_limit')
SHOWN_WINDOWS = 4


def known_mask(task: str, num_tokens: int) -> np.ndarray:
    """Return which parts (position, velocity, actions) are shown, bool (num_tokens, 3)."""
    mask = np.zeros((num_tokens, 3), bool)
    mask[0, [POSITION, VELOCITY]] = True
    if task == 'middle':
        mask[:num_tokens // 4] = mask[-(num_tokens // 4):] = True
    elif task == 'way-points':
        mask[[num_tokens // 3, 2 * num_tokens // 3, -1], POSITION] = True
    return mask


def linear(states: np.ndarray, mask: np.ndarray, token_s: float) -> np.ndarray:
    """
    Return states (T, 4) on straight lines between the known positions; after the last, at rest.

    :param states: (T, 4), read where the mask of known parts (T, 3) is True.
    """
    tokens = np.arange(len(states))
    at = np.flatnonzero(mask[:, POSITION])
    position = np.stack([np.interp(tokens, at, states[at, axis]) for axis in range(2)], axis=1)
    velocity = np.gradient(position, token_s, axis=0)
    return np.where(np.repeat(mask[:, :2], 2, axis=1), states,
                    np.concatenate([position, velocity], axis=1))


def spline(states: np.ndarray, mask: np.ndarray, token_s: float) -> np.ndarray:
    """
    Return states (T, 4) on a cubic curve through what is known; with the start only, straight on.

    Hermite's cubics where every known position has its velocity, else the cubic spline that starts
    with the known velocity. The arguments are those of ``linear``.
    """
    at = np.flatnonzero(mask[:, POSITION])
    times_s = token_s * np.arange(len(states))
    position, velocity = states[at, :2], states[at, 2:]
    if len(at) == 1:
        straight = position + times_s[:, None] * velocity
        return np.concatenate([straight, np.tile(velocity, (len(states), 1))], axis=1)
    if mask[at, VELOCITY].all():
        curve = CubicHermiteSpline(times_s[at], position, velocity)
    else:
        curve = CubicSpline(times_s[at], position, bc_type=((1, velocity[0]), (2, np.zeros(2))))
    return np.concatenate([curve(times_s), curve(times_s, 1)], axis=1)


def seams(mask: np.ndarray) -> np.ndarray:
    """Return which steps (T - 1,) lead from something known to nothing known, or back."""
    known = mask.any(axis=1)
    return known[1:] != known[:-1]


def measures(filled: np.ndarray, truth: np.ndarray, mask: np.ndarray, maze: Maze,
             card: ModelCard) -> dict[str, float]:
    """
    Judge what was filled in.

    :param filled: (n, T, 4) states; the numbers are means over n.
    :param truth: (T, 4).
    :returns: ``error_m`` of hidden positions; ``in_walls``, the share of positions at control
        steps; ``crosses_wall``, the share of trajectories with any such; ``seam_jump``, see
        ``common.jumps``, and ``seam_over_limit``, the share of seams where it is above 1.
    """
    hidden = ~mask[:, POSITION]
    error = np.linalg.norm(filled[:, hidden, :2] - truth[hidden, :2], axis=-1)
    walls = maze.is_wall(interpolate(filled, card.frame_stack, card.dt_s)[..., :2])
    jump = common.jumps(filled, card)[:, seams(mask)]
    return dict(zip(MEASURES, (float(value) for value in (
        error.mean(), walls.mean(), walls.any(axis=1).mean(), jump.mean(), (jump > 1.0).mean()))))


def best_of(samples: np.ndarray, truth: np.ndarray) -> int:
    """Return the index of the one of samples (N, T, 4) whose positions are nearest to (T, 4)."""
    return int(np.linalg.norm(samples[..., :2] - truth[:, :2], axis=-1).mean(axis=1).argmin())


def measure_inpainting(planner: Planner, maze: Maze, windows: np.ndarray, num_samples: int,
                       seed: int, on_window: Callable[[], None] = lambda: None) -> dict:
    """
    Hide and fill in parts of every window; Ctrl-C ends it early.

    :param windows: (W, T, C) held-out tokens.
    :returns: ``summary`` by task, method and measure (see ``metrics.statistics``, over windows);
        ``examples`` by task: trajectories (W, n, T, 4) by method; ``stopped``, whether by Ctrl-C.
    """
    card = planner.card
    token_s = card.frame_stack * card.dt_s
    summary, examples, stopped = {}, {}, False
    for task in TASKS:
        mask = known_mask(task, windows.shape[1])
        known = np.repeat(mask, card.architecture.part_sizes, axis=1)
        done = []
        try:
            for index, window in enumerate(windows):
                shown, truth = np.where(known, window, np.nan), window[:, :4]
                samples = reconstruct(
                    planner, shown[:, :4],
                    shown[:, 4:].reshape(len(window), card.frame_stack, -1),
                    num_samples, seed + index).tokens[..., :4]
                filled = {
                    'truth': truth[None], 'sample': samples,
                    'best': samples[best_of(samples, truth)][None],
                    'mean': samples.mean(axis=0, keepdims=True),
                    'linear': linear(truth, mask, token_s)[None],
                    'spline': spline(truth, mask, token_s)[None]}
                done.append((filled, {method: measures(states, truth, mask, maze, card)
                                      for method, states in filled.items()}))
                on_window()
        except KeyboardInterrupt:
            stopped = True
        if done:
            examples[task] = {method: [filled[method] for filled, _ in done] for method in COLORS}
            summary[task] = {method: {
                measure: statistics([found[method][measure] for _, found in done])
                for measure in MEASURES} for method in COLORS}
        if stopped:
            break
    return {'summary': summary, 'examples': examples, 'stopped': stopped}


def draw_inpainting_picture(path: Path, maze: Maze, measured: dict) -> None:
    """Draw the first windows of every task of ``measure_inpainting`` to a PNG file."""
    tasks = measured['examples']
    shown = min(SHOWN_WINDOWS, len(tasks['middle']['truth']))
    figure = Figure(figsize=(3.1 * (shown + 1), 3.2 * len(tasks) + 0.4), layout='constrained')
    panels = figure.subplots(len(tasks), shown + 1, squeeze=False)
    for (task, trajectories), axes in zip(tasks.items(), panels):
        done = len(trajectories['truth'])  # fewer than of the first task after Ctrl-C
        for axis in axes[done:-1]:
            axis.set_axis_off()
        for index, axis in enumerate(axes[:-1][:done]):
            draw_walls(axis, maze)
            _draw_window(axis, {name: states[index] for name, states in trajectories.items()},
                         task)
        axes[0].set_title(f'{"all but " * (task == "way-points")}{task} hidden', fontsize=10,
                          loc='left')
        _draw_errors(axes[-1], measured['summary'][task])
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc='outside lower center', ncols=len(handles), frameon=False)
    figure.savefig(path, dpi=120)


def _draw_window(axis, trajectories: dict[str, np.ndarray], task: str) -> None:
    truth = trajectories['truth'][0]
    for index, states in enumerate(trajectories['sample']):
        axis.plot(states[:, 1], states[:, 0], color=COLORS['sample'], linewidth=0.7, alpha=0.6,
                  label='samples' if index == 0 else None)
    for name in ('spline', 'truth'):
        states = trajectories[name][0]
        axis.plot(states[:, 1], states[:, 0], color=COLORS[name], linewidth=1.6, label=name)
    known = truth[known_mask(task, len(truth))[:, POSITION]]
    axis.plot(known[:, 1], known[:, 0], linestyle='', marker='o', markersize=4.5, color='white',
              markeredgecolor='black', label='known')


def _draw_errors(axis, summary: dict) -> None:
    names = [name for name in COLORS if name != 'truth']
    errors = [summary[name]['error_m'] for name in names]
    axis.bar(names, [error['mean'] for error in errors],
             yerr=[error['stderr'] or 0.0 for error in errors],
             color=[COLORS[name] for name in names])
    axis.plot(names, [error['p50'] for error in errors], linestyle='', marker='_', markersize=18,
              color='black')
    axis.set_title('error [m]: mean, median (line)', fontsize=10)
    axis.tick_params(axis='x', labelsize=8)


@click.command(epilog=examples(
    'df_planner measure inpainting --checkpoint point --maze medium',
    'df_planner measure inpainting --checkpoint point --maze umaze --windows 20 --samples 8',
    'df_planner measure inpainting --checkpoint point --maze medium --set sampling_steps=32'))
@click.option('--windows', type=click.IntRange(min=2), default=200,
              help='Held-out windows, each as long as the model was trained for.')
@click.option('--samples', type=click.IntRange(min=1), default=16, help='Samples of each window.')
@common.measure_options('inpainting', seed_of='held-out windows and samples')
def inpainting(checkpoint, maze, windows, samples, seed, settings, device, out):
    """
    Hide parts of held-out motion and fill them in.

    Hidden are the middle half; all but start, end and two way-points; all but the start. Compared
    with the truth: every sample, the best of them, their mean, and straight lines and splines
    through what is known. A seam's jump is in units of what the data do (99.95 % quantile).
    Ctrl-C reports the windows until then.
    """
    planner, maze = common.open_point_planner('inpainting', checkpoint, maze, device,
                                              (*common.LIKE_THE_DATA, *settings))
    card = planner.card
    truth = common.held_out_windows(card, maze.name, windows, card.architecture.max_tokens,
                                    seed)
    with common.progress(windows * len(TASKS), 'windows') as advance:
        measured = measure_inpainting(planner, maze, truth, samples, seed, advance)
    if not measured['summary']:
        raise KeyboardInterrupt
    folder = common.result_folder('inpainting', out)
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
    click.echo(text_table(rows))
    common.write_result(folder / 'inpainting.json', checkpoint, seed, {
        'maze': maze.name, 'windows': windows, 'samples': samples,
        'settings': planner.settings.model_dump(), 'summary': measured['summary']})
    if measured['stopped']:
        raise KeyboardInterrupt
