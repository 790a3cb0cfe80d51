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
Gymnasium environments ``df_planner/{Maze2D,DiffDrive,Omni}-{umaze,medium,large,eval-...}-v1``.

Importing this module registers them::

    import gymnasium
    import df_planner.sim.env
    env = gymnasium.make('df_planner/Maze2D-medium-v1', multi_goal=True, render_mode='rgb_array')
"""

import gymnasium
from gymnasium import spaces
from gymnasium.error import ResetNeeded
import numpy as np

from df_planner.errors import InvalidInput
from df_planner.robots.kinds import POINT
from df_planner.robots.kinds import ROBOTS
from df_planner.sim.maze import BALL_RADIUS_M
from df_planner.sim.maze import CELL_LOWER_EDGE_M
from df_planner.sim.maze import GOAL_RADIUS_M
from df_planner.sim.maze import load_maze
from df_planner.sim.maze import Maze
from df_planner.sim.maze import MAZE_NAMES
from df_planner.sim.robots import simulated_robot
from df_planner.sim.robots import SimulatedRobot

NAMESPACE = 'df_planner'
PIXELS_PER_M = 48
WALL_RGB = (90, 96, 110)
FLOOR_RGB = (246, 246, 242)
GOAL_RGB = (120, 190, 120)
BALL_RGB = (200, 70, 50)


class Maze2DEnv(gymnasium.Env):
    """
    Push a ball through a maze to a goal and stay there, or drive another robot there.

    **Observation** (4,) float64: row, column, row velocity, column velocity (m, m/s).
    **Action** (2,): force on each axis, 1 is 100 N. **Step** 10 ms.
    Another ``robot`` of ``robots/kinds.py`` has the observation, action and step of its signals.
    **Reward** of the new observation: 1 within 0.5 m of the goal, else 0; with ``dense`` the
    exponential of minus the distance. The episode never ends at the goal, the time limit ends it.
    **Reset**: a free cell, up to 0.1 m off on each axis, with a velocity of 0.1 m/s deviation
    (a robot with a heading: at rest, with any heading). The goal is the maze's own; with
    ``multi_goal`` each reset draws one, after the start.
    ``reset(options={'state': (S,), 'goal': (2,)})`` fixes either. The goal is in ``info['goal']``,
    not in the observation, as in D4RL.

    Version history:

    - v1: D4RL's ``maze2d-*-v1``: goal radius 0.5, 300 / 600 / 800 steps; reproduces its reference
      scores (tests/test_reference_scores.py). There is no v0 here; D4RL's had shorter episodes and
      other reference scores.
    """

    metadata = {'render_modes': ['rgb_array'], 'render_fps': 100}

    def __init__(self, maze: str | Maze = 'umaze', dense: bool = False, multi_goal: bool = False,
                 render_mode: str | None = None, robot: str = POINT.name):
        if render_mode not in (None, *self.metadata['render_modes']):
            raise InvalidInput(f"render_mode must be None or 'rgb_array', got {render_mode!r}")
        self.maze = maze if isinstance(maze, Maze) else load_maze(maze)
        self.dense = dense
        self.multi_goal = multi_goal
        self.render_mode = render_mode
        self.robot = simulated_robot(robot)
        bounds = _state_bounds(self.maze, self.robot)
        self.observation_space = spaces.Box(*bounds, dtype=np.float64)
        limits = np.array(self.robot.signals.action_limits, np.float32)
        self.action_space = spaces.Box(-limits, limits, dtype=np.float32)
        self.world = self.robot.world(self.maze)
        self.goal = self.robot.from_maze(self.maze.goal_cell)
        self._started = False

    def reset(self, *, seed: int | None = None, options: dict | None = None
              ) -> tuple[np.ndarray, dict]:
        """Start an episode; see the class for ``options``."""
        super().reset(seed=seed)
        options = dict(options or {})
        state = options.pop('state', None)
        goal = options.pop('goal', None)
        if options:
            raise InvalidInput(f'reset takes the options state and goal, got {sorted(options)}')
        if state is None:
            state = self.robot.start(self.maze.draw_position(self.np_random), self.np_random)
        if goal is None:
            goal = self.robot.from_maze(self.maze.draw_position(self.np_random)
                                        if self.multi_goal else self.maze.goal_cell)
        goal = np.array(goal, dtype=float)
        if (goal.shape != (2,) or not np.isfinite(goal).all()
                or self.maze.is_wall(self.robot.to_maze(goal))):
            raise InvalidInput(f'goal must be a free position (2,), got {goal}')
        self.world.set_state(state)
        self.goal = goal
        self._started = True
        return self.world.state, self._info()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Advance one control step; ResetNeeded before the first reset."""
        if not self._started:
            raise ResetNeeded('call reset before the first step')
        state = self.world.step(action)
        return state, self.reward(state), False, False, self._info()

    def reward(self, state: np.ndarray) -> float:
        """Return the reward for being in a state (S,)."""
        distance = float(np.linalg.norm(state[:2] - self.goal))
        return float(np.exp(-distance)) if self.dense else float(distance <= GOAL_RADIUS_M)

    def normalized_score(self, episode_return: float) -> float:
        """Return D4RL's score of an episode's return in percent."""
        return self.maze.normalized_score(episode_return, dense=self.dense)

    def render(self) -> np.ndarray | None:
        """Return a picture (height, width, 3) uint8, drawn without any graphics driver."""
        if self.render_mode is None:
            return None
        to_maze = self.robot.to_maze
        return _picture(self.maze, to_maze(self.world.state[:2]), to_maze(self.goal))

    def _info(self) -> dict:
        distance = np.linalg.norm(self.world.state[:2] - self.goal)
        return {'goal': self.goal.copy(), 'success': bool(distance <= GOAL_RADIUS_M)}


