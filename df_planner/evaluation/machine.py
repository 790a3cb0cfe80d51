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

"""The machine that a result was measured on: processor, versions, revision; not its name."""

from importlib import metadata
import os
from pathlib import Path
import platform

import df_planner
from df_planner.files import git_revision

INSTRUCTIONS = {'avx2': 'AVX2', 'avx512f': 'AVX-512', 'avx512_bf16': 'AVX-512 in bfloat16',
                'amx_tile': 'AMX'}
PACKAGES = ('torch', 'numpy', 'mujoco', 'scipy')


def machine_facts() -> dict:
    """Return facts for the meta data of a report, plain values."""
    packages = ', '.join(f'{name} {metadata.version(name)}' for name in PACKAGES)
    return {
        'processor': _processor(),
        'instructions': _instructions(),
        'cores': len(os.sched_getaffinity(0)),
        'load_average': round(os.getloadavg()[0], 1),
        'system': f'{platform.system()} {platform.machine()}, Python {platform.python_version()}',
        'packages': f'df_planner {df_planner.__version__}, {packages}',
        'revision': git_revision(),
    }


def _processor() -> str:
    return _told('model name') or platform.processor() or 'unknown'


def _instructions() -> str:
    """Return which instructions for many numbers at once the processor has."""
    flags = set(_told('flags').split())
    return ', '.join(name for flag, name in INSTRUCTIONS.items() if flag in flags) or 'unknown'


def _told(what: str) -> str:
    """Return what /proc/cpuinfo tells of the first core, '' where there is none."""
    try:
        lines = Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
    except OSError:
        return ''
    return next((line.partition(':')[2].strip() for line in lines if line.startswith(what)), '')
