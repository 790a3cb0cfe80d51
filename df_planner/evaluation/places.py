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
The places of a task: one for all episodes, or random ones that nobody has seen.

``unseen`` is the task of the random places: place N is ``unseen-N``, a place by that name wherever
a maze is named, and two episodes take place in each, from starts to goals of its own.
"""

import numpy as np

from df_planner.evaluation.protocol import sample_starts
from df_planner.evaluation.protocol import Starts
from df_planner.maps.generator import unseen_place
from df_planner.sim.map_place import load_place
from df_planner.sim.map_place import UNSEEN
from df_planner.sim.maze import map_to_observation

DRIVES = 2  # in each random place


def place_name(task: str, episode: int) -> str:
    """Return the name of the place of an episode."""
    return f'{UNSEEN}-{episode // DRIVES}' if task == UNSEEN else task


def first_episode(task: str, episode: int) -> int:
    """Return the first episode of a task that is in the same place."""
    return episode - episode % DRIVES if task == UNSEEN else 0


def facts_of(task: str, dt_s: float) -> dict:
    """Return what results of a task depend on besides its starts, JSON-able."""
    if task == UNSEEN:
        return {'layout': [UNSEEN], 'steps': None}
    place = load_place(task)
    return {'layout': list(place.layout), 'steps': place.episode_steps(dt_s)}


def starts_of(task: str, episodes: int, seed: int, multi_goal: bool, robot: str) -> Starts:
    """
    Return the starts of a task, as ``sample_starts``.

    Positions and goals in random places are those of the places; a seed tells what else a start
    state has.
    """
    from df_planner.sim.robots import simulated_robot  # takes MuJoCo along
    if task != UNSEEN:
        return sample_starts(load_place(task), episodes, seed, multi_goal, robot)
    simulated, states, goals = simulated_robot(robot), [], []
    for episode in range(episodes):
        place = unseen_place(episode // DRIVES, DRIVES)
        start = map_to_observation(place.starts[episode % DRIVES])
        states.append(simulated.start(start, np.random.default_rng([seed, episode])))
        goals.append(simulated.from_maze(map_to_observation(place.goals[episode % DRIVES])))
    return Starts(np.array(states), np.array(goals), robot)
