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

"""A progress bar over episodes with the running score."""

from tqdm import tqdm


class Progress:
    """
    Count finished episodes; shows nothing where stderr is not a terminal.

    :param episodes: how many there will be.
    """

    def __init__(self, episodes: int):
        """Show an empty bar."""
        self._bar = tqdm(total=episodes, unit='episode', disable=None)
        self._values: list[float] = []
        self._reached = 0

    @property
    def finished(self) -> int:
        """Return the number of episodes so far."""
        return len(self._values)

    def __enter__(self) -> 'Progress':
        """Return the bar, to be closed at the end of the block."""
        return self

    def __exit__(self, *_) -> None:
        """Close the bar."""
        self.close()

    def add(self, record: dict) -> None:
        """Count an episode by its record."""
        name = 'return' if record['score'] is None else 'score'
        self._values.append(record[name])
        self._reached += record['reached']
        self._bar.set_postfix_str(f'{name} {sum(self._values) / len(self._values):.1f}, '
                                  f'reached {self._reached}/{len(self._values)}')
        self._bar.update()

    def close(self) -> None:
        """End the line of the bar."""
        self._bar.close()
