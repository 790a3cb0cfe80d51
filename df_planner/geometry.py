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
Orientations and frames of robots in the plane: the one rule for nodes, logs and reports.

Quaternions (..., 4) are (x, y, z, w). A heading (..., 2) is the cosine and the sine of the yaw.
What is no rotation becomes NaN, for the caller to refuse in its own words.
"""

from collections.abc import Collection

import numpy as np

LENGTH_TOLERANCE = 0.1  # a quaternion whose length differs from 1 by more is none
UPRIGHT = 0.5  # least z, in the map, of the z axis of a robot: it leans by 60 degrees at most
IDENTITY_TOLERANCE = 1e-6
ORIENTATION_RULE = 'orientation must be a rotation about z of length 1'


def unit_quaternions(quaternions: np.ndarray) -> np.ndarray:
    """Return quaternions (..., 4) of length 1; NaN for what is none."""
    quaternions = np.asarray(quaternions, np.float64)
    with np.errstate(all='ignore'):
        lengths = np.linalg.norm(quaternions, axis=-1, keepdims=True)
        is_rotation = np.abs(lengths - 1.0) <= LENGTH_TOLERANCE
        return np.where(is_rotation, quaternions / lengths, np.nan)


def headings_of(quaternions: np.ndarray) -> np.ndarray:
    """Return headings (..., 2); NaN for what is no rotation, or does not stand upright."""
    x, y, z, w = np.moveaxis(unit_quaternions(quaternions), -1, 0)
    ahead = np.stack((w * w + x * x - y * y - z * z, 2.0 * (x * y + w * z)), axis=-1)
    is_upright = w * w - x * x - y * y + z * z >= UPRIGHT
    with np.errstate(all='ignore'):
        lengths = np.hypot(ahead[..., 0], ahead[..., 1])
        return np.where(is_upright[..., None], ahead / lengths[..., None], np.nan)


def quaternions_of(headings: np.ndarray) -> np.ndarray:
    """Return quaternions (..., 4) of headings (..., 2) of any length."""
    half_turns = 0.5 * np.arctan2(headings[..., 1], headings[..., 0])
    zero = np.zeros_like(half_turns)
    return np.stack((zero, zero, np.sin(half_turns), np.cos(half_turns)), axis=-1)


def is_identity(quaternion: np.ndarray) -> bool:
    """Tell whether a quaternion (4,) turns nothing."""
    unit = unit_quaternions(quaternion)
    return bool((np.abs(unit[:3]) <= IDENTITY_TOLERANCE).all())


def to_left(headings: np.ndarray) -> np.ndarray:
    """Return vectors (..., 2), turned by a quarter to the left."""
    return np.stack((-headings[..., 1], headings[..., 0]), axis=-1)


def turned(vectors: np.ndarray, headings: np.ndarray) -> np.ndarray:
    """Turn vectors (..., 2) from the axes of robots into those that the headings are given in."""
    return vectors[..., :1] * headings + vectors[..., 1:] * to_left(headings)


def twist_is_of_robot(child_frame_id: str, frame_ids: Collection[str]) -> bool:
    """
    Tell whether the twist of odometry is in the axes of the robot, else in those of its pose.

    It is in the axes of ``child_frame_id`` (nav_msgs, REP 105), which are the robot's unless that
    is the frame of the pose; a ``child_frame_id`` left empty is the robot's.

    :param frame_ids: frames with the axes of the pose.
    """
    return not child_frame_id or child_frame_id not in frame_ids
