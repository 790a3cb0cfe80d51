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

"""The executor of nodes that handle thousands of messages a second."""

from rclpy.executors import Executor
from rclpy.executors import SingleThreadedExecutor

try:
    from rclpy.experimental import EventsExecutor
except ImportError:  # rclpy before 7.1.4
    EventsExecutor = SingleThreadedExecutor


def events_executor() -> Executor:
    """
    Return an executor that is woken by each message, where rclpy has one, else the usual one.

    The usual one builds a set of all that it waits for before every message, which costs more than
    the message does. In rclpy 7.1 that of events has no guard conditions (so no ``Worker``), no
    callbacks that take the message info, no services that await something, and without a timeout
    its ``spin_once`` does not wait.
    """
    return EventsExecutor()
