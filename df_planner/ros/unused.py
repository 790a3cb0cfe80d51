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
What a node was given and does not use: parameters, files and remappings for other names.

ROS drops them without a word. ``parameters.declare`` logs what ``unused`` finds, and the status
``parameters`` of the diagnostics shows it.
"""

from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
import re
from typing import Any

from rclpy.node import Node
import yaml

from df_planner.errors import did_you_mean
from df_planner.errors import some_of
from df_planner.ros import topics

THE_SAME = 0.85  # of difflib: a slip of the pen
SECTION = 'ros__parameters'


def unused(node: Node, arguments: Sequence[str]) -> list[str]:
    """
    Return in words what a node was given in vain.

    :param node: has declared its parameters.
    :param arguments: of its process, ``sys.argv``.
    """
    name = node.get_fully_qualified_name()
    given, texts = list(_pairs(arguments)), []
    named: set[str] = set()  # parameters that were given to this node and no other
    for_all: set[str] = set()
    for flag, value in given:
        left = value.partition(':=')[0]
        if flag == 'file':
            sections = dict(_sections(_read(value)))
            texts += _unused_file(node, value, list(sections))
            for pattern, parameters in sections.items():
                if _matches(pattern, name):
                    (for_all if _last(pattern).startswith('*') else named).update(parameters)
        elif flag == 'parameter':
            pattern, _, parameter = left.rpartition(':')
            if pattern and not _matches(pattern, name):
                texts.append(f'-p {value} is for the node {pattern}: {name} does not use it')
            named.add(parameter)
        elif flag == 'remapping':
            texts += _unused_remapping(node, value)
        else:
            texts.append(f'{value} is not used: parameters are given as --ros-args -p NAME:=VALUE')
    declared = list(node._parameters)
    for parameter in node._parameter_overrides:
        if node.has_parameter(parameter):
            continue
        # What is said to all nodes may be meant for others.
        is_for_us = parameter in named or parameter not in for_all
        if is_for_us or did_you_mean(parameter, declared, THE_SAME):
            texts.append(f'{parameter} is no parameter of {name}'
                         + did_you_mean(parameter, declared))
    return texts


def _pairs(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield ('parameter', 'file', 'remapping' or 'stray', value) of a command line."""
    flags = {'-p': 'parameter', '--param': 'parameter', '--params-file': 'file',
             '-r': 'remapping', '--remap': 'remapping'}
    is_ros = False
    words = iter(arguments[1:])
    for word in words:
        if word in ('--ros-args', '--'):
            is_ros = word == '--ros-args'
        elif not is_ros and ':=' in word:
            yield 'stray', word
        elif is_ros and word in flags:
            yield flags[word], next(words, '')
        elif is_ros and ':=' in word:
            yield 'remapping', word


def _read(path: str) -> Any:
    try:
        return yaml.safe_load(Path(path).read_text(encoding='utf-8'))
    except (OSError, ValueError, yaml.YAMLError):
        return None  # rcl has refused it


def _sections(tree: Any, above: str = '') -> Iterator[tuple[str, dict]]:
    """Yield the names of nodes in a parameter file, from the root, and their parameters."""
    for key, value in (tree.items() if isinstance(tree, dict) else ()):
        name = f'{above}/{str(key).strip("/")}'
        if isinstance(value, dict):
            if isinstance(value.get(SECTION), dict):
                yield name, value[SECTION]
            yield from _sections({k: v for k, v in value.items() if k != SECTION}, name)


def _matches(pattern: str, name: str) -> bool:
    """Tell whether the name of a section, with ``*`` and ``**``, is that of a node."""
    regex = ''.join('(/[^/]+)*' if part == '**' else '/[^/]+' if part == '*'
                    else '/' + re.escape(part) for part in pattern.strip('/').split('/'))
    return re.fullmatch(regex, name) is not None


def _last(pattern: str) -> str:
    return pattern.rpartition('/')[2]


def _unused_file(node: Node, path: str, patterns: Sequence[str]) -> list[str]:
    """Return that a file names this node in another namespace or by another name, if it does."""
    full, name = node.get_fully_qualified_name(), node.get_name()
    fitting = [pattern for pattern in patterns if _matches(pattern, full)]
    if not patterns or any(not _last(pattern).startswith('*') for pattern in fitting):
        return []
    names = [_last(pattern) for pattern in patterns]
    if name in names:
        return [f'{path}: the section {patterns[names.index(name)]} is not for {full}, which '
                f'uses nothing of it: call it /**/{name}']
    is_of_others = name in topics.NODES and set(names) & set(topics.NODES)
    if fitting or is_of_others and not did_you_mean(name, names):
        return []
    return [f'{path}: has no section for {full}, which uses nothing of it, but for '
            f'{some_of(patterns)}: call the section /**/{name}']


def _unused_remapping(node: Node, rule: str) -> list[str]:
    """Return that a remapping is of no name of this package, if it is."""
    left = rule.partition(':=')[0].rpartition(':')[2]
    if left.startswith('__') or '//' in left:
        return []
    known = [*(name for row in topics.TOPICS for name in (row.publisher_name,
                                                          row.subscriber_name, row.name)),
             *(name for row in topics.SERVICES for name in (row.server_name, row.name)),
             '/rosout', '/parameter_events']
    expanded = {node.resolve_topic_name(name, only_expand=True) for name in known}
    if node.resolve_topic_name(left, only_expand=True) in expanded:
        return []
    return [f'-r {rule}: {left} is no topic and no service of {node.get_fully_qualified_name()}'
            + did_you_mean(left, known)]
