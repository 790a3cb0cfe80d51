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

"""Choose the starts of a benchmark, score its episodes as ``df_planner evaluate`` does, report."""

from pathlib import Path

import df_planner
from df_planner.evaluation.metrics import episode_record
from df_planner.evaluation.metrics import summarize
from df_planner.evaluation.picture import sketch
from df_planner.evaluation.protocol import load_starts
from df_planner.evaluation.protocol import sample_starts
from df_planner.evaluation.protocol import Starts
from df_planner.evaluation.report import progress_line
from df_planner.evaluation.report import text_table
from df_planner.evaluation.report import write_results
from df_planner.nodes.maze_benchmark.parameters import MazeBenchmarkParameters
from df_planner.nodes.maze_benchmark.recording import EpisodeRecording
from df_planner.nodes.maze_benchmark.recording import RealTimeRecording
from df_planner.robots.kinds import ROBOTS
from df_planner.sim.place import Place


class Scoring:
    """
    Score episodes as they end, and report them.

    :ivar starts: of all episodes to drive.
    :ivar records: of those that have ended.
    """

    def __init__(self, parameters: MazeBenchmarkParameters, place: Place):
        """
        Choose the starts.

        :raises DFPlannerError: for a bad file, or a start that is not in the free space.
        """
        self.starts = _starts(parameters, place)
        self.records: list[dict] = []
        self._parameters, self._place = parameters, place
        self._signals = ROBOTS[parameters.robot].signals
        self._sketches: list[dict] = []

    def add(self, recording: EpisodeRecording) -> None:
        """Score the next episode."""
        episode = len(self.records)
        times_s = recording.planning_times_s[:len(recording.plans)]
        self.records.append(episode_record(
            self._place, episode, self.starts.state[episode], self.starts.goal[episode],
            recording.states, recording.actions, recording.plans, times_s, self._signals,
            recording.touches if self._place.ends_at_goal else None))
        self._sketches.append(sketch(recording.states, recording.plans, self._signals))
        print_now(progress_line(self.records[-1], episode + 1, len(self.starts)))

    def report(self, facts: dict, duration_s: float, real_time: RealTimeRecording) -> float:
        """
        Print the scores, write the report if one is wanted, and return the share of goals reached.

        :param facts: how the other nodes were run.
        :param duration_s: wall time of all episodes.
        """
        p, summary, pace = self._parameters, summarize(self.records), {}
        print_now(text_table(self.records, summary))
        if facts.get('lockstep'):
            pace = self._pace(duration_s)
            print_now('{ticks_per_s} control ticks a second, {planning_percent} % of the time '
                      'planning'.format(**pace))
        if p.out_dir:
            meta = {'maze': p.maze, 'robot': p.robot, 'transport': 'ROS 2', **facts, **pace,
                    'starts': p.starts or None,
                    'starts_seed': None if p.starts else p.seed, 'multi_goal': p.multi_goal,
                    'episodes': len(self.starts), 'finished': len(self.records),
                    'df_planner_version': df_planner.__version__}
            write_results(p.out_dir, self._place, self.records, meta, self._sketches)
            if real_time.command_periods_s:
                real_time.write(Path(p.out_dir, 'real_time.json'))
            print_now(f'report: {p.out_dir}/report.md')
        return summary['reach_rate']

    def _pace(self, duration_s: float) -> dict[str, int]:
        """Return the speed of a run in lockstep, and how much of its time planning took."""
        num_ticks = sum(record['steps'] for record in self.records)
        planning_s = sum(sum(record['planning_times_s']) for record in self.records)
        return {'ticks_per_s': round(num_ticks / duration_s),
                'planning_percent': round(100 * planning_s / duration_s)}


def _starts(parameters: MazeBenchmarkParameters, place: Place) -> Starts:
    if parameters.starts:
        starts = load_starts(parameters.starts, parameters.robot, place)
        if parameters.episodes:
            starts = starts.head(parameters.episodes)
    else:
        starts = sample_starts(
            place, max(parameters.episodes, 1), parameters.seed, parameters.multi_goal,
            parameters.robot)
    starts.check_inside(place)
    return starts


def print_now(text: str) -> None:
    """Print without buffering."""
    print(text, flush=True)
