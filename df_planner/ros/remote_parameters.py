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


"""Read the parameters of other nodes."""

from collections.abc import Sequence
import time

from rclpy.executors import Executor
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.parameter_client import AsyncParameterClient

ASK_AGAIN_S = 1.0


def read_parameters(node: Node, executor: Executor, remote: str, names: Sequence[str],
                    timeout_s: float = 3.0) -> dict:
    """
    Return parameters of another node by name; empty if it does not answer in time.

    Asks more than once: a first answer is lost if the other node has not found this one yet.

    :param executor: spins ``node`` while it waits.
    """
    client = AsyncParameterClient(node, remote)
    end_s = time.monotonic() + timeout_s
    while node.context.ok() and (left_s := end_s - time.monotonic()) > 0.0:
        future = client.get_parameters(names)
        executor.spin_until_future_complete(future, timeout_sec=min(left_s, ASK_AGAIN_S))
        if future.done():
            values = [parameter_value_to_python(value) for value in future.result().values]
            return dict(zip(names, values)) if len(values) == len(names) else {}
    return {}
