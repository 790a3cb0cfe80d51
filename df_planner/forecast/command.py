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

"""The commands ``df_planner forecast train``, ``predict`` and ``score``."""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import csv
import io
from pathlib import Path

import click
from matplotlib.figure import Figure
import numpy as np

from df_planner.configuration import assignments
from df_planner.console import examples
from df_planner.console import out_option
from df_planner.console import seed_option
from df_planner.console import text_table
from df_planner.errors import ConfigError
from df_planner.errors import DatasetError
from df_planner.errors import some_of
from df_planner.experiments import common
from df_planner.files import replace_files
from df_planner.forecast.baselines import num_candidates
from df_planner.forecast.clocks import MOST_UNEVEN
from df_planner.forecast.forecaster import Forecaster
from df_planner.forecast.score import Comparison
from df_planner.forecast.score import series_of
from df_planner.forecast.score import table
from df_planner.forecast.series import open_series
from df_planner.forecast.train import train_forecaster

SHOWN_HISTORY = 72  # rows before the fan of a picture
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
COLOR, TRUTH_COLOR = '#1f77ff', '#111111'


def draw_forecast(path: Path, names: Sequence[str], history: np.ndarray, futures: np.ndarray,
                  truth: np.ndarray | None = None,
                  scores: Mapping[str, np.ndarray] | None = None) -> None:
    """
    Draw to a PNG file: a fan chart per variable, and scores by lead if there are any.

    :param history: (H, C) rows before the forecast.
    :param futures: (samples, horizon, C).
    :param truth: (horizon, C) observed rows of the forecast.
    :param scores: (horizon,) CRPS by name of the forecast.
    """
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
    leads = np.arange(futures.shape[1])
    lowest, low, median, high, highest = np.quantile(futures, QUANTILES, axis=0)
    axis.plot(np.arange(-len(history), 0), history, color=TRUTH_COLOR, linewidth=0.9)
    axis.fill_between(leads, lowest, highest, color=COLOR, alpha=0.2, label='5 to 95 %')
    axis.fill_between(leads, low, high, color=COLOR, alpha=0.35, label='25 to 75 %')
    axis.plot(leads, median, color=COLOR, label='median')
    if truth is not None:
        axis.plot(leads, truth, color=TRUTH_COLOR, linewidth=1.4, label='observed')


def _sampling_options(command: Callable) -> Callable:
    for option in (
            seed_option('samples'),
            click.option('--sampling-steps', type=click.IntRange(1, 1000), default=10,
                         help='Steps of a token from noise to a value.'),
            click.option('--schedule', default='pyramid',
                         type=click.Choice(['full_sequence', 'pyramid', 'autoregressive']),
                         help='All rows at once, near before far, or one by one.')):
        command = option(command)
    return command


@click.group()
def forecast():
    """Forecast time series with the same method: history in, futures out."""


@forecast.command(epilog=examples(
    'df_planner forecast train traffic --out runs/traffic.safetensors',
    'df_planner forecast train my.csv --horizon 48 --history 336 --out runs/mine.safetensors '
    '--set steps=2000'))
@click.argument('series')
@click.option('--horizon', type=click.IntRange(min=1), default=24, help='Rows to forecast.')
@click.option('--history', type=click.IntRange(min=1), default=168, help='Rows to look back.')
@click.option('--out', required=True, type=click.Path(dir_okay=False, path_type=Path),
              help='The checkpoint, a .safetensors file; its card comes beside it.')
@click.option('--set', 'overrides', multiple=True, metavar='FIELD=VALUE',
              help='Replace a field of df_planner/forecast/train.py; may be repeated.')
def train(series: str, horizon: int, history: int, out: Path, overrides: tuple[str, ...]):
    """
    Train on the first 70 % of SERIES; the same command resumes it.

    SERIES is a CSV file with a header, a row per time at a fixed rate and a column per variable
    (dates and other clocks are none; rows are put into their order), or traffic: two years of
    hourly traffic, temperature and clouds from the package autots. The next 15 % give the held-out
    loss, the rest is unseen.
    """
    values = assignments(overrides)
    for name, option in (('horizon', '--horizon'), ('history', '--history'), ('name', '--out'),
                         ('out_dir', '--out'), ('series', 'SERIES')):
        if name in values:
            raise ConfigError(f'--set {name}: is what {option} says; leave it out')
    values = {**values, 'horizon': horizon, 'history': history}
    if (path := train_forecaster(series, out, values)) is not None:
        click.echo(path)


@forecast.command(epilog=examples(
    'df_planner forecast predict runs/mine.safetensors --history my.csv --out forecast.csv',
    'df_planner forecast predict runs/mine.safetensors --history my.csv --out forecast.csv '
    '--picture forecast.png --horizon 96'))
@click.argument('checkpoint', type=click.Path(path_type=Path))
@click.option('--history', 'file', required=True, type=click.Path(path_type=Path),
              help='CSV file with the rows so far, columns as in training.')
@click.option('--horizon', type=click.IntRange(min=1),
              help='Rows to forecast; more than trained slide on.  [default: as trained]')
