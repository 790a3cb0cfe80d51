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

"""Requests for transitions that are impossible now, which rclpy's service does not survive."""

from lifecycle_msgs.srv import ChangeState
from rclpy.lifecycle import LifecycleNode


def refuse_impossible_transitions(node: LifecycleNode) -> None:
    """Have a lifecycle node answer them with ``success = False`` instead of ending by them."""
    service = node._service_change_state
    change_state = service.callback

    def answer(request: ChangeState.Request,
               response: ChangeState.Response) -> ChangeState.Response:
        try:
            return change_state(request, response)
        except RuntimeError as error:  # rclpy's RCLError: "Transition is not registered"
            wanted, (_, state) = request.transition, node._state_machine.current_state
            node.get_logger().error(
                f'transition {wanted.label or wanted.id} refused in the state {state}: {error}')
            response.success = False
            return response
    service.callback = answer
