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

"""How a run in real time went, as it is heard on topics: periods of commands, last diagnostics."""

import json
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray


class RealTimeRecording:
    """Collect until ``write``."""

    def __init__(self):
        """Start without anything heard."""
        self.command_periods_s: list[float] = []
        self._statuses: dict[str, dict] = {}

    def add_diagnostics(self, msg: DiagnosticArray) -> None:
        """Keep the last status of every task."""
        for status in msg.status:
            self._statuses[status.name] = {
                'message': status.message, **{pair.key: pair.value for pair in status.values}}

    def write(self, path: Path) -> None:
        """Write what was heard as JSON."""
        path.write_text(json.dumps({'command_periods_s': self.command_periods_s,
                                    'diagnostics': self._statuses}) + '\n', encoding='utf-8')
