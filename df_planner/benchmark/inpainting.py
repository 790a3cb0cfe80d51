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
In-painting: parts of held-out windows are hidden and filled in again.

Three things are hidden: the middle half of a window; all but its start, its end and two
way-points, of which only the time and the position are told; and all but its start. What is filled
in is compared with the truth, and with what one would do without a model: straight lines and
splines between what is known.
"""

from collections.abc import Callable

import numpy as np
from scipy.interpolate import CubicHermiteSpline
from scipy.interpolate import CubicSpline

from df_planner.benchmark.metrics import statistics
from df_planner.benchmark.motion import jumps
from df_planner.planning.planner import Planner
from df_planner.planning.reconstruction import reconstruct
from df_planner.planning.selection import interpolate
from df_planner.sim.maze import Maze
from df_planner.training.checkpoint import ModelCard

POSITION, VELOCITY = 0, 1  # columns of a mask of known parts; the third is the actions
TASKS = ('middle', 'way-points', 'future')
METHODS = ('truth', 'sample', 'best', 'mean', 'linear', 'spline')
MEASURES = ('error_m', 'in_walls', 'crosses_wall', 'seam_jump', 'seam_over_limit')


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
        ``motion.jumps``, and ``seam_over_limit``, the share of seams where it is above 1.
    """
    hidden = ~mask[:, POSITION]
    error = np.linalg.norm(filled[:, hidden, :2] - truth[hidden, :2], axis=-1)
    walls = maze.is_wall(interpolate(filled, card.frame_stack, card.dt_s)[..., :2])
    jump = jumps(filled, card)[:, seams(mask)]
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
            examples[task] = {method: [filled[method] for filled, _ in done] for method in METHODS}
            summary[task] = {method: {
                measure: statistics([found[method][measure] for _, found in done])
                for measure in MEASURES} for method in METHODS}
        if stopped:
            break
    return {'summary': summary, 'examples': examples, 'stopped': stopped}
