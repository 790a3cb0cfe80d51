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

"""A map from a file over DDS: the simulator publishes it, and drives are those of evaluate."""

import json

from episode_records import without_latencies
from nav_msgs.msg import OccupancyGrid
from nav_msgs.msg import Odometry
import numpy as np
import profiles
import pytest

from df_planner.evaluation.episodes import EpisodeRunner
from df_planner.evaluation.episodes import Specification
from df_planner.evaluation.protocol import sample_starts
from df_planner.maps.generator import unseen_place
from df_planner.maps.grid import GridMap
from df_planner.maps.map_file import save_map
from df_planner.ros.conversions import MapAxes
from df_planner.ros.maps import grid_map_from_message
from df_planner.sim.map_place import load_place
from df_planner.sim.maze import load_maze

INTERVAL_STEPS = 25
SETTINGS = {'num_samples': 8, 'robot_radius_m': 0.1}


def test_the_simulator_publishes_the_map_as_it_is(start_node, probe, tmp_path):
    grid = next(place.grid for place in map(unseen_place, range(99)) if place.grid.origin_yaw)
    unknown = np.zeros_like(grid.occupied)
    unknown[:3] = True
    grid = GridMap(grid.occupied & ~unknown, grid.resolution_m, grid.origin_xy, unknown=unknown,
                   origin_yaw=grid.origin_yaw)
    save_map(tmp_path / 'place.yaml', grid)
    maps = probe.listen(OccupancyGrid, 'map', profiles.LATCHED_QOS)
    odometry = probe.listen(Odometry, 'odom', profiles.RECORDING_QOS)
    start_node('maze_sim', maze_file=tmp_path / 'place.yaml', robot='diff_drive')
    probe.wait_until(lambda: maps and odometry, 'a map and odometry')
    heard = grid_map_from_message(maps[-1], MapAxes(np.eye(2)), 'map')
    assert np.array_equal(heard.cells, grid.cells)
    assert heard.origin_yaw == pytest.approx(grid.origin_yaw)
    where = odometry[0].pose.pose.position
    assert heard.clearance(np.array([where.x, where.y])) > 0.2


def test_a_benchmark_on_a_map_equals_evaluate(start_node, tmp_path):
    file = tmp_path / 'umaze.yaml'
    save_map(file, load_maze('umaze').grid)
    nodes = [
        start_node('maze_sim', maze_file=file, lockstep=True),
        start_node('planner', checkpoint='point', compensate_latency=False, lockstep=True,
                   realtime_priority=0, planning_frequency_hz=100.0 / INTERVAL_STEPS, **SETTINGS),
        start_node('follower', lockstep=True, lockstep_plan_steps=INTERVAL_STEPS)]
    benchmark = start_node('maze_benchmark', maze=file, episodes=2, seed=1,
                           out_dir=tmp_path / 'out')
    assert benchmark.wait(200.0) == 0, benchmark.log
    results = json.loads((tmp_path / 'out/results.json').read_text())
    runner = EpisodeRunner(Specification(
        str(file), checkpoint='point', settings=SETTINGS,
        replan_interval_s=0.01 * INTERVAL_STEPS))
    starts = sample_starts(load_place(file), 2, seed=1)
    for episode, record in enumerate(results['episodes']):
        expected = runner.run(episode, starts.state[episode], starts.goal[episode])['record']
        assert without_latencies(record) == without_latencies(expected)
        assert record['reached'] and record['steps'] == record['first_reach_step'] > 1
    for node in nodes:
        assert node.stop() == 0 and 'Traceback' not in node.log
