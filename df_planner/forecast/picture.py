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

"""Pictures of forecasts: fans of quantiles, and scores along the horizon."""

from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from df_planner.files import replace_files

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
COLOR, TRUTH_COLOR = '#1f77ff', '#111111'


def draw_forecast(path: Path, names: Sequence[str], history: np.ndarray, futures: np.ndarray,
                  truth: np.ndarray | None = None,
                  scores: Mapping[str, np.ndarray] | None = None) -> None:
    """
    Draw to a PNG file: a fan per variable, and where there are scores, these by lead.

    :param history: (H, C) rows before the forecast.
    :param futures: (samples, horizon, C).
    :param truth: (horizon, C) what came.
    :param scores: (horizon,) CRPS by name of what forecast.
    """
    from matplotlib.figure import Figure

    panels = len(names) + bool(scores)
    figure = Figure(figsize=(10.0, 2.4 * panels), layout='constrained')
    axes = figure.subplots(panels, 1, squeeze=False).ravel()
    for index, (axis, name) in enumerate(zip(axes, names)):
        _draw_fan(axis, history[:, index], futures[..., index],
                  None if truth is None else truth[:, index])
        axis.set_ylabel(name)
    axes[0].legend(loc='upper left', fontsize=8, ncols=4)
    axes[len(names) - 1].set_xlabel('rows from the beginning of the forecast')
    for name, by_lead in (scores or {}).items():
        axes[-1].plot(np.arange(1, len(by_lead) + 1), by_lead, label=name, marker='.')
    if scores:
        axes[-1].set(xlabel='lead [rows]', ylabel='CRPS [std of training]', ylim=(0.0, None))
        axes[-1].legend(fontsize=8, ncols=4)
    replace_files({path: lambda file: figure.savefig(file, format='png', dpi=120)})


def _draw_fan(axis, history: np.ndarray, futures: np.ndarray, truth: np.ndarray | None) -> None:
    """Draw one variable: history (H,), futures (samples, horizon) and what came (horizon,)."""
    leads = np.arange(futures.shape[1])
    lowest, low, median, high, highest = np.quantile(futures, QUANTILES, axis=0)
    axis.plot(np.arange(-len(history), 0), history, color=TRUTH_COLOR, linewidth=0.9)
    axis.fill_between(leads, lowest, highest, color=COLOR, alpha=0.2, label='5 to 95 %')
    axis.fill_between(leads, low, high, color=COLOR, alpha=0.35, label='25 to 75 %')
    axis.plot(leads, median, color=COLOR, label='median')
    if truth is not None:
        axis.plot(leads, truth, color=TRUTH_COLOR, linewidth=1.4, label='what came')
