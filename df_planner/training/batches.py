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

"""Training batches: normalised windows of a log; each is a function of the seed and the step."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from df_planner.data.d4rl import Dataset
from df_planner.data.frames import Frame
from df_planner.data.frames import mirrored
from df_planner.data.frames import PLANAR
from df_planner.data.windows import Windows
from df_planner.errors import ConfigError
from df_planner.model.normalizer import Normalizer
from df_planner.training.config import TrainConfig
from df_planner.training.routes import routes

FITTED_WINDOWS, FITTED_AT_ONCE = 4096, 256
LEAST_STD = 1e-6


@dataclass(frozen=True)
class Share:
    """
    One of ``count`` consecutive parts of a batch, as equal as possible.

    Processes take a share each, and accumulate gradients over smaller ones. How a batch is shared
    does not change its windows or its noise.
    """

    index: int = 0
    count: int = 1

    def rows(self, batch: int) -> slice:
        """Return the rows of a batch of ``batch`` windows that belong to the share."""
        return slice(batch * self.index // self.count, batch * (self.index + 1) // self.count)


WHOLE = Share()


@dataclass(frozen=True)
class Batch:
    """
    A share of a batch of B windows of T tokens.

    :param tokens: (b, T, C) float32, normalised; the windows of the share.
    :param rows: of the share among the B windows.
    :param windows: B.
    :param generator: of the noise of the whole batch.
    :param route: (b, T, 2) normalised positions as a route tells them.
    :param route_level: (B,) noise level of the positions known from the route, 0 for windows of
        the whole batch without one.
    """

    tokens: torch.Tensor
    rows: slice
    windows: int
    generator: torch.Generator
    route: torch.Tensor | None = None
    route_level: torch.Tensor | None = None

    @property
    def num_tokens(self) -> int:
        """Return the number of tokens of the whole batch."""
        return self.windows * self.tokens.shape[1]


class BatchSource(Protocol):
    """The source of the batches of a training."""

    def draw(self, stream: int, step: int, share: Share = WHOLE) -> Batch:
        """Return a share of the batch of a step; the same arguments give the same batch."""


class Batches:
    """
    Normalised windows of a data set; the same (stream, step) always gives the same batch.

    :ivar normalizer: of the whole data set, whatever the rows.
    """

    def __init__(self, dataset: Dataset, rows: slice, config: TrainConfig):
        """
        Prepare windows of the given rows of the data set, held-out ones unless they begin at 0.

        :raises ConfigError: if they hold no window of ``max_tokens``.
        """
        self.dataset, self.config = dataset, config
        normalizer = _normalizer_of(dataset, config)  # first: what it takes is free again then
        first, last, _ = rows.indices(len(dataset.observations))

        def windows(starts: np.ndarray) -> Windows:
            inside = np.unique(np.clip(starts[starts < last] - first, 0, None))
            return Windows(dataset.observations[rows], dataset.actions[rows], inside,
                           config.frame_stack)

        self.windows = windows(dataset.episode_starts)
        self.drives = windows(np.union1d(dataset.episode_starts,
                                         np.flatnonzero(dataset.timeouts) + 1))
        if normalizer is None or self.windows.count(config.max_tokens) == 0:
            wanted = f'max_tokens = {config.max_tokens} tokens of {config.frame_stack} steps'
            if first == 0:
                raise ConfigError(f'{dataset.path}: no continuous stretch holds {wanted}')
            raise ConfigError(
                f'{dataset.path}: the held-out last {100.0 * config.holdout_share:g} % '
                f'({last - first} rows) holds no continuous stretch of {wanted}; raise '
                'holdout_share, lower max_tokens, or set holdout_share: 0')
        self.normalizer = normalizer
        mean, std = self.normalizer.token_moments(config.frame_stack)
        self.mean, self.std = mean.astype(np.float32), std.astype(np.float32)

    def draw(self, stream: int, step: int, share: Share = WHOLE) -> Batch:
        """
        Return a share of the batch of a step; its number of tokens is drawn too.

        Windows are in the frames of their first poses, each by a symmetry of the robot; a share of
        them is told its positions as a route would.
        """
        config = self.config
        random = np.random.default_rng([config.seed, stream, step])
        num_tokens = int(random.integers(config.min_tokens, config.max_tokens + 1))
        count = max(1, config.tokens_per_batch // num_tokens)
        direct = (config.direct > 0.0 and random.random() < config.direct
                  and self.drives.count(num_tokens) >= count)
        windows = self.drives if direct else self.windows
        rows = share.rows(count)
        tokens = windows.draw(count, num_tokens, random)
        signals = self.dataset.signals
        size = signals.observation_size
        actions = tokens[..., size:].reshape(*tokens.shape[:2], -1, signals.action_size)
        states = Frame.of(tokens[:, 0, :size], signals.has_heading).states_in(tokens[..., :size])
        states, actions = mirrored(states, actions, random, signals.has_heading)
        tokens = np.concatenate([states, actions.reshape(*states.shape[:2], -1)], -1)
        follows = random.random(len(tokens)) < config.route
        route, level = states[..., :2].copy(), np.zeros(len(tokens), np.int64)
        route[follows], level[follows] = routes(
            route[follows], random, float(self.std[0]), config.num_levels)
        generator = torch.Generator().manual_seed(int(random.integers(2**63)))
        normalised = ((tokens - self.mean) / self.std)[rows].astype(np.float32)
        route = ((route - self.mean[:2]) / self.std[:2])[rows].astype(np.float32)
        return Batch(torch.from_numpy(normalised), rows, len(tokens), generator,
                     torch.from_numpy(route), torch.from_numpy(level))


def _normalizer_of(dataset: Dataset, config: TrainConfig) -> Normalizer | None:
    """
    Fit the normaliser to windows of the log in the frames of their first poses.

    By the symmetries of the robot its motion has means of 0, and the axes of a vector have one
    deviation. What is constant has a deviation of 1. None if the log holds no window.
    """
    signals, random = dataset.signals, np.random.default_rng(config.seed)
    size = signals.observation_size
    windows = Windows(dataset.observations, dataset.actions, dataset.episode_starts,
                      config.frame_stack)
    if windows.count(config.max_tokens) == 0:
        return None
    parts, squares = [], []
    for _ in range(FITTED_WINDOWS // FITTED_AT_ONCE):
        tokens = windows.draw(FITTED_AT_ONCE, config.max_tokens, random)
        parts.append(Frame.of(tokens[:, 0, :size], signals.has_heading).states_in(
            tokens[..., :size]))
        actions = tokens[..., size:].reshape(-1, signals.action_size)
        squares.append(np.square(actions, dtype=np.float64).mean(0))
    states = np.concatenate(parts).astype(np.float64)
    vectors = PLANAR[:2 + signals.has_heading]
    state_mean = np.zeros(size)
    state_mean[vectors[-1].stop:] = states[..., vectors[-1].stop:].mean((0, 1))
    state_std = np.sqrt(np.square(states - state_mean).mean((0, 1)))
    for columns in vectors:
        state_std[columns] = np.sqrt(np.square(state_std[columns]).mean())
    action_std = np.sqrt(np.mean(squares, axis=0))
    if not signals.has_heading and signals.action_size == 2:  # its forces are a vector, too
        action_std[:] = np.sqrt(np.square(action_std).mean())
    for std in (state_std, action_std):
        std[std < LEAST_STD] = 1.0
    return Normalizer(state_mean, state_std, np.zeros(signals.action_size), action_std)
