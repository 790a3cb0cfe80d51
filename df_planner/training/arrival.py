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
Fit the arrival time, the seconds that the robot takes to a position, on the same log.

A small network learns quantiles of the time between two moments of one drive, by quantile
regression (Koenker and Bassett, 1978), in half a minute. The planner asks it which horizons to try
first.

``timeouts`` mark the ends of drives. The end of an episode is not one: an episode ends where the
recording pauses or the robot is moved by hand, and may hold many drives. Across drives the time
between two moments is that of the recording, not of the way.
"""

import logging
import math

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from df_planner.data.d4rl import Dataset
from df_planner.model.arrival import ArrivalTime
from df_planner.model.arrival import QUANTILES
from df_planner.model.normalizer import Normalizer
from df_planner.training.config import TrainConfig

PAIRS_PER_BATCH = 512
HELD_OUT_PAIRS = 20000
LEARNING_RATE, WARMUP_STEPS = 2e-3, 200


class Pairs:
    """Pairs of moments within one drive: a state, a later position, and the time in between."""

    def __init__(self, dataset: Dataset, rows: slice, normalizer: Normalizer):
        first, last, _ = rows.indices(len(dataset.observations))
        starts = np.union1d(dataset.episode_starts, np.flatnonzero(dataset.timeouts) + 1)
        starts = np.unique(np.clip(starts[starts < last] - first, 0, None))
        self._observations = dataset.observations[rows]
        self._ends = np.append(starts[1:], last - first)
        self._normalizer = normalizer
        self._dt_s = dataset.signals.dt_s

    def draw(self, count: int, random: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return normalised states (B, S) and later positions (B, 2), and seconds (B,)."""
        before = random.integers(len(self._observations), size=count)
        ends = self._ends[np.searchsorted(self._ends, before, side='right')]
        after = before + (random.random(count) * (ends - before)).astype(int)
        mean, std = self._normalizer.state_mean, self._normalizer.state_std
        states = (self._observations[before] - mean) / std
        goals = (self._observations[after, :2] - mean[:2]) / std[:2]
        seconds = (after - before) * self._dt_s
        return tuple(torch.tensor(v, dtype=torch.float32) for v in (states, goals, seconds))


def learns_arrival_time(dataset: Dataset, config: TrainConfig) -> bool:
    """Tell whether an arrival time is to be learnt; warn if the log marks no ends of drives."""
    if config.arrival_steps and not dataset.timeouts.any():
        logging.getLogger(__name__).warning(
            '%s: marks no ends of drives (timeouts), so no arrival time is learnt; the planner '
            'will try all horizons with this model', dataset.path)
        return False
    return config.arrival_steps > 0


def fit_arrival_time(dataset: Dataset, normalizer: Normalizer, config: TrainConfig
                     ) -> tuple[ArrivalTime, float]:
    """Return the trained network, on the CPU, and its median error in seconds on held-out rows."""
    held_out_from = int(len(dataset.observations) * (1.0 - config.holdout_share))
    pairs = Pairs(dataset, slice(0, held_out_from), normalizer)
    torch.manual_seed(config.seed)
    network = ArrivalTime(dataset.signals.observation_size)
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: (
        min(1.0, (step + 1) / WARMUP_STEPS)
        * 0.5 * (1.0 + math.cos(math.pi * step / config.arrival_steps))))
    random = np.random.default_rng([config.seed, 2])
    quantiles = torch.tensor(QUANTILES)
    for _ in tqdm(range(config.arrival_steps), unit='step', desc=f'{config.name}, arrival time'):
        states, goals, seconds = pairs.draw(PAIRS_PER_BATCH, random)
        error = seconds[:, None] - network(states, goals)
        loss = torch.maximum(quantiles * error, (quantiles - 1.0) * error).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        scheduler.step()
    rows = slice(held_out_from if config.holdout_share > 0.0 else 0, None)
    states, goals, seconds = Pairs(dataset, rows, normalizer).draw(HELD_OUT_PAIRS, random)
    with torch.inference_mode():
        error = (seconds - network(states, goals)[:, 1]).abs().median()
    return network.eval().requires_grad_(False), float(error)
