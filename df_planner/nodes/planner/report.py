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

"""The diagnostics of the planner: model, inference with its times, inputs and safety gate."""

from collections import Counter
from collections import deque
import time
from typing import TYPE_CHECKING

import numpy as np

from df_planner.driving.safety_gate import goal_distance_m
from df_planner.errors import DFPlannerError
from df_planner.errors import UnsafePlan
from df_planner.nodes.planner.parameters import PlannerParameters
from df_planner.nodes.planner.planning_job import Goal
from df_planner.nodes.planner.planning_job import Reading
from df_planner.nodes.planner.planning_job import Result
from df_planner.planning.plan import Plan
from df_planner.ros.diagnostics import Complaints
from df_planner.ros.diagnostics import Diagnostics
from df_planner.ros.diagnostics import ERROR
from df_planner.ros.diagnostics import OK
from df_planner.ros.diagnostics import Status
from df_planner.ros.diagnostics import WARN

if TYPE_CHECKING:
    from df_planner.planning.planner import Planner

WINDOW = 100  # plans that the percentiles are taken over
PERCENTILES = (50, 95, 99)


def parts_of(plan: Plan, duration_s: float) -> dict[str, float]:
    """
    Return the milliseconds by part of planning, and how much of the plan the network made.

    ``other_ms`` is the rest: choosing, interpolating, waiting for the interpreter.
    """
    parts_ms = {f'{name}_ms': 1e3 * seconds for name, seconds in plan.timings.items()
                if name not in ('other', 'total')}
    other_ms = 1e3 * duration_s - sum(parts_ms.values())
    found = {'total_ms': 1e3 * duration_s, **parts_ms, 'other_ms': max(other_ms, 0.0)}
    calls = plan.network_calls
    if calls:
        diffused = len(plan) if plan.diffused_steps is None else plan.diffused_steps
        found |= {'network_calls': calls, 'ms_per_call': parts_ms['network_ms'] / calls,
                  'diffused_steps': diffused}
    return found


class PlanTimes:
    """Percentiles of the parts of recent plans."""

    def __init__(self):
        self._recent: deque[dict[str, float]] = deque(maxlen=WINDOW)

    def add(self, parts: dict[str, float]) -> None:
        """Add a plan, as returned by ``parts_of``."""
        self._recent.append(parts)

    def values(self) -> dict[str, object]:
        """Return per part the percentiles, as text, over the plans that have it."""
        names = dict.fromkeys(name for parts in self._recent for name in parts)
        return {name: ' / '.join(f'{value:.1f}' for value in np.percentile(
                    [parts[name] for parts in self._recent if name in parts], PERCENTILES))
                for name in names}


