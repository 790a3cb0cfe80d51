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

"""What RViz and Foxglove show of a plan: its candidates, and how uncertain it is."""

import math

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point
import numpy as np
from std_msgs.msg import ColorRGBA
from std_msgs.msg import Header
from visualization_msgs.msg import Marker
from visualization_msgs.msg import MarkerArray

from df_planner.planning.plan import Plan
from df_planner.ros.conversions import MapAxes

MAX_DISCS = 30
SHARE = 0.95  # of robots that are expected within a disc
# uncertainty**2 is the sum of the variances of both axes of a round Gaussian.
RADIUS_PER_STD = math.sqrt(-math.log(1.0 - SHARE))
THICKNESS_M = 0.005
LEAST_DIAMETER_M = 0.01
COLOUR = ColorRGBA(r=0.95, g=0.6, b=0.1, a=0.25)

MAX_CANDIDATES = 16
MAX_POINTS = 40
LINE_WIDTH_M = 0.02
VALID = ColorRGBA(r=0.1, g=0.6, b=0.3, a=0.6)
INVALID = ColorRGBA(r=0.8, g=0.2, b=0.1, a=0.25)


def uncertainty_markers(plan: Plan | None, axes: MapAxes, stamp: Time, frame_id: str
                        ) -> MarkerArray:
    """
    Return discs along a plan, at most MAX_DISCS, that hold SHARE of what the model draws.

    The first marker deletes those of the plan before.
    """
    header = Header(stamp=stamp, frame_id=frame_id)
    markers = MarkerArray(markers=[Marker(header=header, action=Marker.DELETEALL)])
    if plan is None:
        return markers
    rows = np.unique(np.linspace(0, len(plan) - 1, MAX_DISCS).round().astype(int))
    radii_m = RADIUS_PER_STD * plan.uncertainty[rows]
    for index, ((x, y), radius_m) in enumerate(zip(
            axes.to_map(plan.states[rows, :2]).tolist(), radii_m.tolist())):
        marker = Marker(header=header, ns='uncertainty', id=index, type=Marker.CYLINDER,
                        action=Marker.ADD, color=COLOUR)
        marker.pose.position = Point(x=x, y=y)
        marker.pose.orientation.w = 1.0
        marker.scale.x = marker.scale.y = max(2.0 * radius_m, LEAST_DIAMETER_M)
        marker.scale.z = THICKNESS_M
        markers.markers.append(marker)
    return markers


def candidate_markers(plan: Plan | None, axes: MapAxes, stamp: Time, frame_id: str) -> MarkerArray:
    """
    Return the candidates of a plan as lines: green if they passed the checks, else red.

    The first marker deletes those of the plan before. A message holds the MAX_CANDIDATES with the
    best rewards, each as at most MAX_POINTS points.
    """
    header = Header(stamp=stamp, frame_id=frame_id)
    markers = MarkerArray(markers=[Marker(header=header, action=Marker.DELETEALL)])
    if plan is None or not plan.candidates:
        return markers
    best_first = np.argsort(-plan.candidate_rewards, kind='stable')[:MAX_CANDIDATES]
    for index in best_first:
        states = plan.candidates[index]
        rows = np.unique(np.linspace(0, len(states) - 1, MAX_POINTS).round().astype(int))
        marker = Marker(header=header, ns='candidates', id=int(index), type=Marker.LINE_STRIP,
                        action=Marker.ADD,
                        color=VALID if np.isfinite(plan.candidate_rewards[index]) else INVALID)
        marker.pose.orientation.w = 1.0
        marker.scale.x = LINE_WIDTH_M
        marker.points = [Point(x=x, y=y) for x, y in axes.to_map(states[rows, :2]).tolist()]
        markers.markers.append(marker)
    return markers
