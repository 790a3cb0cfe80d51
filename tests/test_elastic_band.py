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

"""The elastic band: as fast as the robot can, clear of walls, along the planned way."""

import numpy as np
import pytest

from df_planner.driving.elastic_band import _Band
from df_planner.driving.elastic_band import ElasticBand
from df_planner.driving.elastic_band import RobotLimits
from df_planner.driving.executor import EXECUTIONS
from df_planner.driving.executor import Executor
from df_planner.planning.plan import Plan
from df_planner.sim.maze import load_maze
from df_planner.sim.maze import maze_map
from df_planner.sim.world import World

DT_S = 0.01


def plan_along(corners, speed_mps=1.5, start_velocity=(0.0, 0.0)):
    """Return a plan at constant speed along straight lines."""
    corners = np.array(corners, float)
    lengths = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))]
    s = np.arange(0.0, lengths[-1], speed_mps * DT_S)
    positions = np.stack([np.interp(s, lengths, corners[:, axis]) for axis in range(2)], axis=1)
    velocities = np.gradient(positions, DT_S, axis=0)
    velocities[0] = start_velocity
    states = np.hstack([positions, velocities])
    return Plan(np.zeros((len(s), 2)), states, DT_S, corners[-1])


U_TURN = [(3.0, 1.0), (3.0, 3.0), (1.0, 3.0), (1.0, 1.0)]  # around the wall of umaze


def test_straight_way_takes_the_time_of_bang_bang_control():
    """Closed form: a distance d from rest to rest takes 2 sqrt(d / a) without damping."""
    limits = RobotLimits(max_acceleration_mps2=20.0, max_speed_mps=50.0, damping_per_s=0.0)
    band = ElasticBand(None, limits, utilisation=1.0)

    fast = band.refine(plan_along([(0.0, 0.0), (2.0, 0.0)]))

    best_s = 2 * np.sqrt(2.0 / 20.0)
    assert (len(fast) - 1) * DT_S == pytest.approx(best_s, rel=0.08)
    assert np.abs(fast.states[:, 1]).max() < 1e-6


@pytest.mark.parametrize('speed_mps', [1e155, 1e300])
def test_absurd_numbers_leave_the_plan_as_it_is(speed_mps):
    plan = plan_along([(0.0, 0.0), (2.0, 0.0)], start_velocity=(speed_mps, 0.0))
    assert ElasticBand(maze_map('umaze')).refine(plan) is plan


def test_speed_limit_holds():
    """A long straight way is driven at the speed limit, and not above it."""
    band = ElasticBand(None, RobotLimits(max_speed_mps=3.0), utilisation=1.0)

    fast = band.refine(plan_along([(0.0, 0.0), (6.0, 0.0)]))

    assert 2.9 < fast.states[:, 2].max() < 3.2


def test_gradient_is_that_of_the_cost():
    """Against finite differences, at a point where every limit is exceeded."""
    plan = plan_along(U_TURN, speed_mps=6.0, start_velocity=(0.3, -0.4))
    band = _Band(ElasticBand(maze_map('umaze'), clearance_m=0.5), plan)
    random = np.random.default_rng(0)
    knots = band.knots + 0.02 * random.standard_normal(band.knots.shape)

    def cost(unknowns):
        moved = knots.copy()
        moved[1:-1] = unknowns[:-1].reshape(2, -1).T
        return band._cost(moved, unknowns[-1], 0.7)
    at = np.append(knots[1:-1].T.ravel(), band.step_s)
    gradient = cost(at)[1]

    for index in [0, 5, len(at) // 2, len(at) - 2, len(at) - 1]:
        nudge = np.zeros_like(at)
        nudge[index] = 1e-6
        slope = (cost(at + nudge)[0] - cost(at - nudge)[0]) / 2e-6
        # The slope of the clearance is taken over 4 cm, that of the cost is exact.
        assert 2 * gradient[index] == pytest.approx(
            slope, rel=0.1, abs=0.05 * np.abs(gradient).max())


def test_band_is_faster_clear_of_walls_and_on_the_planned_way():
    """In umaze the way around the wall is kept, though through the wall would be shorter."""
    grid, plan = maze_map('umaze'), plan_along(U_TURN)

    fast = ElasticBand(grid).refine(plan)

    assert len(fast) < 0.5 * len(plan)
    assert grid.clearance(fast.states[:, :2]).min() > 0.08
    assert np.allclose(fast.states[0], plan.states[0])
    assert np.allclose(fast.states[-1], [1.0, 1.0, 0.0, 0.0], atol=0.05)
    assert fast.states[:, 1].max() > 2.2  # passes through the far corridor


def test_the_robot_can_follow_it():
    """Real physics: driven by the tracker, the ball stays within centimetres of the band."""
    maze = load_maze('umaze')
    executor = Executor('time_optimal', band=ElasticBand(maze_map('umaze')))
    plan = executor.prepare(plan_along(U_TURN))
    world = World(maze)
    world.set_state(plan.states[0])

    gaps = []
    for step in range(len(plan) + 50):
        state = world.step(executor.action(plan, step, world.state))
        gaps.append(np.linalg.norm(state[:2] - plan.states[min(step + 1, len(plan) - 1), :2]))

    assert max(gaps) < 0.1
    assert np.linalg.norm(world.state[:2] - [1.0, 1.0]) < 0.05


def test_a_plan_that_holds_stays_as_it_is():
    """A single row has nothing to gain."""
    plan = Plan(np.zeros((1, 2)), np.array([[1.0, 1.0, 0.0, 0.0]]), DT_S, np.ones(2))

    assert ElasticBand(maze_map('umaze')).refine(plan) is plan


@pytest.mark.parametrize('execution', EXECUTIONS)
def test_only_time_optimal_changes_plans(execution):
    """Raw and tracking execute plans as they are."""
    plan = plan_along(U_TURN)

    prepared = Executor(execution, band=ElasticBand(maze_map('umaze'))).prepare(plan)

    assert (prepared is plan) == (execution != 'time_optimal')
