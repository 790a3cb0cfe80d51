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

"""Where the robot of a log has been, how long its episodes are, and what it did, as a picture."""

from pathlib import Path

import numpy as np

from df_planner.data.summary import Summary


def draw_coverage(path: Path, summary: Summary, title: str) -> None:
    """Draw time spent per cell in the map frame, and episode lengths, into a PNG file."""
    from matplotlib.colors import LogNorm
    from matplotlib.figure import Figure

    signals = summary.signals
    to_map = np.array(signals.observation_to_map)
    centres = (np.array(list(summary.cells)) + 0.5) * signals.max_step_m @ to_map.T
    seconds = np.array(list(summary.cells.values())) * signals.dt_s
    low, high = centres.min(axis=0), centres.max(axis=0)
    shape = np.rint((high - low) / signals.max_step_m).astype(int) + 1
    grid = np.full(shape[::-1], np.nan)
    index = np.rint((centres - low) / signals.max_step_m).astype(int)
    grid[index[:, 1], index[:, 0]] = seconds
    half = signals.max_step_m / 2.0

    figure = Figure(figsize=(10.0, 5.0), layout='constrained')
    place, lengths = figure.subplots(1, 2, width_ratios=(3, 2))
    image = place.imshow(grid, origin='lower', norm=LogNorm(), cmap='viridis', extent=(
        low[0] - half, high[0] + half, low[1] - half, high[1] + half))
    place.set(xlabel='x of the map, m', ylabel='y of the map, m', title=title)
    figure.colorbar(image, ax=place, label='s per cell')
    lengths.hist(summary.episode_lengths * signals.dt_s, bins=40, color='#1f77ff')
    lengths.set(xlabel='length, s', ylabel='continuous stretches')
    figure.savefig(path, dpi=120)
