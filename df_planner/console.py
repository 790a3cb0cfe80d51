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

"""What commands share: options, examples in a help text, tables, the facts of a run."""

from collections.abc import Callable
from collections.abc import Sequence
from datetime import datetime
from datetime import timezone
from pathlib import Path
import shlex
import sys

import click
from click.core import ParameterSource
import tabulate

from df_planner.errors import ConfigError

tabulate.MIN_PADDING = 0  # of headers, beside the spaces between columns
SETTINGS = click.option('--set', 'settings', multiple=True, metavar='NAME=VALUE',
                        help='Replace a planner setting, for example num_samples=64; repeatable.')
DEVICE = click.option('--device', default='cpu', help='cpu, cuda or auto.')
SEED = click.IntRange(0, 2**63 - 1)  # what generators and files take
RESUME = click.option('--resume', is_flag=True, help='Keep what is finished in --out.')


def seed_option(seed_of: str) -> Callable:
    """Return the option --seed, 0 by default."""
    return click.option('--seed', type=SEED, default=0, help=f'Of the {seed_of}.')


def is_given(name: str) -> bool:
    """Tell whether a parameter of the present command was given on the command line."""
    source = click.get_current_context().get_parameter_source(name)
    return source is ParameterSource.COMMANDLINE


def refuse_given(reason: str, *names: str) -> None:
    """
    Refuse parameters of the present command that would have no effect.

    :raises ConfigError: naming the first that was given.
    """
    context = click.get_current_context()
    for param in context.command.params:
        if param.name in names and is_given(param.name):
            is_off = param.secondary_opts and context.params[param.name] is False
            words = param.secondary_opts if is_off else param.opts
            raise ConfigError(f'{words[0]}: has no effect {reason}; leave it out')


def out_option(files: str, default: str) -> Callable:
    """Return the option --out, a folder of ``files``; ``default`` is shown."""
    return click.option('--out', type=click.Path(file_okay=False, path_type=Path),
                        help=f'Folder of {files}.  [default: {default}]')


def examples(*commands: str) -> str:
    """Return the end of a help text: commands to try, one a line."""
    return '\b\nExamples:\n' + '\n'.join(f'  {command}' for command in commands)


def asked_for() -> dict[str, str]:
    """Return the command line and the time, for the header of a report."""
    return {'command': shlex.join(['df_planner', *sys.argv[1:]]),
            'created': datetime.now(timezone.utc).isoformat(timespec='seconds')}


def echo_facts(facts: dict) -> None:
    """Print names and values, one a line."""
    rows = [[name, str(value)] for name, value in facts.items()]
    click.echo(tabulate.tabulate(rows, tablefmt='plain', disable_numparse=True))


def text_table(rows: Sequence[Sequence[str | float]], form: str = 'plain') -> str:
    """
    Return rows, the first one being the header, in columns: the first left, others right.

    :param form: ``plain``, or ``simple`` with a line below the header.
    """
    texts = [[cell if isinstance(cell, str) else f'{cell:.3g}' for cell in row] for row in rows]
    align = ('left', *('right' for _ in rows[0][1:]))
    return tabulate.tabulate(texts, 'firstrow', form, colalign=align, disable_numparse=True)


def markdown_table(rows: Sequence[Sequence[object]]) -> str:
    """Return rows, the first one being the header, as a table in Markdown."""
    return tabulate.tabulate(rows, 'firstrow', 'github', disable_numparse=True)
