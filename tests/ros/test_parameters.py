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

"""The typed parameters, on a real node."""

import dataclasses
from dataclasses import dataclass
import math

from diagnostic_msgs.msg import DiagnosticArray
import pytest
from rcl_interfaces.msg import ParameterType
import rclpy
from rclpy.node import Node
from rclpy.parameter import Parameter

from df_planner.errors import ConfigError
from df_planner.ros.parameters import declare
from df_planner.ros.parameters import markdown_table
from df_planner.ros.parameters import on_change
from df_planner.ros.parameters import parameter
from df_planner.ros.unused import unused


@dataclass(frozen=True)
class TalkerParameters:
    """Parameters of every kind."""

    rate_hz: float = parameter(2.0, 'Messages per second.', low=0.1, high=50.0)
    gain: float = parameter(1.0, 'Not below zero.', low=0.0)
    count: int = parameter(3, 'How many.', low=1)
    mode: str = parameter('loud', 'How to talk.', choices=('loud', 'quiet'))
    enabled: bool = parameter(True, 'Whether to talk.')
    frames: tuple[str, ...] = parameter(('map', 'odom'), 'Where to talk.')
    name: str = parameter('', 'Who talks.', read_only=True)

    def __post_init__(self):
        """Check fields against each other."""
        if self.count > 5 and self.mode == 'quiet':
            raise ValueError('count above 5 is not quiet')


@pytest.fixture
def make_node():
    """Return a function that makes nodes with parameter overrides, in a context of their own."""
    context = rclpy.Context()
    rclpy.init(context=context)
    nodes = []

    def make(**overrides):
        nodes.append(Node('talker', context=context, enable_rosout=False, parameter_overrides=[
            Parameter(name, value=value) for name, value in overrides.items()]))
        return nodes[-1]

    yield make
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown(context=context)


def test_defaults_and_overrides_come_back_typed(make_node):
    node = make_node(rate_hz=5.0, frames=['world'], name='bob')
    assert declare(node, TalkerParameters) == TalkerParameters(
        rate_hz=5.0, frames=('world',), name='bob')


def test_descriptors_carry_description_range_and_read_only(make_node):
    node = make_node()
    declare(node, TalkerParameters)
    rate = node.describe_parameter('rate_hz')
    assert rate.type == ParameterType.PARAMETER_DOUBLE
    assert rate.description == 'Messages per second.'
    assert rate.floating_point_range[0].from_value == 0.1
    assert rate.floating_point_range[0].to_value == 50.0
    assert node.describe_parameter('count').integer_range[0].from_value == 1
    assert node.describe_parameter('mode').additional_constraints == 'one of loud, quiet'
    assert node.describe_parameter('name').read_only


@pytest.mark.parametrize('name, value, words', [
    ('rate_hz', 100.0, 'range'),
    ('rate_hz', 10, 'must be a float'),
    ('rate_hz', math.nan, 'rate_hz'),
    ('gain', math.inf, 'finite'),
    ('count', 0, 'range'),
    ('mode', 'shy', 'one of loud, quiet'),
    ('enabled', 'yes', 'must be a bool'),
])
def test_a_bad_value_at_start_up_is_refused_by_name(make_node, name, value, words):
    with pytest.raises(ConfigError, match=words) as error:
        declare(make_node(**{name: value}), TalkerParameters)
    assert f'parameter {name}' in str(error.value)


def test_fields_are_checked_against_each_other(make_node):
    with pytest.raises(ConfigError, match='not quiet'):
        declare(make_node(count=6, mode='quiet'), TalkerParameters)


def test_a_change_is_validated_then_applied(make_node):
    node = make_node()
    declare(node, TalkerParameters)
    seen = []
    on_change(node, TalkerParameters, seen.append)
    assert node.set_parameters([Parameter('mode', value='quiet')])[0].successful
    assert seen == [TalkerParameters(mode='quiet')]

    for change, words in ((Parameter('mode', value='shy'), 'one of loud'),
                          (Parameter('count', value=6), 'not quiet'),
                          (Parameter('gain', value=math.nan), ''),
                          (Parameter('rate_hz', value='fast'), 'type'),
                          (Parameter('name', value='eve'), 'read-only')):
        result = node.set_parameters([change])[0]
        assert not result.successful
        assert words in result.reason
    assert len(seen) == 1
    assert node.get_parameter('mode').value == 'quiet'


def test_a_further_check_can_refuse_a_change(make_node):
    node = make_node()
    declare(node, TalkerParameters)
    seen = []

    def refuse(parameters):
        raise ConfigError(f'not {parameters.count} now')

    on_change(node, TalkerParameters, seen.append, check=refuse)
    result = node.set_parameters([Parameter('count', value=4)])[0]
    assert (result.successful, result.reason) == (False, 'not 4 now')
    assert seen == []


def test_foreign_parameters_pass_untouched(make_node):
    node = make_node()
    declare(node, TalkerParameters)
    seen = []
    on_change(node, TalkerParameters, seen.append)
    node.declare_parameter('qos_overrides.depth', 1)
    assert node.set_parameters([Parameter('qos_overrides.depth', value=2)])[0].successful
    assert seen == []


