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

"""The QoS of a publisher, as a bag keeps it."""

from rclpy.duration import Duration
from rclpy.qos import QoSProfile
from rosbags.interfaces import Qos
from rosbags.interfaces import QosDurability
from rosbags.interfaces import QosHistory
from rosbags.interfaces import QosLiveliness
from rosbags.interfaces import QosReliability
from rosbags.interfaces import QosTime

NS_PER_S = 1_000_000_000


def offered_qos(profile: QoSProfile) -> Qos:
    """Return a profile as rosbag2 writes it; both sides number the policies as rmw does."""
    return Qos(
        QosHistory(int(profile.history)), profile.depth,
        QosReliability(int(profile.reliability)), QosDurability(int(profile.durability)),
        _time(profile.deadline), _time(profile.lifespan),
        QosLiveliness(int(profile.liveliness)), _time(profile.liveliness_lease_duration),
        profile.avoid_ros_namespace_conventions)


def _time(duration: Duration) -> QosTime:
    return QosTime(*divmod(duration.nanoseconds, NS_PER_S))
