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
Tokens: between what is known in physical units and the normalised tokens of the network.

A token is the state at its first control step (position and velocity in the plane, then what else
the robot observes) and the actions of its ``frame_stack`` steps.
"""

import numpy as np
import torch
from torch import Tensor

from df_planner.diffusion.noise import NoiseSchedule
from df_planner.diffusion.sampler import Pins
from df_planner.model.checkpoint import ModelCard
from df_planner.planning.curves import interpolate
from df_planner.planning.plan import OTHERS
from df_planner.planning.plan import POSITION
from df_planner.planning.plan import VELOCITY
from df_planner.robots.signals import HEADING

POSITION_PART, VELOCITY_PART, ACTIONS_PART = 0, 1, -1  # parts of a token


def tokens_of_steps(steps: int, frame_stack: int) -> int:
    """Return how many tokens span so many control steps from the first state to the last."""
    return -(-steps // frame_stack) + 1


class TokenSpace:
    """Normalised tokens on the device of the network, physical ones in numpy."""

    def __init__(self, card: ModelCard, device: str):
        mean, std = card.normalizer().token_moments(card.frame_stack)
        self.mean = torch.tensor(mean, dtype=torch.float32, device=device)
        self.std = torch.tensor(std, dtype=torch.float32, device=device)
        self.noise = NoiseSchedule(card.architecture.num_levels, device)
        self.part_sizes = card.architecture.part_sizes
        self.state_size = len(card.observation_names)
        self.action_limits = np.array(card.action_limits)
        self.has_heading = tuple(card.observation_names[OTHERS]) == HEADING
        self.max_tokens = card.architecture.max_tokens
        self.num_levels = card.architecture.num_levels
        self.frame_stack = card.frame_stack
        self.dt_s = card.dt_s
        self.token_s = card.frame_stack * card.dt_s
        self.device = device

    def normalised(self, tokens: np.ndarray) -> Tensor:
        """Return physical tokens (..., C) as the network sees them."""
        values = torch.tensor(tokens, dtype=torch.float32).to(self.device)
        return (values - self.mean) / self.std

    def level_of_noise(self, part: int, std: float) -> int:
        """Return the level that measurement noise ``std``, in units of the part, amounts to."""
        first = sum(self.part_sizes[:part])
        scale = float(self.std[first:first + self.part_sizes[part]].mean())
        return self.noise.level_of_noise(std / scale)

    def states_of(self, tokens: np.ndarray) -> np.ndarray:
        """Return the states (N, H, S) of every control step of physical tokens (N, T, C)."""
        states = interpolate(tokens[..., :self.state_size], self.frame_stack, self.dt_s)
        if self.has_heading:
            states[..., OTHERS] /= np.linalg.norm(states[..., OTHERS], axis=-1, keepdims=True)
        return states

    def actions_of(self, tokens: np.ndarray) -> np.ndarray:
        """Return the actions of every control step, (N, T * frame_stack, A), within limits."""
        actions = tokens[..., self.state_size:].reshape(len(tokens), -1, len(self.action_limits))
        return actions.clip(-self.action_limits, self.action_limits)

    def physical(self, tokens: Tensor) -> np.ndarray:
        """Return normalised tokens (..., C) in physical units, float64."""
        return (tokens * self.std + self.mean).cpu().double().numpy()


class Known:
    """
    What is known of N trajectories before they are sampled; a later call overrides earlier ones.

    :param lengths: (N,) tokens of each trajectory.
    """

    def __init__(self, space: TokenSpace, lengths: np.ndarray):
        self.lengths = lengths
        self._space = space
        shape = (len(lengths), int(lengths.max()))
        self._values = np.zeros((*shape, sum(space.part_sizes)))
        self._levels = np.full((*shape, len(space.part_sizes)), space.num_levels)
        self._given = np.zeros(self._values.shape, bool)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Trajectories, tokens, channels: (N, T, C)."""
        return self._values.shape

    def start(self, states: np.ndarray, position_noise_std_m: float = 0.0,
              velocity_noise_std_mps: float = 0.0) -> None:
        """Pin the first states to ``states`` ([[N,] n,] S), at the levels of their noise."""
        count, size = np.atleast_2d(states).shape[-2], self._space.state_size
        self._values[:, :count, :size] = states
        self._levels[:, :count, :ACTIONS_PART] = 0
        self._given[:, :count, :size] = True
        for part, columns, std in ((POSITION_PART, POSITION, position_noise_std_m),
                                   (VELOCITY_PART, VELOCITY, velocity_noise_std_mps)):
            self._levels[:, :count, part] = self._space.level_of_noise(part, std)
            self._given[:, :count, columns] = std == 0.0

    def route(self, positions: np.ndarray, std_m: float) -> None:
        """Take positions (N, T, 2) as observed with an error of ``std_m``."""
        real = np.arange(self.shape[1]) < self.lengths[:, None]
        self._values[..., POSITION] = positions
        self._levels[real, POSITION_PART] = self._space.level_of_noise(POSITION_PART, std_m)

    def end(self, goal: np.ndarray, rest: bool) -> None:
        """Pin the last position to ``goal`` ([N,] 2); with ``rest``, the last velocity to 0."""
        rows, last = np.arange(len(self.lengths)), self.lengths - 1
        self._values[rows, last, POSITION] = goal
        self._levels[rows, last, POSITION_PART] = 0
        self._given[rows, last, POSITION] = True
        if rest:
            self._values[rows, last, VELOCITY] = 0.0
            self._levels[rows, last, VELOCITY_PART] = 0

    def prefix(self, actions: np.ndarray) -> None:
        """Pin the first ``actions`` (P, A), P a multiple of ``frame_stack``."""
        tokens, size = len(actions) // self._space.frame_stack, self._space.state_size
        self._values[:, :tokens, size:] = actions.reshape(tokens, self.shape[2] - size)
        self._levels[:, :tokens, ACTIONS_PART] = 0
        self._given[:, :tokens, size:] = True

    def parts(self, tokens: np.ndarray, parts: np.ndarray) -> None:
        """Pin ``parts`` (T, P), bool, of all trajectories to those of ``tokens`` (T, C)."""
        channels = np.repeat(parts, self._space.part_sizes, axis=-1)
        self._values[:, channels] = tokens[channels]
        self._levels[:, parts] = 0
        self._given[:, channels] = True

    def pins(self) -> Pins:
        """Return the pins for the sampler."""
        device = self._space.device
        levels = np.repeat(self._levels, self._space.part_sizes, axis=-1)
        values = self._space.noise.add_noise(
            self._space.normalised(self._values), torch.zeros(self.shape, device=device),
            torch.tensor(levels, device=device))
        return Pins(values, torch.tensor(self._levels, device=device))

    def restored(self, tokens: np.ndarray) -> np.ndarray:
        """Return physical tokens (N, T, C) with the exact values of what was pinned."""
        return np.where(self._given, self._values, tokens)
