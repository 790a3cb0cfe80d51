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

"""The uncertainty of a plan as markers: where the robot will be, by the spread of candidates."""

import math

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point
import numpy as np
from std_msgs.msg import ColorRGBA
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


def uncertainty_markers(plan: Plan | None, axes: MapAxes, stamp: Time, frame_id: str
                        ) -> MarkerArray:
    """
    Return discs along a plan, at most MAX_DISCS, that hold SHARE of what the model draws.

    The first marker deletes those of the plan before.
    """
    clear = Marker(action=Marker.DELETEALL)
    clear.header.frame_id, clear.header.stamp = frame_id, stamp
    markers = MarkerArray(markers=[clear])
    if plan is None:
        return markers
    rows = np.unique(np.linspace(0, len(plan) - 1, MAX_DISCS).round().astype(int))
    radii_m = RADIUS_PER_STD * plan.uncertainty[rows]
    for index, ((x, y), radius_m) in enumerate(zip(
            axes.to_map(plan.states[rows, :2]).tolist(), radii_m.tolist())):
        marker = Marker(ns='uncertainty', id=index, type=Marker.CYLINDER, action=Marker.ADD,
                        color=COLOUR)
        marker.header.frame_id, marker.header.stamp = frame_id, stamp
        marker.pose.position = Point(x=x, y=y)
        marker.pose.orientation.w = 1.0
        marker.scale.x = marker.scale.y = max(2.0 * radius_m, LEAST_DIAMETER_M)
        marker.scale.z = THICKNESS_M
        markers.markers.append(marker)
    return markers