@click.option('--samples', type=click.IntRange(min=2), default=200)
@click.option('--out', required=True, type=click.Path(dir_okay=False, path_type=Path),
              help='CSV file: mean and quantiles of every variable, a row per step ahead.')
@click.option('--picture', type=click.Path(dir_okay=False, path_type=Path),
              help='PNG file of the fans.')
@_sampling_options
def predict(checkpoint, file, horizon, samples, out, picture, schedule, sampling_steps, seed):
    """Sample futures of a CSV file's series after its last row, and write their quantiles."""
    forecaster = Forecaster.load(checkpoint, schedule=schedule, sampling_steps=sampling_steps)
    names, step_s = forecaster.card.names, forecaster.card.step_s
    series = open_series(file, names)
    if series.names != names:
        raise DatasetError(f'{file}: has the columns {some_of(series.names)}; the checkpoint '
                           f'is of {some_of(names)}')
    if step_s and series.step_s and not 1 / MOST_UNEVEN < series.step_s / step_s < MOST_UNEVEN:
        raise DatasetError(f'{file}: its rows are {series.step_s:g} s apart, those of the '
                           f'training {step_s:g} s')
    if len(series.values) < forecaster.config.history:
        raise DatasetError(f'{file}: has {len(series.values)} rows, the forecaster looks back '
                           f'{forecaster.config.history}; give more')
    futures = forecaster.sample(series.values, samples, seed, horizon)
    columns = np.concatenate([futures.mean(axis=0)[None], np.quantile(futures, QUANTILES, axis=0)])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    kinds = ('mean', *(f'q{quantile:g}' for quantile in QUANTILES))
    writer.writerow(['step', *(f'{name} {kind}' for name in names for kind in kinds)])
    for step, values in enumerate(columns.transpose(1, 2, 0), start=1):
        writer.writerow([step, *(f'{value:.6g}' for value in values.ravel())])
    replace_files({out: lambda stream: stream.write(text.getvalue().encode())})
    if picture is not None:
        draw_forecast(picture, names, series.values[-SHOWN_HISTORY:], futures)
    click.echo(out)


@forecast.command(epilog=examples(
    'df_planner forecast score runs/traffic.safetensors --part validation',
    'df_planner forecast score runs/a.safetensors runs/b.safetensors --season 24 --season 168 '
    '--lags 24 --lags 168'))
@click.argument('checkpoints', nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option('--part', type=click.Choice(['validation', 'test']), default='test',
              help='Of the series; validation is where choices are made.')
@click.option('--season', 'seasons', multiple=True, type=click.IntRange(min=2), default=(24, 168),
              help='Rows of a season the baselines may use; may be repeated.')
@click.option('--lags', multiple=True, type=click.IntRange(min=1), default=(24, 48, 168, 336),
              help='Lags of the regression to choose from; may be repeated.')
@click.option('--stride', type=click.IntRange(min=1), default=25,
              help='Rows from one origin to the next.')
@click.option('--block', type=click.IntRange(min=1), default=168,
              help='Rows of a block for the standard error.')
@click.option('--samples', type=click.IntRange(min=2), default=100, help='Futures per origin.')
@out_option('forecast.json and forecast.png', 'results/forecast-TIME')
@_sampling_options
def score(checkpoints, part, seasons, lags, stride, block, samples, out, schedule, sampling_steps,
          seed):
    """
    Score CHECKPOINTS (training seeds of one model) beside baselines, at rolling origins.

    The score is the CRPS, by the fair estimator, averaged over leads and over variables in
    standard deviations of the training part, ± its standard error over blocks of origins. The
    choices of the baselines (lags, strength, season, which residuals) are made on the validation
    part. less than X: the mean difference from that baseline at the same origins.
    """
    forecasters = [Forecaster.load(path, schedule=schedule, sampling_steps=sampling_steps)
                   for path in checkpoints]
    series = series_of(forecasters)
    horizon = forecasters[0].config.horizon
    comparison = Comparison(series, part, horizon, stride, block, samples, seed)
    with common.progress(num_candidates(seasons, lags), 'baselines') as advance:
        comparison.add_baselines(seasons, lags, advance)
    with common.progress(len(forecasters) * len(comparison.origins.rows), 'forecasts') as advance:
        comparison.add_forecasters(forecasters, advance)
    folder = common.result_folder('forecast', out)
    origin = int(comparison.origins.rows[len(comparison.origins.rows) // 2])
    draw_forecast(folder / 'forecast.png', series.names,
                  series.values[origin - SHOWN_HISTORY:origin],
                  forecasters[0].sample(series.values[:origin], samples, seed + origin),
                  comparison.origins.truth(origin), comparison.by_lead())
    results = comparison.results()
    click.echo(text_table(table(results)))
    common.write_result(folder / 'forecast.json', ', '.join(map(str, checkpoints)), seed, {
        'series': series.source, 'part': part, 'stride': stride, 'block': block,
        'origins': len(comparison.origins.rows), 'samples': samples, 'schedule': schedule,
        'sampling_steps': sampling_steps, **results})
