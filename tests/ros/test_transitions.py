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

"""Requests for transitions that are impossible now, as the soak test makes them."""

from lifecycle_msgs.msg import State
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from lifecycle_msgs.srv import GetState
from rclpy.lifecycle import LifecycleNode
from rclpy.lifecycle import TransitionCallbackReturn

from df_planner.ros.rclpy_gaps import refuse_impossible_transitions


class Device(LifecycleNode):
    """A lifecycle node in the test process."""

    def __init__(self, **options):
        super().__init__('device', **options)
        refuse_impossible_transitions(self)


def test_an_impossible_transition_is_refused_and_the_node_goes_on(ros_context, probe):
    """In rclpy itself the exception leaves spin() and ends the process."""
    node = Device(context=ros_context, enable_rosout=False)
    executor = probe._executor
    executor.add_node(node)
    change = probe.client(ChangeState, 'device/change_state')
    state = probe.client(GetState, 'device/get_state')

    def ask(number: int, label: str = '') -> bool:
        return probe.call(change, ChangeState.Request(
            transition=Transition(id=number, label=label))).success

    assert not ask(Transition.TRANSITION_ACTIVATE)  # not configured
    assert not ask(200)
    assert not ask(0, 'dance')
    assert ask(Transition.TRANSITION_CONFIGURE)
    assert not ask(Transition.TRANSITION_CONFIGURE)
    assert probe.call(state, GetState.Request()).current_state.id == State.PRIMARY_STATE_INACTIVE
    assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
    executor.remove_node(node)
    node.destroy_node()
