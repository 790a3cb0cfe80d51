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

"""No node may overwrite what rclpy's own classes keep in a node."""

import ast
from pathlib import Path

import pytest
from rclpy.lifecycle import LifecycleNode

NODES = sorted((Path(__file__).parents[2] / 'df_planner/nodes').glob('*/node.py'))


def assigned_attributes(path: Path) -> set[str]:
    """Return the names x of every ``self.x = ...`` in a file."""
    return {node.attr for node in ast.walk(ast.parse(path.read_text(encoding='utf-8')))
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name) and node.value.id == 'self'}


@pytest.mark.parametrize('path', NODES, ids=lambda path: path.stem)
def test_attributes_do_not_clash_with_rclpy(path, ros_context):
    """A list called ``_services``, for example, would silence all services of a node."""
    node = LifecycleNode('attributes', context=ros_context, enable_rosout=False)
    taken = set(dir(node)) | set(vars(node))
    node.destroy_node()

    clash = assigned_attributes(path) & taken
    assert not clash
