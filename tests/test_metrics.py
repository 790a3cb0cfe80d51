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

"""Records of episodes and their summary, on hand-made episodes whose numbers are known."""

import json
import subprocess
import sys

import numpy as np
import pytest
from ros.episode_records import without_latencies

from df_planner.evaluation.metrics import BATCH_FIELDS
from df_planner.evaluation.metrics import crossing_segments
from df_planner.evaluation.metrics import episode_record
from df_planner.evaluation.metrics import LATENCY_FIELDS
from df_planner.evaluation.metrics import plan_execution_gap
from df_planner.evaluation.metrics import statistics
from df_planner.evaluation.metrics import summarize
from df_planner.evaluation.metrics import wall_crossing_share
from df_planner.planning.plan import Plan
from df_planner.sim.maze import load_maze
from df_planner.sim.maze import Maze

MAZE = load_maze('umaze')


def _states(positions):
    positions = np.asarray(positions, dtype=float)
    return np.hstack([positions, np.zeros_like(positions)])


def _plan(positions):
    states = _states(positions)
    return Plan(actions=np.zeros((len(states), 2)), states=states, dt_s=0.01,
                goal=states[-1, :2])


def _record(columns, maze=MAZE, **kwargs):
    states = _states([[1.0, column] for column in columns])
    goal = np.array([1.0, 1.0])
    return episode_record(maze, 0, states[0], goal, states, np.zeros((len(states) - 1, 2)),
                          **kwargs)


def test_return_counts_observations_after_the_start():
    record = _record([1.0, 2.0, 1.6, 1.4, 1.0, 1.7, 1.5])
    assert record['return'] == 3.0  # 1.4, 1.0 and 1.5: the start itself does not count
    assert record['first_reach_step'] == 3
    assert record['latched_return'] == 4.0
    assert record['reached'] is True
    assert record['steps'] == 6
    assert record['score'] == pytest.approx(100 * (3.0 - 23.85) / (161.86 - 23.85))
    assert record['path_length_m'] == pytest.approx(1.0 + 0.4 + 0.2 + 0.4 + 0.7 + 0.2)


def test_an_episode_that_never_arrives():
    record = _record([3.0, 3.0, 2.9])
    assert (record['return'], record['latched_return']) == (0.0, 0.0)
    assert record['reached'] is False and record['first_reach_step'] is None


def test_a_maze_without_reference_has_no_score():
    maze = Maze('own', MAZE.rows, 300, None)
    assert _record([1.0, 1.0], maze=maze)['score'] is None


def test_a_policy_without_plans_has_no_plan_metrics():
    record = _record([1.0, 1.0])
    for name in ('wall_crossing_share', 'plan_execution_gap', 'planning_time_p50_s'):
        assert record[name] is None
    assert record['plans'] == 0 and record['planning_times_s'] == []


def test_records_are_plain_json_and_split_into_result_and_latency():
    plan = _plan([[1.0, 2.0], [1.0, 1.9]])
    record = _record([2.0, 1.9, 1.8], plans=[(0, plan), (1, None)],
                     planning_times_s=[0.2, 0.4])
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert (record['plans'], record['failed_plans']) == (1, 1)
    assert record['planning_time_p50_s'] == pytest.approx(0.3)
    assert record['planning_time_max_s'] == 0.4
    assert set(record) - set(without_latencies(record)) == {*LATENCY_FIELDS, *BATCH_FIELDS}


def test_states_must_outnumber_actions_by_one():
    with pytest.raises(ValueError, match='one row more'):
        episode_record(MAZE, 0, np.zeros(4), np.zeros(2), np.zeros((3, 4)), np.zeros((3, 2)))


