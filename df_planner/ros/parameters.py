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
Typed parameters: a frozen dataclass is the one table that a node's parameters come from.

>>> @dataclass(frozen=True)
... class TalkerParameters:
...     rate_hz: float = parameter(2.0, 'Messages per second.', low=0.1, high=50.0)
...     mode: str = parameter('loud', 'How to talk.', choices=('loud', 'quiet'))
...
>>> self.parameters = declare(self, TalkerParameters)
>>> on_change(self, TalkerParameters, self.apply_parameters)

Declaration, descriptors, ranges, validation at run time and docs/interface.md all follow from it.
A dataclass may check fields against each other in ``__post_init__`` by raising a
ConfigError or a ValueError. Ship floats with a decimal point: ROS rejects ``10`` for a double.
"""

from collections.abc import Callable
import dataclasses
from dataclasses import dataclass
import math
import sys
from typing import Any
from typing import TypeVar

from rcl_interfaces.msg import FloatingPointRange
from rcl_interfaces.msg import IntegerRange
from rcl_interfaces.msg import ParameterDescriptor
from rcl_interfaces.msg import SetParametersResult
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.exceptions import InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from df_planner.errors import ConfigError
from df_planner.ros.unused import unused

Parameters = TypeVar('Parameters')

_LARGEST_INTEGER = 2**63 - 1


@dataclass(frozen=True)
class Rule:
    """What a parameter means and which values it takes."""

    description: str
    low: float | None = None
    high: float | None = None
    choices: tuple = ()
    read_only: bool = False

    @property
    def constraints(self) -> str:
        """Return the allowed values in words, empty without any."""
        if self.choices:
            return 'one of ' + ', '.join(str(choice) for choice in self.choices)
        if self.low is not None and self.high is not None:
            return f'{self.low} to {self.high}'
        if self.low is not None:
            return f'at least {self.low}'
        return '' if self.high is None else f'at most {self.high}'


def parameter(default: Any, description: str, low: float | None = None, high: float | None = None,
              choices: tuple | None = None, read_only: bool = False) -> Any:
    """
    Make one field of a parameter dataclass; the type is that of the default.

    :param default: bool, int, float, str, or a non-empty tuple of one of them.
    :param description: one sentence, shown by ``ros2 param describe`` and in docs/interface.md.
    :param low: smallest allowed number; ``high`` is the largest.
    :param choices: the only allowed values.
    :param read_only: whether the value is fixed at start-up.
    """
    if default == ():
        raise TypeError('an empty default has no type that ROS could declare')
    rule = Rule(description, low, high, tuple(choices or ()), read_only)
    return dataclasses.field(default=default, metadata={'rule': rule})


def fixed(default: Any, description: str, **options: Any) -> Any:
    """Make a field whose value is fixed at start-up; ``options`` are those of ``parameter``."""
    return parameter(default, description, read_only=True, **options)


def declare(node: Node, cls: type[Parameters]) -> Parameters:
    """
    Declare every field of ``cls`` on a node and return the values it was started with.

    Logs what the node was given and does not use.

    :raises ConfigError: naming the parameter whose given value does not fit.
    """
    for field in dataclasses.fields(cls):
        default = list(field.default) if isinstance(field.default, tuple) else field.default
        try:
            node.declare_parameter(field.name, default, _descriptor(field))
        except InvalidParameterTypeException as error:
            raise ConfigError(f'parameter {field.name}: must be a {_type_name(field)}, '
                              f'for example {shown(field.default)} ({error})') from error
        except InvalidParameterValueException as error:
            raise ConfigError(f'parameter {field.name}: {error}') from error
    for text in unused(node, sys.argv):
        node.get_logger().warning(text)
    return _checked(cls, _values(node, cls))


def on_change(node: Node, cls: type[Parameters], apply: Callable[[Parameters], None],
              check: Callable[[Parameters], None] | None = None) -> None:
    """
    Keep a node's parameters current: a change is validated first and applied after.

    :param apply: called with a new instance of ``cls`` after values have been set.
    :param check: a further test of the new instance; it rejects by raising a ConfigError.
    """
    names = {field.name for field in dataclasses.fields(cls)}

    def validate(changes: list[Parameter]) -> SetParametersResult:
        ours = {change.name: _frozen(change.value) for change in changes if change.name in names}
        if ours:
            try:
                candidate = _checked(cls, _values(node, cls) | ours)
                if check is not None:
                    check(candidate)
            except ConfigError as error:
                return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def apply_changes(changes: list[Parameter]) -> None:
        if any(change.name in names for change in changes):
            apply(cls(**_values(node, cls)))

    node.add_on_set_parameters_callback(validate)
    node.add_post_set_parameters_callback(apply_changes)


def markdown_table(cls: type) -> str:
    """Return the parameters of ``cls`` as a Markdown table for docs/interface.md."""
    rows = ['| Parameter | Type | Default | Description |', '|---|---|---|---|']
    for field in dataclasses.fields(cls):
        rule = field.metadata['rule']
        note = '; '.join(filter(None, (rule.constraints, 'read-only' * rule.read_only)))
        text = rule.description + (f' ({note})' if note else '')
        cells = f'`{field.name}`', _type_name(field), f'`{shown(field.default)}`', text
        rows.append(f'| {" | ".join(cells)} |')
    return '\n'.join(rows) + '\n'


def _descriptor(field: dataclasses.Field) -> ParameterDescriptor:
    rule = field.metadata['rule']
    descriptor = ParameterDescriptor(description=rule.description, read_only=rule.read_only,
                                     additional_constraints=rule.constraints)
    if rule.low is None and rule.high is None:
        return descriptor
    if isinstance(field.default, int):
        low = -_LARGEST_INTEGER if rule.low is None else rule.low
        high = _LARGEST_INTEGER if rule.high is None else rule.high
        descriptor.integer_range = [IntegerRange(from_value=low, to_value=high)]
    elif isinstance(field.default, float):
        low = -math.inf if rule.low is None else float(rule.low)
        high = math.inf if rule.high is None else float(rule.high)
        descriptor.floating_point_range = [FloatingPointRange(from_value=low, to_value=high)]
    return descriptor


def _values(node: Node, cls: type) -> dict[str, Any]:
    return {field.name: _frozen(node.get_parameter(field.name).value)
            for field in dataclasses.fields(cls)}


def _frozen(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str)) else tuple(value)


def _checked(cls: type[Parameters], values: dict[str, Any]) -> Parameters:
    """Build an instance from values that obey their rules, or raise a ConfigError."""
    for field in dataclasses.fields(cls):
        rule = field.metadata['rule']
        value = values[field.name]
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, float) and not math.isfinite(item):
                raise ConfigError(f'parameter {field.name}: must be finite, got {item}')
            below = rule.low is not None and item < rule.low
            above = rule.high is not None and item > rule.high
            if below or above or (rule.choices and item not in rule.choices):
                raise ConfigError(
                    f'parameter {field.name}: must be {rule.constraints}, got {item!r}')
    try:
        return cls(**values)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _type_name(field: dataclasses.Field) -> str:
    if isinstance(field.default, tuple):
        return f'list of {type(field.default[0]).__name__}'
    return type(field.default).__name__


def shown(value: Any) -> str:
    """Return a value as it is written in a parameter file."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return '[' + ', '.join(shown(item) for item in value) + ']'
    return "''" if value == '' else str(value)
