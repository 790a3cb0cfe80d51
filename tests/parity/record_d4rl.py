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
Record runs of the real ``d4rl`` package's MazeEnv for tests/parity/test_d4rl_package.py.

The package needs an environment of its own, with Python up to 3.11::

    python3 -m venv d4rl-venv
    d4rl-venv/bin/pip install 'setuptools==65.5.0' 'wheel==0.37.1'
    d4rl-venv/bin/pip install --no-build-isolation -r tests/parity/requirements-d4rl.txt
    d4rl-venv/bin/pip install --no-deps d4rl==1.1
    d4rl-venv/bin/python tests/parity/record_d4rl.py --out tests/parity/d4rl_runs.npz

Its binding to MuJoCo, mujoco_py, no longer installs. The few calls that MazeEnv makes to it are
answered here by MuJoCo 2.3.7, which still had the original's contact margins; the weight of a body
without rotation, which had changed by then, is set back to that of MuJoCo 2.0.
"""

import argparse
from collections import namedtuple
import importlib.machinery
import os
import sys
import types

import mujoco
import numpy as np

MAZES = {
    'umaze': 'U_MAZE', 'medium': 'MEDIUM_MAZE', 'large': 'LARGE_MAZE',
    'eval-umaze': 'U_MAZE_EVAL', 'eval-medium': 'MEDIUM_MAZE_EVAL',
    'eval-large': 'LARGE_MAZE_EVAL'}
STEPS = 400
HOLD_STEPS = 12  # how long one random push lasts: long enough to meet walls

MjSimState = namedtuple('MjSimState', 'time qpos qvel act udd_state')


class Model:
    """A compiled model with the attributes of mujoco_py's."""

    def __init__(self, path):
        self._model = mujoco.MjModel.from_xml_path(path)
        ball = self._model.body('particle').id
        self._model.body_invweight0[ball, 0] = 2.0 / (3.0 * self._model.body_mass[ball])

    def __getattr__(self, name):
        return getattr(self._model, name)

    def site_name2id(self, name):
        return self._model.site(name).id


class MjSim:
    """A model and its data, stepped."""

    def __init__(self, model):
        self.model = model
        self.data = mujoco.MjData(model._model)

    def reset(self):
        mujoco.mj_resetData(self.model._model, self.data)

    def forward(self):
        mujoco.mj_forward(self.model._model, self.data)

    def step(self):
        mujoco.mj_step(self.model._model, self.data)

    def get_state(self):
        return MjSimState(
            self.data.time, self.data.qpos.copy(), self.data.qvel.copy(), None, {})

    def set_state(self, state):
        self.data.time = state.time
        self.data.qpos[:] = state.qpos
        self.data.qvel[:] = state.qvel


def install_mujoco_py():
    """Put a module named mujoco_py where d4rl and gym look for it."""
    module = types.ModuleType('mujoco_py')
    module.__spec__ = importlib.machinery.ModuleSpec('mujoco_py', None)
    module.load_model_from_path = Model
    module.MjSim = MjSim
    module.MjSimState = MjSimState
    sys.modules['mujoco_py'] = module


def record(maze_spec):
    """Return states (T + 1, 4), actions (T, 2), rewards (T,) and which steps met a wall (T,)."""
    from d4rl.pointmaze import MazeEnv

    env = MazeEnv(maze_spec, reward_type='sparse')
    env.seed(0)
    env.action_space.seed(0)
    states, actions, rewards, contacts = [env.reset()], [], [], []
    for step in range(STEPS):
        if step % HOLD_STEPS == 0:
            action = env.action_space.sample()
        state, reward, _, _ = env.step(action)
        ground = env.model._model.geom('ground').id
        geoms = [env.sim.data.contact[i] for i in range(env.sim.data.ncon)]
        states.append(state)
        actions.append(action)
        rewards.append(reward)
        contacts.append(any(ground not in (c.geom1, c.geom2) for c in geoms))
    return np.array(states), np.array(actions), np.array(rewards), np.array(contacts)


def main():
    """Record every maze into one file."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--out', required=True, help='the .npz to write')
    out = parser.parse_args().out
    os.environ['D4RL_SUPPRESS_IMPORT_ERROR'] = '1'
    install_mujoco_py()
    from d4rl.pointmaze import maze_model

    arrays = {}
    for name, constant in MAZES.items():
        states, actions, rewards, contacts = record(getattr(maze_model, constant))
        arrays[f'{name}/states'] = states
        arrays[f'{name}/actions'] = actions
        arrays[f'{name}/rewards'] = rewards
        arrays[f'{name}/contacts'] = contacts
        print(f'{name}: {len(actions)} steps, {contacts.sum()} at a wall')
    np.savez_compressed(out, **arrays)


if __name__ == '__main__':
    main()
