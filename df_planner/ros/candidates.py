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

"""Sampled plans as markers, coloured by how they were judged."""

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point
import numpy as np
from std_msgs.msg import ColorRGBA
from visualization_msgs.msg import Marker
from visualization_msgs.msg import MarkerArray

from df_planner.planning.plan import Plan
from df_planner.ros.conversions import MapAxes

MAX_CANDIDATES = 16
MAX_POINTS = 40
LINE_WIDTH_M = 0.02
VALID = ColorRGBA(r=0.1, g=0.6, b=0.3, a=0.6)
INVALID = ColorRGBA(r=0.8, g=0.2, b=0.1, a=0.25)


def candidate_markers(plan: Plan | None, axes: MapAxes, stamp: Time, frame_id: str) -> MarkerArray:
    """
    Return the candidates of a plan as lines: green if they passed the checks, else red.

    The first marker deletes those of the plan before. At most MAX_CANDIDATES lines of about
    MAX_POINTS points are kept, the best rewards first, since a message is no place for them all.
    """
    clear = Marker(action=Marker.DELETEALL)
    clear.header.frame_id, clear.header.stamp = frame_id, stamp
    markers = MarkerArray(markers=[clear])
    if plan is None or not plan.candidates:
        return markers
    best_first = np.argsort(-plan.candidate_rewards, kind='stable')[:MAX_CANDIDATES]
    for index in best_first:
        states = plan.candidates[index]
        rows = np.unique(np.linspace(0, len(states) - 1, MAX_POINTS).round().astype(int))
        marker = Marker(ns='candidates', id=int(index), type=Marker.LINE_STRIP, action=Marker.ADD,
                        color=VALID if np.isfinite(plan.candidate_rewards[index]) else INVALID)
        marker.header.frame_id, marker.header.stamp = frame_id, stamp
        marker.pose.orientation.w = 1.0
        marker.scale.x = LINE_WIDTH_M
        marker.points = [Point(x=x, y=y) for x, y in axes.to_map(states[rows, :2]).tolist()]
        markers.markers.append(marker)
    return markers
