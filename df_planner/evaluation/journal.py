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
The journal of an evaluation: every finished episode is on disk at once.

``episodes.jsonl`` starts with a line that identifies the run; each further line is one episode
with its record and its sketch. A stopped run goes on after its last whole line.
"""

import json
from pathlib import Path

from df_planner.errors import ConfigError
from df_planner.files import replace_files


class Journal:
    """
    Append finished episodes to a file, one line each.

    :param identity: JSON-able, everything the results depend on.
    :param resume: keep the episodes of an earlier run of the same identity; otherwise an earlier
        journal is replaced.
    :raises ConfigError: if the earlier run had another identity.
    """

    def __init__(self, path: Path, identity: dict, resume: bool = False):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.episodes = read_episodes(path, identity) if resume else {}
        lines = map(_line, [{'identity': identity}, *self.episodes.values()])
        replace_files({path: ''.join(lines)})
        self._file = open(path, 'a', encoding='utf-8')

    def __enter__(self) -> 'Journal':
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    def add(self, episode: dict) -> None:
        """Keep an episode: ``{'record': ..., 'sketch': ...}``."""
        self.episodes[episode['record']['episode']] = episode
        self._file.write(_line(episode))
        self._file.flush()

    def finished(self) -> list[dict]:
        """Return the episodes in their order."""
        return [self.episodes[index] for index in sorted(self.episodes)]


def read_episodes(path: Path, identity: dict) -> dict[int, dict]:
    """
    Return the episodes, by index, of the whole lines of a journal; none if there is no file.

    :raises ConfigError: if they belong to another identity.
    """
    lines = []
    if path.exists():
        for line in path.read_text(encoding='utf-8').splitlines():
            try:
                lines.append(json.loads(line))
            except ValueError:
                break  # cut short when the earlier run was killed
    if not lines:
        return {}
    earlier, wanted = lines[0].get('identity') or {}, json.loads(json.dumps(identity))
    if earlier != wanted:
        changed = sorted(key for key in wanted if earlier.get(key) != wanted[key])
        raise ConfigError(f'{path}: holds another run, which differs in {", ".join(changed)}; '
                          'choose another folder, or do not resume')
    return {episode['record']['episode']: episode for episode in lines[1:]}


def _line(content: dict) -> str:
    return json.dumps(content, allow_nan=False) + '\n'