def test_crossing_share_sees_walls_between_the_samples():
    # umaze: the wall of cell (2, 2) spans rows and columns 1.3 .. 2.3.
    over_the_wall = _plan([[1.0, 2.0], [3.0, 2.0]])
    assert wall_crossing_share(crossing_segments(MAZE, [over_the_wall])) == 1.0
    around = _plan([[1.0, 2.0], [1.0, 2.8], [2.8, 2.8], [2.8, 2.0]])
    assert wall_crossing_share(crossing_segments(MAZE, [around])) == 0.0
    outside = _plan([[1.0, 1.0], [1.0, 1.1], [-4.0, 1.1]])
    assert wall_crossing_share(crossing_segments(MAZE, [outside])) == 0.5
    assert wall_crossing_share(crossing_segments(MAZE, [over_the_wall, around])) == 0.25
    cut_corner = _plan([[1.2, 2.0], [1.8, 2.6]])  # passes (1.31, 2.11), 2 cm inside the corner
    assert wall_crossing_share(crossing_segments(MAZE, [cut_corner])) == 1.0


def test_crossing_share_of_a_standing_plan():
    assert wall_crossing_share(crossing_segments(MAZE, [_plan([[1.0, 1.0], [1.0, 1.0]])])) == 0.0
    assert wall_crossing_share(crossing_segments(MAZE, [_plan([[0.0, 0.0], [0.0, 0.0]])])) == 1.0
    assert wall_crossing_share(crossing_segments(MAZE, [_plan([[1.0, 1.0]])])) is None
    assert wall_crossing_share(crossing_segments(MAZE, [])) is None


def test_gap_compares_only_the_executed_part():
    states = _states([[1.0, 1.0], [1.0, 1.1], [1.0, 1.2], [1.0, 1.3], [1.0, 1.4]])
    first = _plan([[1.0, 1.0], [1.3, 1.1], [1.1, 1.2], [9.0, 9.0]])  # 2 steps executed
    second = _plan([[1.0, 1.2], [1.2, 1.3]])  # shorter than what is left
    gap = plan_execution_gap(states, [(0, first), (2, second)])
    assert gap == pytest.approx((0.3 + 0.1 + 0.2) / 3)
    assert plan_execution_gap(states, [(0, first), (1, None)]) == pytest.approx(0.3)
    assert plan_execution_gap(states, [(0, None)]) is None
    assert plan_execution_gap(states, [(4, first)]) is None
    assert plan_execution_gap(states, []) is None


def test_statistics_by_hand():
    result = statistics([1.0, None, 2.0, 3.0, 6.0])
    assert result['count'] == 4
    assert result['mean'] == 3.0
    assert result['std'] == pytest.approx(np.sqrt((4 + 1 + 0 + 9) / 3))
    assert result['stderr'] == pytest.approx(result['std'] / 2)
    assert (result['p50'], result['min'], result['max']) == (2.5, 1.0, 6.0)
    assert result['p95'] == pytest.approx(3.0 + 0.85 * 3.0)
    assert statistics([2.0])['std'] is None
    assert statistics([None])['mean'] is None


def test_summary_pools_planning_times_and_counts_reaches():
    plan, hold = _plan([[1.0, 2.0], [1.0, 1.9]]), _plan([[1.0, 1.0]])
    reached = _record([2.0, 1.0, 1.0], plans=[(0, plan), (1, hold)], planning_times_s=[0.1, 9.0])
    missed = _record([3.0, 3.0, 3.0], plans=[(0, plan), (1, None), (2, plan)],
                     planning_times_s=[0.2, 0.3, 0.4])
    summary = summarize([reached, missed])
    assert (summary['episodes'], summary['reached'], summary['reach_rate']) == (2, 1, 0.5)
    assert summary['return']['mean'] == 1.0
    assert summary['first_reach_step']['count'] == 1
    assert summary['planning_time_s']['count'] == 4, 'holding the goal is no planning'
    assert summary['planning_time_s']['mean'] == pytest.approx(0.25)
    assert json.dumps(summary, allow_nan=False)
    assert summarize([])['reach_rate'] is None


def test_metrics_and_report_need_neither_torch_nor_ros():
    code = ('import sys; import df_planner.evaluation.metrics, df_planner.evaluation.protocol, '
            'df_planner.evaluation.report, df_planner.evaluation.picture; '
            'print([m for m in ("torch", "rclpy", "mujoco", "matplotlib") if m in sys.modules])')
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == '[]'
