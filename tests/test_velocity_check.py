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

"""Velocities in wrong axes, or of a position that does not follow, are found; others are not."""

import numpy as np
import pytest

from df_planner.driving.odometry_watch import OdometryWatch
from df_planner.driving.velocity_check import VelocityCheck

DT_S = 0.01


def drive(turn_deg=0.0, velocity=1.0, steps=100, noise=(0.0, 0.0), jump_m=0.0, every=1):
    """Speed up from rest to some m/s within 0.5 s; return (faults by step, the check)."""
    check, rng, found = VelocityCheck(), np.random.default_rng(0), {}
    turn = np.radians(turn_deg)
    axes = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    x = told_x = 0.0
    for step in range(steps):
        v = velocity * min(step * DT_S / 0.5, 1.0)
        x += v * DT_S
        told_x = x if step % every == 0 else told_x
        position = np.array([told_x + jump_m * (step >= 70), 0.0]) + rng.normal(0, noise[0], 2)
        told = axes @ [v, 0.0] + rng.normal(0.0, noise[1], 2)
        fault = check.hear(np.concatenate([position, told]), step * DT_S, step * DT_S)
        if fault is not None:
            found[step] = fault
    return found, check


@pytest.mark.parametrize('odd', [
    {}, {'velocity': 5.0}, {'noise': (0.02, 0.1)},
    {'jump_m': 0.19}, {'jump_m': 0.4}, {'jump_m': 5.0},
    {'velocity': 2.5, 'every': 10},  # a position that comes ten times a second
    {'turn_deg': 20.0}])
def test_honest_odometry_passes(odd):
    found, check = drive(**odd)
    assert not found and not check.is_wrong


def test_single_messages_of_somebody_else_prove_nothing():
    """The robot stands; now and then a message tells of another place, near enough to be it."""
    check = VelocityCheck()
    for step in range(300):
        y = 0.18 * (step % 20 in (0, 1)) + 0.18 * (step % 20 == 1)
        assert check.hear(np.array([0.0, y, 0.0, 0.0]), step * DT_S, step * DT_S) is None


@pytest.mark.parametrize('turn_deg', [90.0, 180.0, -90.0])
def test_a_twist_in_other_axes_is_found_before_the_robot_is_fast(turn_deg):
    found, check = drive(turn_deg)
    assert 'child_frame_id' in found[min(found)] and check.is_wrong
    assert min(found) * DT_S < 0.7


def test_a_position_that_stands_is_not_the_fault_of_the_velocity():
    found, check = drive(velocity=2.0, every=1000)
    assert found and not check.is_wrong


@pytest.mark.parametrize('gap_s, fault', [(0.01, False), (0.05, False), (0.1, True),
                                          (0.2, True)])
def test_odometry_that_comes_too_rarely_is_named(gap_s, fault):
    watch = OdometryWatch(0.5, 0.06)
    for step in range(round(1.5 / gap_s)):
        now_s = step * gap_s
        found = watch.hear(np.array([now_s, 0.0, 1.0, 0.0]), round(1e9 * now_s), now_s)
    assert (found is not None) == fault
    if fault:
        assert f'every {gap_s:.2f} s' in found


def test_one_gap_is_no_fault():
    watch, now_s = OdometryWatch(0.5, 0.06), 0.0
    for step in range(100):
        now_s += 0.4 if step == 50 else 0.01
        assert watch.hear(np.array([now_s, 0.0, 1.0, 0.0]), round(1e9 * now_s), now_s) is None


def test_two_sources_that_disagree_are_not_the_fault_of_the_velocity():
    """Also if messages are lost, as on a busy machine."""
    watch, rng, now_s = OdometryWatch(0.5), np.random.default_rng(0), 0.0
    for _ in range(500):
        now_s += float(rng.choice((0.005, 0.01, 0.1)))
        x = 2.5 * now_s + rng.choice((0.0, 0.4))
        fault = watch.hear(np.array([x, 0.0, 2.5, 0.0]), round(1e9 * now_s), now_s)
    assert 'second publisher' in fault and watch.has_velocity
