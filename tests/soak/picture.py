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

"""The picture of a soak test: memory, commands and latency over time, with kills marked."""

from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

BLUE, RED, GREY = '#1f77ff', '#d1344b', '#888888'


def draw_soak_picture(path: Path, memory: Mapping[tuple[str, int], Sequence],
                      seconds: Sequence[dict], events: Sequence[dict]) -> None:
    """
    Draw to a PNG file.

    :param memory: (seconds, MB) by process and life.
    :param seconds: what the observer wrote every second.
    """
    figure = Figure(figsize=(11.0, 8.0), layout='constrained')
    sizes, forces, latencies = figure.subplots(3, 1, sharex=True)
    colours: dict[str, str] = {}
    for (name, life), rows in sorted(memory.items()):
        colours.setdefault(name, f'C{len(colours)}')
        sizes.plot(*zip(*((at_s / 60.0, mb) for at_s, mb in rows)), color=colours[name],
                   label=name if life == 0 else None)
    sizes.set(title='memory', ylabel='[MB]', yscale='log')
    sizes.legend(loc='lower right')
    minutes = [second['seconds'] / 60.0 for second in seconds]
    forces.plot(minutes, [second['peak_n'] for second in seconds], ',', color=BLUE)
    forces.set(title='largest force per axis in each second', ylabel='[N]')
    known = [(at, second['latencies_ms']) for at, second in zip(minutes, seconds)
             if second['latencies_ms']]
    latencies.plot([at for at, _ in known], [max(values) for _, values in known], ',',
                   color=GREY)
    latencies.plot([at for at, _ in known], [sorted(values)[len(values) // 2]
                                             for _, values in known], ',', color=BLUE)
    latencies.set(title='odometry to command: median and longest in each second',
                  xlabel='time [min]', ylabel='[ms]', yscale='log')
    for axes in (sizes, forces, latencies):
        for event in events:
            if event['kind'] in ('kill', 'violation'):
                axes.axvline(event['seconds'] / 60.0, linewidth=0.6,
                             color=RED if event['kind'] == 'violation' else GREY)
    figure.savefig(path, dpi=110)