def test_the_table_names_every_parameter():
    table = markdown_table(TalkerParameters)
    assert '| `rate_hz` | float | `2.0` | Messages per second. (0.1 to 50.0) |' in table
    assert '| `frames` | list of str | `[map, odom]` | Where to talk. |' in table
    assert "| `name` | str | `''` | Who talks. (read-only) |" in table
    assert len(table.splitlines()) == 2 + 7


def test_an_empty_tuple_has_no_type():
    with pytest.raises(TypeError):
        parameter((), 'nothing')


@pytest.fixture
def started(tmp_path):
    """Return a function that starts a node from a command line; what it was given in vain."""
    context = rclpy.Context()
    nodes = []

    def start(*arguments, name='follower', namespace='', file=None):
        if file is not None:
            path = tmp_path / 'my.yaml'
            path.write_text(file, encoding='utf-8')
            arguments = (*arguments, '--params-file', str(path))
        line = ['follower', '--ros-args', *arguments]
        rclpy.init(args=line, context=context)
        nodes.append(Node(name, namespace=namespace, context=context, enable_rosout=False))
        for field in dataclasses.fields(TalkerParameters):
            nodes[0].declare_parameter(field.name, list(field.default) if isinstance(
                field.default, tuple) else field.default)
        return [text.replace(f'{tmp_path}/', '') for text in unused(nodes[0], line)]

    yield start
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown(context=context)


SECTION = 'ros__parameters: {rate_hz: 3.0}'


@pytest.mark.parametrize('arguments, options, expected', [
    (('-p', 'rate_hz:=3.0', '-p', 'use_sim_time:=true'), {}, []),
    (('-p', 'rate:=3.0'), {}, ['rate is no parameter of /follower; did you mean rate_hz?']),
    (('-p', 'rate:=3.0'), {'namespace': '/r1'}, [
        'rate is no parameter of /r1/follower; did you mean rate_hz?']),
    (('-p', 'quux_length_m:=3.0'), {}, ['quux_length_m is no parameter of /follower']),
    (('-p', 'follower:rate_hz:=3.0'), {}, []),
    (('-p', 'planner:rate_hz:=3.0'), {}, [
        '-p planner:rate_hz:=3.0 is for the node planner: /follower does not use it']),
    ((), {'file': f'follower: {{{SECTION}}}'}, []),
    ((), {'file': f'/**/follower: {{{SECTION}}}', 'namespace': '/a/b'}, []),
    ((), {'file': f'/*/follower: {{{SECTION}}}', 'namespace': '/a'}, []),
    ((), {'file': f'a: {{follower: {{{SECTION}}}}}', 'namespace': '/a'}, []),
    ((), {'file': f'/**: {{{SECTION}}}'}, []),
    ((), {'file': f'follower: {{{SECTION}}}', 'namespace': '/r1'}, [
        'my.yaml: the section /follower is not for /r1/follower, which uses nothing of it: call '
        'it /**/follower']),
    ((), {'file': f'/r2/follower: {{{SECTION}}}', 'namespace': '/r1'}, [
        'my.yaml: the section /r2/follower is not for /r1/follower, which uses nothing of it: '
        'call it /**/follower']),
    ((), {'file': f'r1: {{follower: {{{SECTION}}}}}\nr2: {{follower: {{{SECTION}}}}}',
          'namespace': '/r1'}, []),
    ((), {'file': f'/**/planner: {{{SECTION}}}'}, []),  # one file for several of our nodes
    ((), {'file': f'/**/folower: {{{SECTION}}}'}, [
        'my.yaml: has no section for /follower, which uses nothing of it, but for /**/folower: '
        'call the section /**/follower']),
    ((), {'file': f'/**/follower: {{{SECTION}}}', 'name': 'my_follower'}, [
        'my.yaml: has no section for /my_follower, which uses nothing of it, but for '
        '/**/follower: call the section /**/my_follower']),
    ((), {'file': 'follower: {ros__parameters: {ratehz: 3.0}}'}, [
        'ratehz is no parameter of /follower; did you mean rate_hz?']),
    # What is said to all nodes may be meant for others, unless it is hardly anything else.
    ((), {'file': '/**: {ros__parameters: {robot_description: x, ratehz: 3.0}}'}, [
        'ratehz is no parameter of /follower; did you mean rate_hz?']),
    (('-r', 'odom:=/robot/odom', '-r', '__ns:=/r1', '-r', '/tf:=tf'), {}, []),
    (('-r', 'odmo:=/robot/odom'), {}, [
        '-r odmo:=/robot/odom: odmo is no topic and no service of /follower; did you mean odom?']),
    (('--', 'rate_hz:=3.0'), {}, [
        'rate_hz:=3.0 is not used: parameters are given as --ros-args -p NAME:=VALUE']),
])
def test_what_is_given_in_vain_is_told(started, arguments, options, expected):
    assert started(*arguments, **options) == expected


def test_a_parameter_of_another_name_is_in_log_and_diagnostics(start_node, probe):
    """The one that the issue is about: the robot was planned with the default radius."""
    diagnostics = probe.listen(DiagnosticArray, '/diagnostics')
    node = start_node('follower', along_gain=2.0)
    text = 'along_gain is no parameter of /follower; did you mean along_gain_per_s?'
    node.wait_for_log(text)
    probe.wait_until(lambda: any(
        (status.name, status.message) == ('follower: parameters', text)
        for msg in diagnostics for status in msg.status), 'the parameter in diagnostics')
