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
How long a grid will take: measured where episodes ran before, a rough guess elsewhere.

The guess counts calls of the network and knows nothing of the machine; the seconds of finished
episodes correct it while the grid runs.
"""

from collections import defaultdict

from df_planner.evaluation.episodes import Specification
from df_planner.sim.maze import DT_S
from df_planner.sim.maze import load_maze

# Of the shipped models on one core of a server: orders of magnitude, corrected as episodes finish.
STEP_S = 5e-5  # of the simulator and the executor
SAMPLE_CALL_S = 5e-4  # one call of the network for one candidate
GRADIENT_CALLS = 3  # what a call with its gradient costs
REPLAN_SAMPLES = 10  # candidates when there is a previous plan
MOVING_SHARE = 0.4  # of an episode; then an execution that stops at the goal plans no more
TOKENS = 40


def guessed_seconds(specification: Specification) -> float:
    """Return a rough guess of the seconds of one episode on one core."""
    steps = load_maze(specification.maze).max_episode_steps
    if specification.policy == 'controller':
        return steps * STEP_S
    settings = specification.planner_settings
    calls = settings.sampling_steps
    if settings.schedule == 'autoregressive':
        calls *= TOKENS
    elif settings.schedule == 'pyramid':
        calls += TOKENS * settings.uncertainty_scale
    if settings.guidance_scale > 0.0:
        mcg = settings.schedule != 'full_sequence'
        calls *= GRADIENT_CALLS * (settings.guidance_samples if mcg else 1)
    moving = 1.0 if specification.execution == 'raw' else MOVING_SHARE
    plans = moving * steps * DT_S / specification.replan_interval_s
    samples = settings.num_samples
    later = min(REPLAN_SAMPLES, samples) if settings.pin_goal else samples
    return steps * STEP_S + SAMPLE_CALL_S * calls * (samples + max(plans - 1.0, 0.0) * later)


class Costs:
    """Seconds per episode of every run, from its own episodes if there are any."""

    def __init__(self):
        """Know nothing yet."""
        self._measured: dict[str, list[float]] = defaultdict(list)
        self._guesses: dict[str, float] = {}

    def add(self, key: str, specification: Specification, seconds: float) -> None:
        """Take the time of a finished episode of the run ``key``."""
        self.of(key, specification)
        self._measured[key].append(seconds)

    def of(self, key: str, specification: Specification) -> float:
        """Return the expected seconds of one episode of a run on one core."""
        if key not in self._guesses:
            self._guesses[key] = guessed_seconds(specification)
        if self._measured.get(key):
            return sum(self._measured[key]) / len(self._measured[key])
        guessed = sum(self._guesses[k] * len(v) for k, v in self._measured.items())
        measured = sum(sum(v) for v in self._measured.values())
        return self._guesses[key] * (measured / guessed if guessed > 0.0 else 1.0)

    def is_measured(self, key: str) -> bool:
        """Tell whether the cost of a run comes from its own episodes."""
        return bool(self._measured.get(key))


def duration(seconds: float) -> str:
    """Return a time span in words: ``40 s``, ``12 min``, ``3 h 05 min``."""
    minutes = round(seconds / 60.0)
    if minutes < 2:
        return f'{seconds:.0f} s'
    return f'{minutes} min' if minutes < 120 else f'{minutes // 60} h {minutes % 60:02d} min'
