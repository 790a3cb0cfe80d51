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
Publishers, subscriptions, services and clients, opened from the rows of ``topics.py``.

>>> self._goal = qos.publisher(self, topics.ACTIVE_GOAL)
>>> qos.subscription(self, topics.ODOM, self._on_odometry)
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from rclpy.client import Client
from rclpy.lifecycle import LifecycleNode
from rclpy.lifecycle import LifecyclePublisher
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy
from rclpy.qos import HistoryPolicy
from rclpy.qos import QoSProfile
from rclpy.qos import ReliabilityPolicy
from rclpy.service import Service
from rclpy.subscription import Subscription

from df_planner.ros import topics


def profile(quality: topics.Quality) -> QoSProfile:
    """Return a QoS profile of rclpy."""
    history = ({'history': HistoryPolicy.KEEP_ALL} if quality.depth is None else
               {'depth': quality.depth})
    return QoSProfile(
        **history,
        reliability=(ReliabilityPolicy.RELIABLE if quality.reliable else
                     ReliabilityPolicy.BEST_EFFORT),
        durability=(DurabilityPolicy.TRANSIENT_LOCAL if quality.latched else
                    DurabilityPolicy.VOLATILE))


def interface_type(kind: str) -> Any:
    """
    Return the class of a type such as ``nav_msgs/msg/Odometry``.

    :raises ImportError: if its package is not installed, or does not have it.
    """
    module, _, name = kind.rpartition('/')
    try:
        return getattr(import_module(module.replace('/', '.')), name)
    except AttributeError as error:
        raise ImportError(f'no {name} in {module}') from error


def publisher(node: Node, topic: topics.Topic) -> Publisher:
    """Open a publisher."""
    return node.create_publisher(
        interface_type(topic.kind), topic.publisher_name, profile(topic.quality))


def lifecycle_publisher(node: LifecycleNode, topic: topics.Topic) -> LifecyclePublisher:
    """Open a publisher that is silent unless the node is active."""
    return node.create_lifecycle_publisher(
        interface_type(topic.kind), topic.publisher_name, profile(topic.quality))


def subscription(node: Node, topic: topics.Topic, callback: Callable, *, lockstep: bool = False,
                 quality: topics.Quality | None = None, **options: Any) -> Subscription:
    """
    Open a subscription.

    :param lockstep: take the QoS of lockstep, where the topic has one.
    :param quality: QoS in place of the topic's, for recorders.
    :param options: of ``Node.create_subscription``.
    """
    quality = (quality or (topic.lockstep if lockstep else None) or topic.heard or topic.quality)
    return node.create_subscription(
        interface_type(topic.kind), topic.subscriber_name, callback, profile(quality), **options)


def service(node: Node, row: topics.Service, callback: Callable, **options: Any) -> Service:
    """Offer a service; ``options`` are those of ``Node.create_service``."""
    return node.create_service(interface_type(row.kind), row.server_name, callback, **options)


def client(node: Node, row: topics.Service) -> Client:
    """Open a client of another node's service."""
    return node.create_client(interface_type(row.kind), row.name)
