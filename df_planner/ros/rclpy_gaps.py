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
What rclpy of Jazzy lacks.

Types that may not be installed, clocks that jump back, transition requests that must not end the
node, parameters of other nodes, and memory that goes back to the system.
"""

from collections.abc import Callable
from collections.abc import Sequence
import ctypes
import gc
import sys
import time
from typing import Any

from lifecycle_msgs.srv import ChangeState
from rclpy.clock import JumpHandle
from rclpy.clock import JumpThreshold
from rclpy.duration import Duration
from rclpy.executors import Executor
from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.parameter import parameter_value_to_python
from rclpy.parameter_client import AsyncParameterClient

from df_planner.ros.qos import interface_type

ASK_AGAIN_S = 1.0


def optional_type(kind: str, node: Node, use: str) -> Any | None:
    """
    Return a type of a package that may not be installed; if it is not, None, and log that.

    :param kind: for example ``nav2_msgs/action/FollowPath``.
    :param use: what does not work without it, in words.
    """
    try:
        return interface_type(kind)
    except ImportError:
        node.get_logger().info(f'{kind} is not installed: without {use}')
        return None


def on_jump_back(node: Node, callback: Callable[[], None]) -> JumpHandle:
    """Call ``callback`` whenever the clock of a node jumps back, while the handle is kept."""
    backward = JumpThreshold(
        min_forward=None, min_backward=Duration(nanoseconds=-1), on_clock_change=False)
    return node.get_clock().create_jump_callback(backward, post_callback=lambda jump: callback())


def refuse_impossible_transitions(node: LifecycleNode) -> None:
    """Have a lifecycle node answer impossible transition requests with ``success = False``."""
    service = node._service_change_state
    change_state = service.callback

    def answer(request: ChangeState.Request,
               response: ChangeState.Response) -> ChangeState.Response:
        try:
            return change_state(request, response)
        except RuntimeError as error:  # rclpy's RCLError: "Transition is not registered"
            wanted, (_, state) = request.transition, node._state_machine.current_state
            node.get_logger().error(
                f'transition {wanted.label or wanted.id} refused in state {state}: {error}')
            response.success = False
            return response
    service.callback = answer


def read_parameters(node: Node, executor: Executor, remote: str, names: Sequence[str],
                    timeout_s: float = 3.0) -> dict:
    """
    Return parameters of another node by name; empty if it does not answer in time.

    Asks repeatedly: an answer is lost if the other node has not discovered this one yet.

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


def give_back_memory() -> None:
    """
    Collect garbage and return freed memory to the system.

    ``keep_on_time`` has frozen all objects, the model among them. glibc keeps freed memory unless
    it is told to trim, and so does torch on the GPU.
    """
    gc.unfreeze()
    gc.collect()
    torch = sys.modules.get('torch')
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    try:
        ctypes.CDLL('libc.so.6').malloc_trim(0)
    except (OSError, AttributeError):  # not glibc
        pass