class PlannerReport:
    """The four statuses of a planner; changes are published at once."""

    def __init__(self, diagnostics: Diagnostics, complaints: Complaints):
        self._diagnostics = diagnostics
        self._complaints = complaints
        self._model = Status(WARN, 'Not configured')
        self._inputs = Status(OK, 'Not configured')
        self._durations_s: deque[float] = deque(maxlen=WINDOW)
        self._times = PlanTimes()
        self._latency_steps = self._plans = self._overruns = self._failures = self._late = 0
        self._longest_late_s = 0.0
        self._refused: Counter[str] = Counter()
        self._last_result: Result | None = None
        diagnostics.add('model', lambda: self._model)
        diagnostics.add('inference', self._inference)
        diagnostics.add('inputs', self._judge_inputs)
        diagnostics.add('safety gate', self._safety)

    def model_loading(self, checkpoint: str) -> None:
        """Report that a model is being loaded."""
        self._set_model(Status(WARN, 'Loading model', {'checkpoint': checkpoint}))

    def model_failed(self, error: Exception) -> None:
        """Report why there is no model."""
        self._set_model(Status(ERROR, str(error)))

    def model_loaded(self, planner: 'Planner', parameters: PlannerParameters) -> None:
        """Report which model is in use, and where it runs."""
        import torch  # loaded with the model
        self._set_model(Status(OK, 'Model loaded', {
            'checkpoint': parameters.checkpoint, 'device': planner.device,
            'backend': parameters.backend, 'num_threads': torch.get_num_threads(),
            'dt_s': planner.card.dt_s}))

    def model_swapping(self, text: str, error: DFPlannerError | None) -> None:
        """Report on loading another model, besides the values of the one in use."""
        if error is not None:
            text = f'{text}: {error.code}: {error}'
        self._set_model(Status(WARN if text else OK, text or 'Model loaded', self._model.values))

    def model_unloaded(self) -> None:
        """Report that there is no model."""
        self._set_model(Status(WARN, 'Not configured'))

    def planned(self, result: Result, period_s: float, latency_steps: int) -> dict[str, float]:
        """
        Count a plan and return the parts of its time.

        :param period_s: an overrun is a plan that took longer.
        :param latency_steps: control steps that the next plan is expected to take.
        """
        last = self._last_result
        changed = (result.error is None) != (last is None or last.error is None)
        self._latency_steps = latency_steps
        self._plans += 1
        self._overruns += result.duration_s > period_s
        self._failures += result.error is not None
        self._late += result.late_s > 0.0
        self._longest_late_s = max(self._longest_late_s, result.late_s)
        self._last_result = result
        if isinstance(result.error, UnsafePlan):
            changed = changed or not self._refused[result.error.code]
            self._refused[result.error.code] += 1
        parts: dict[str, float] = {}
        if result.asked_network:
            self._durations_s.append(result.duration_s)
            if result.error is None and result.plan is not None:
                parts = parts_of(result.plan, result.duration_s)
                self._times.add(parts)
        if changed:
            self._diagnostics.update()
        return parts

    def inputs(self, missing: list[str], clock_fault: str | None, odom: Reading | None,
               goal: Goal | None) -> None:
        """Report which inputs are missing, and what is wrong with the clock."""
        age_s = 'never heard' if odom is None else f'{time.monotonic() - odom.received_s:.2f}'
        faults = ['Waiting for ' + ', '.join(missing)] if missing else []
        faults += [clock_fault] if clock_fault is not None else []
        message = '; '.join(faults) or 'All inputs are there'
        if goal is None:  # what was wrong with its plans is so no longer
            self._last_result = None
        is_new = message != self._inputs.message
        self._inputs = Status(WARN if faults else OK, message,
                              {'odom_age_s': age_s, 'has_goal': goal is not None})
        if is_new:
            self._diagnostics.update()

    def _set_model(self, status: Status) -> None:
        self._model = status
        self._diagnostics.update()

    def _judge_inputs(self) -> Status:
        complaints = list(self._complaints)
        if complaints:
            missing = [self._inputs.message] if self._inputs.level == WARN else []
            return Status(ERROR, '; '.join(complaints + missing), self._inputs.values)
        return self._inputs

    def _safety(self) -> Status:
        result, values = self._last_result, dict(self._refused)
        if result is not None and result.plan is not None:
            values['goal_distance_m'] = f'{goal_distance_m(result.plan):.2f}'
        if result is None or not isinstance(result.error, UnsafePlan):
            return Status(OK, f'{sum(self._refused.values())} plans refused so far', values)
        outcome = 'stopped' if result.plan is None else 'the plan before goes on'
        return Status(ERROR if result.plan is None else WARN,
                      f'{result.error.code}: {result.error}; {outcome}', values)

    def _inference(self) -> Status:
        if not self._durations_s:
            return Status(OK, 'No plan yet')
        p50_s, p95_s, p99_s = np.percentile(self._durations_s, (50, 95, 99))
        values = {'p50_s': f'{p50_s:.3f}', 'p95_s': f'{p95_s:.3f}', 'p99_s': f'{p99_s:.3f}',
                  'plans': self._plans, 'overruns': self._overruns,
                  'without_new_plan': self._failures, 'late_plans': self._late,
                  'longest_late_s': f'{self._longest_late_s:.2f}',
                  'expected_latency_steps': self._latency_steps,
                  **{f'{name} p50 / p95 / p99': value
                     for name, value in self._times.values().items()}}
        error = None if self._last_result is None else self._last_result.error
        if error is not None:
            return Status(WARN, f'{error.code}: {error}', values)
        return Status(OK, 'Planning', values)