def _state_bounds(maze: Maze, robot: SimulatedRobot) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds (S,) of a state: the maze, the top speed, and 1 for a heading."""
    corners = robot.from_maze(np.array([(-1.0, -1.0), maze.walls.shape]))
    others = np.ones(robot.signals.observation_size - 2)
    others[:2] = robot.top_speed_mps
    return (np.concatenate((corners.min(axis=0), -others)),
            np.concatenate((corners.max(axis=0), others)))


def _picture(maze: Maze, ball: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Draw the maze with rows down, as in the layout, and the ball and the goal, (2,) each."""
    tile = np.ones((PIXELS_PER_M, PIXELS_PER_M), dtype=bool)
    wall = np.kron(maze.walls, tile)[..., None]
    picture = np.where(wall, np.array(WALL_RGB, float), np.array(FLOOR_RGB, float))
    _blend_disc(picture, goal, GOAL_RADIUS_M, GOAL_RGB, 0.6)
    _blend_disc(picture, ball, BALL_RADIUS_M, BALL_RGB, 1.0)
    return np.rint(picture).astype(np.uint8)


def _blend_disc(picture: np.ndarray, centre: np.ndarray, radius_m: float,
                rgb: tuple[int, int, int], opacity: float) -> None:
    """Blend an anti-aliased disc into a float picture (height, width, 3), in place."""
    rows = (np.arange(picture.shape[0]) + 0.5) / PIXELS_PER_M + CELL_LOWER_EDGE_M
    columns = (np.arange(picture.shape[1]) + 0.5) / PIXELS_PER_M + CELL_LOWER_EDGE_M
    distance = np.hypot(rows[:, None] - centre[0], columns[None, :] - centre[1])
    cover = opacity * np.clip((radius_m - distance) * PIXELS_PER_M + 0.5, 0.0, 1.0)[..., None]
    picture += cover * (np.array(rgb, float) - picture)


def register_environments() -> None:
    """Make the shipped mazes known to ``gymnasium.make``; once."""
    for kind in ROBOTS.values():
        for name in MAZE_NAMES:
            env_id = f'{NAMESPACE}/{kind.family}-{name}-v1'
            if env_id not in gymnasium.registry:
                gymnasium.register(
                    env_id, entry_point='df_planner.sim.env:Maze2DEnv',
                    max_episode_steps=load_maze(name).max_episode_steps,
                    kwargs={'maze': name, 'robot': kind.name})


register_environments()
