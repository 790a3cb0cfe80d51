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
Long roll-outs: whether they stay what they were, far beyond the trained length.

From states of held-out data on, the planner rolls out what the robot would do, without a goal, for
several times the length it was trained for. Every stretch of that length is measured by itself,
and so are the data. A stable model's stretches are all alike, and like the data.
"""

from collections.abc import Callable

import numpy as np
from scipy.stats import wasserstein_distance

from df_planner.benchmark.metrics import statistics
from df_planner.benchmark.motion import jumps
from df_planner.planning.planner import Planner
from df_planner.planning.selection import interpolate
from df_planner.sim.maze import CELL_LOWER_EDGE_M
from df_planner.sim.maze import Maze
from df_planner.sim.world import BatchWorld
from df_planner.training.checkpoint import ModelCard

MEASURES = ('in_walls', 'over_limit', 'jump', 'speed_mps', 'speed_std_mps', 'action_std',
            'simulated_gap_m', 'simulated_gap_mps')
DISTANCES = ('speed_distance_mps', 'action_distance', 'cell_distance')


def roll_out(planner: Planner, states: np.ndarray, multiples: int, num_samples: int, seed: int,
             on_start: Callable[[], None] = lambda: None) -> tuple[np.ndarray, np.ndarray]:
    """
    Roll out from every one of states (S, 4); after Ctrl-C from those until then.

    :param multiples: length in windows of the trained length, M tokens each.
    :returns: token states (R, multiples * M + 1, 4) and actions (R, multiples * M, frame_stack, 2)
        of R = S * num_samples roll-outs.
    :raises KeyboardInterrupt: before the first roll-out is done.
    """
    frame_stack = planner.card.frame_stack
    steps = multiples * planner.card.architecture.max_tokens * frame_stack
    found = []
    try:
        for index, state in enumerate(states):
            found.append(planner.rollout(state, steps + 1, num_samples, seed + index))
            on_start()
    except KeyboardInterrupt:
        if not found:
            raise
    rolled, actions = (np.concatenate(arrays) for arrays in zip(*found))
    return rolled[:, ::frame_stack], actions[:, :steps].reshape(len(actions), -1, frame_stack, 2)


def simulated(maze: Maze, states: np.ndarray, actions: np.ndarray) -> np.ndarray:
    """Return where the actions (B, n, 2) lead the simulator from the states (B, 4), (B, 4)."""
    worlds = BatchWorld(maze, len(states))
    worlds.set_states(states)
    for step in range(actions.shape[1]):
        worlds.step(actions[:, step])
    return worlds.states


def stretch_measures(states: np.ndarray, actions: np.ndarray, maze: Maze, card: ModelCard
                     ) -> dict[str, np.ndarray]:
    """
    Measure one stretch of R roll-outs.

    :param states: (R, M + 1, 4) of tokens, the last one being the first of the next stretch.
    :param actions: (R, M, frame_stack, 2).
    :returns: (R,) each: ``in_walls``, share of positions at control steps; ``jump``, mean over
        tokens, and ``over_limit``, share above 1 (see ``motion.jumps``); mean and standard
        deviation of the speed; standard deviation of the actions; ``simulated_gap``, median
        distance of a token's state from where the simulator gets from the one before with its
        actions.
    """
    jump = jumps(states, card)
    speed = np.linalg.norm(states[:, :-1, 2:], axis=-1)
    positions = interpolate(states, card.frame_stack, card.dt_s)[..., :2]
    reached = simulated(maze, states[:, :-1].reshape(-1, 4),
                        actions.reshape(-1, card.frame_stack, 2)).reshape(*actions.shape[:2], 4)
    gap = reached - states[:, 1:]
    return dict(zip(MEASURES, (
        maze.is_wall(positions).mean(axis=1), (jump > 1.0).mean(axis=1), jump.mean(axis=1),
        speed.mean(axis=1), speed.std(axis=1), actions.std(axis=(1, 2, 3)),
        np.median(np.linalg.norm(gap[..., :2], axis=-1), axis=1),
        np.median(np.linalg.norm(gap[..., 2:], axis=-1), axis=1))))


def distances(states: np.ndarray, actions: np.ndarray, data_states: np.ndarray,
              data_actions: np.ndarray, maze: Maze) -> dict[str, float]:
    """
    Return how far a stretch is from the data as a distribution.

    :returns: Wasserstein distances of the speed and of the actions, and ``cell_distance``: the
        share of time that is spent in other cells of the maze (total variation), 0 to 1.
    """
    def speed(of: np.ndarray) -> np.ndarray:
        return np.linalg.norm(of[..., 2:], axis=-1).ravel()

    def share_by_cell(of: np.ndarray) -> np.ndarray:
        cells = np.floor(of[..., :2].reshape(-1, 2) - CELL_LOWER_EDGE_M).astype(int)
        inside = cells.clip(0, np.array(maze.walls.shape) - 1)
        counts = np.zeros(maze.walls.shape)
        np.add.at(counts, tuple(inside.T), 1.0)
        return counts / counts.sum()

    return dict(zip(DISTANCES, (
        float(wasserstein_distance(speed(states), speed(data_states))),
        float(wasserstein_distance(actions.ravel(), data_actions.ravel())),
        float(np.abs(share_by_cell(states) - share_by_cell(data_states)).sum() / 2))))


def measure_rollout(maze: Maze, card: ModelCard, states: np.ndarray, actions: np.ndarray,
                    windows: np.ndarray) -> dict:
    """
    Measure every stretch of the roll-outs, and the data.

    :param states: (R, multiples * M + 1, 4) and ``actions``, of ``roll_out``.
    :param windows: (W, M + 1, C) held-out tokens.
    :returns: ``stretches``, a list, and ``data``: each with statistics over roll-outs by measure,
        and the distances from the data; those of the data are of one half from the other.
    """
    tokens = windows.shape[1] - 1
    data_states = windows[..., :4]
    data_actions = windows[:, :-1, 4:].reshape(len(windows), tokens, card.frame_stack, 2)

    def measured(some_states, some_actions, against) -> dict:
        found = stretch_measures(some_states, some_actions, maze, card)
        return {**{name: statistics(values) for name, values in found.items()},
                **distances(some_states, some_actions, data_states[against],
                            data_actions[against], maze)}

    half = len(windows) // 2
    data = measured(data_states[:half], data_actions[:half], slice(half, None))
    stretches = []
    for first in range(0, states.shape[1] - 1, tokens):
        stretches.append(measured(states[:, first:first + tokens + 1],
                                  actions[:, first:first + tokens], slice(None)))
    return {'stretches': stretches, 'data': data}
