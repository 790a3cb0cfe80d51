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

"""df_planner: a Diffusion Forcing planner for robots that run ROS 2."""

__version__ = '0.1.0'


def __getattr__(name):
    """Import ``Planner`` on first use, so that torch-free processes stay torch-free."""
    if name == 'Planner':
        from df_planner.driving.policy import PolicyPlanner
        return PolicyPlanner
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
