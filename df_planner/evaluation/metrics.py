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
What an episode is worth: one record per episode, and the summary over episodes.

``df_planner evaluate`` and the ROS benchmark node both make their records here, from the states,
actions and plans of an episode, so that their numbers mean the same. Usage::

    record = episode_record(place, episode, start, goal, states, actions, plans, planning_times_s)
    summary = summarize(records)

Only the fields named in ``LATENCY_FIELDS`` may depend on the speed of the machine.
"""

from collections.abc import Sequence

import numpy as np

from df_planner.planning.plan import Plan
from df_planner.robots.signals import MAZE2D
from df_planner.robots.signals import Signals
from df_planner.sim.maze import DT_S
from df_planner.sim.maze import GOAL_RADIUS_M
from df_planner.sim.maze import in_maze
from df_planner.sim.place import Place

LATENCY_FIELDS = ('planning_time_p50_s', 'planning_time_p99_s', 'planning_time_max_s',
                  'planning_times_s')
BATCH_FIELDS = ('calls', 'first_batches', 'valid_candidates')  # what only a planner tells
SUMMARY_FIELDS = ('score', 'return', 'latched_return', 'first_reach_step', 'path_length_m',
                  'touches', 'plans', 'failed_plans', 'wall_crossing_share', 'crossing_plans',
                  *BATCH_FIELDS, 'plan_execution_gap')
CROSSING_STEP_M = 0.01


def episode_record(place: Place, episode: int, start: np.ndarray, goal: np.ndarray,
                   states: np.ndarray, actions: np.ndarray,
                   plans: Sequence[tuple[int, Plan | None]] = (),
                   planning_times_s: Sequence[float] = (), signals: Signals = MAZE2D,
                   touches: int | None = None) -> dict:
    """
    Make the record of one episode: plain numbers and lists, ready for JSON.

    Fields: ``episode``, ``start`` and ``goal`` (row and column, on a map x and y), ``steps``,
    ``dt_s`` (seconds of a step), ``return`` (observations within 0.5 m of the goal), ``score``
    (normalised, 100 = D4RL's reference; None for a place or a robot without one),
    ``latched_return`` (every step from the first reach on), ``reached``, ``first_reach_step`` (1
    is the first step; None if never), ``path_length_m``, ``touches`` (times that the robot hit a
    wall), ``plans``, ``failed_plans``, ``wall_crossing_share``, ``crossing_plans`` (plans with a
    segment in a wall), ``calls`` (of the planner, those near the goal left out), ``first_batches``
    (calls in which a candidate of the first batch was valid), ``valid_candidates`` (their share in
    the first batch, mean over calls), ``plan_execution_gap`` (metres), and the latencies
    ``LATENCY_FIELDS`` (seconds). A field about plans is None where the policy publishes no plan,
    one about batches also where plans do not tell it.

    :param episode: index of the episode in its starts.
    :param start: (S,) and ``goal`` (2,), in the axes of the states, as all that follows.
    :param states: (T+1, S), the first row is the start.
    :param actions: (T, A).
    :param plans: (step, plan) in the order of planning; step counts control steps from the start
        of the episode, the plan is None where planning failed.
    :param planning_times_s: wall seconds of every planning call, in the order of ``plans``. Those
        of plans of a single row, which hold a position without asking the model, do not count.
    :param touches: None where walls are there to be touched, as in D4RL's mazes.
    """
    if len(states) != len(actions) + 1:
        raise ValueError('states must have one row more than actions, got '
                         f'{len(states)} and {len(actions)}')
    inside = is_reached(states[1:], goal)
    reached = bool(inside.any())
    first_reach_step = int(inside.argmax()) + 1 if reached else None
    episode_return = float(inside.sum())
    scored = place.reference_return is not None and signals == MAZE2D
    times_s = [float(seconds) for seconds, (_, plan) in zip(planning_times_s, plans)
               if plan is None or len(plan) > 1]
    crossing = crossing_segments(place, [plan for _, plan in plans if plan is not None], signals)
    latency = statistics(times_s)
    made = [(step, plan) for step, plan in plans if plan is not None]
    return {
        'episode': int(episode),
        'start': _start_for_users(place, np.asarray(start, float), signals),
        'goal': place.shown(in_maze(goal, signals.observation_to_map)).tolist(),
        'steps': len(actions),
        'dt_s': signals.dt_s,
        'return': episode_return,
        'score': float(place.normalized_score(episode_return)) if scored else None,
        'latched_return': float(len(actions) - first_reach_step + 1) if reached else 0.0,
        'reached': reached,
        'first_reach_step': first_reach_step,
        'path_length_m': float(np.linalg.norm(np.diff(states[:, :2], axis=0), axis=-1).sum()),
        'touches': touches,
        'plans': len(made),
        'failed_plans': len(plans) - len(made),
        'wall_crossing_share': wall_crossing_share(crossing),
        'crossing_plans': sum(bool(segments.any()) for segments in crossing) if crossing else None,
        **batch_counts([plan for _, plan in plans]),
        'plan_execution_gap': plan_execution_gap(states, plans),
        **{f'planning_time_{name}_s': latency[name] for name in ('p50', 'p99', 'max')},
        'planning_times_s': times_s,
    }


def is_reached(states: np.ndarray, goal: np.ndarray) -> np.ndarray:
    """Tell which states (..., S) are at the goal (2,), bool (...)."""
    return np.linalg.norm(states[..., :2] - goal, axis=-1) <= GOAL_RADIUS_M


def _start_for_users(place: Place, start: np.ndarray, signals: Signals) -> list[float]:
    to_map = signals.observation_to_map
    velocity = start[2:4]
    if place.in_map_frame:
        velocity = velocity @ np.array(to_map).T
    return [*place.shown(in_maze(start[:2], to_map)).tolist(), *velocity.tolist(),
            *start[4:].tolist()]


def crossing_segments(place: Place, plans: Sequence[Plan], signals: Signals = MAZE2D
                      ) -> list[np.ndarray]:
    """
    Return for every plan of two rows or more which segments touch a wall or leave the place.

    A segment joins two consecutive planned positions and is checked every centimetre; what counts
    is the centre of the robot. All rows of all plans count, executed or not.
    """
    found = []
    for plan in plans:
        if len(plan) < 2:
            continue
        positions = in_maze(plan.states[:, :2], signals.observation_to_map)
        begin, step = positions[:-1], np.diff(positions, axis=0)
        longest = np.linalg.norm(step, axis=-1).max()
        share = np.linspace(0.0, 1.0, max(int(np.ceil(longest / CROSSING_STEP_M)), 1) + 1)
        points = begin[:, None] + share[:, None] * step[:, None]
        found.append(place.is_wall(points).any(axis=1))
    return found


def wall_crossing_share(crossing: Sequence[np.ndarray]) -> float | None:
    """Return the share of the segments of ``crossing_segments`` that do; None without any."""
    return float(np.concatenate(crossing).mean()) if crossing else None


def batch_counts(plans: Sequence[Plan | None]) -> dict:
    """
    Return the fields of a record that tell how often the first batch of candidates was enough.

    :param plans: of every call, None where it failed.
    """
    calls = [plan for plan in plans if plan is None or len(plan) > 1]
    sampled = [plan for plan in calls if plan is not None and plan.batches]
    if not sampled and any(plan is not None for plan in calls) or not calls:
        return dict.fromkeys(BATCH_FIELDS)
    first = [plan for plan in sampled if plan.batches == 1 and plan.valid]
    shares = [np.isfinite(plan.candidate_rewards).mean() for plan in first
              if plan.candidate_rewards is not None]
    return {'calls': len(calls), 'first_batches': len(first),
            'valid_candidates': float(sum(shares)) / len(calls) if shares or not first else None}


def plan_execution_gap(states: np.ndarray, plans: Sequence[tuple[int, Plan | None]]
                       ) -> float | None:
    """
    Return the mean distance in metres between planned and executed positions.

    The executed part of a plan is what lies between its start and the next plan (or the end of the
    plan, or of the episode); its first row, where both agree by construction, does not count.
    None where no plan was executed for a step.

    :param states: (T+1, S) of the episode.
    """
    gaps = []
    ends = [step for step, _ in plans[1:]] + [len(states) - 1]
    for (begin, plan), end in zip(plans, ends):
        if plan is None:
            continue
        steps = min(end - begin, len(plan) - 1, len(states) - 1 - begin)
        if steps > 0:
            executed = states[begin + 1:begin + 1 + steps, :2]
            gaps.append(np.linalg.norm(plan.states[1:1 + steps, :2] - executed, axis=-1))
    return float(np.concatenate(gaps).mean()) if gaps else None


def summarize(records: Sequence[dict]) -> dict:
    """
    Summarise records: per field count, mean, standard deviation, standard error and percentiles.

    ``planning_time_s`` pools the planning calls of all episodes. A None in a record (a goal that
    was not reached has no first step) is left out of the field's statistics; ``count`` says how
    many values remain.
    """
    reached = [record['reached'] for record in records]
    return {
        'episodes': len(records),
        'dt_s': records[0].get('dt_s', DT_S) if records else None,
        'reached': sum(reached),
        'reach_rate': statistics(reached)['mean'],
        **{name: statistics([record.get(name) for record in records]) for name in SUMMARY_FIELDS},
        'first_batch_rate': pooled_share(records, 'first_batches', 'calls'),
        'crossing_plan_rate': pooled_share(records, 'crossing_plans', 'plans'),
        'planning_time_s': statistics(
            [value for record in records for value in record['planning_times_s']]),
    }


def pooled_share(records: Sequence[dict], part: str, whole: str) -> float | None:
    """Return the sum of one field as a share of that of another, None if no record has both."""
    pairs = [(record[part], record[whole]) for record in records
             if record.get(part) is not None]
    total = sum(pair[1] for pair in pairs)
    return sum(pair[0] for pair in pairs) / total if total else None


def statistics(values: Sequence[float | None]) -> dict:
    """Return count, mean, sample standard deviation, standard error, p50, p95, p99, min, max."""
    known = np.array([value for value in values if value is not None], dtype=np.float64)
    names = ('mean', 'std', 'stderr', 'p50', 'p95', 'p99', 'min', 'max')
    if len(known) == 0:
        return {'count': 0, **dict.fromkeys(names)}
    std = float(known.std(ddof=1)) if len(known) > 1 else None
    stderr = std / float(np.sqrt(len(known))) if std is not None else None
    return {'count': len(known), **dict(zip(names, (
        float(known.mean()), std, stderr, *np.percentile(known, (50, 95, 99)).tolist(),
        float(known.min()), float(known.max()))))}
