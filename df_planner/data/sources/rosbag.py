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

"""Open bags, MCAP or SQLite, of rosbag2 or of this package's recorder, without ROS."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from df_planner.errors import BagError
from df_planner.errors import DFPlannerError

if TYPE_CHECKING:
    from rosbags.highlevel import AnyReader


@contextmanager
def open_bag(path: Path) -> Iterator['AnyReader']:
    """
    Open a bag for the duration of a block.

    :param path: its folder, or its only file.
    :raises BagError: if there is none, or if it proves damaged within the block.
    """
    from rosbags.highlevel import AnyReader
    from rosbags.typesys import get_typestore
    from rosbags.typesys import Stores

    if not path.exists():
        raise BagError(f'{path}: no such bag')
    try:
        with AnyReader([path], default_typestore=get_typestore(Stores.ROS2_JAZZY)) as reader:
            yield reader
    except DFPlannerError:
        raise
    except Exception as error:  # of YAML, SQLite, zstd or struct, whatever is damaged
        words = ' '.join(str(error).split()) or type(error).__name__
        raise BagError(f'{path}: cannot be read as a bag: {words}; if its recorder was killed, '
                       '`mcap recover` or `ros2 bag reindex` may repair it') from error


def check_count(path: Path, count: int, total: int) -> None:
    """Raise a BagError if fewer messages were read than the bag says to have."""
    if count != total:
        raise BagError(f'{path}: is damaged: {count} of {total} messages can be read')
