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

"""The parameters of the recorder node."""

from dataclasses import dataclass

from df_planner.ros.parameters import parameter
from df_planner.ros.topics import ROBOTS


@dataclass(frozen=True)
class RecorderParameters:
    """Where the bag goes, and what of."""

    bag: str = parameter('bag', 'Folder of the bag; it must not exist yet.', read_only=True)
    robot: str = parameter('point', 'Kind of the robot: its commands are recorded.',
                           choices=ROBOTS, read_only=True)
