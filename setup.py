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

"""Install df_planner with pip or colcon."""

from pathlib import Path

from setuptools import find_packages
from setuptools import setup

PACKAGE = 'df_planner'
SHARED_FILES = (
    'package.xml',
    'launch/*.launch.py',
    'config/**/*.yaml',
    'config/**/*.rviz',
    'config/**/*.json',
    'config/**/*.xml',
    'sim/**/*.xml',
    'sim/**/*.yaml',
    'checkpoints/*.safetensors',
    'checkpoints/*.json',
)


def data_files() -> list[tuple[str, list[str]]]:
    """Return the marker of the ament index and, folder by folder, what goes to share/."""
    folders: dict[str, list[str]] = {}
    for pattern in SHARED_FILES:
        for path in sorted(Path().glob(pattern)):
            folder = Path('share', PACKAGE, path.parent).as_posix()
            folders.setdefault(folder, []).append(path.as_posix())
    marker = ('share/ament_index/resource_index/packages', [f'resource/{PACKAGE}'])
    return [marker, *sorted(folders.items())]


setup(
    name=PACKAGE,
    version='0.1.0',
    description='Diffusion Forcing planner for ROS 2: from logs to a benchmarked planner node',
    author='The df_planner authors',
    maintainer='The df_planner maintainers',
    maintainer_email='maintainers@df-planner.example',
    license='Apache-2.0',
    keywords=['ROS', 'planning', 'diffusion', 'Diffusion Forcing', 'D4RL', 'MuJoCo'],
    packages=find_packages(include=[PACKAGE, f'{PACKAGE}.*']),
    data_files=data_files(),
    python_requires='>=3.11',
    install_requires=['setuptools'],
    extras_require={
        'forecast': ['autots', 'scikit-learn', 'scoringrules'],
        'minari': ['minari'],
        'ray': ['ray'],
        'tensorboard': ['tensorboard'],
        'test': ['pytest', 'pytest-timeout'],
    },
    zip_safe=True,
    entry_points={
        'console_scripts': [
            'df_planner = df_planner.cli.main:main',
            'planner = df_planner.nodes.planner.node:main',
            'follower = df_planner.nodes.follower.node:main',
            'maze_sim = df_planner.nodes.maze_sim.node:main',
            'maze_benchmark = df_planner.nodes.maze_benchmark.node:main',
            'recorder = df_planner.nodes.recorder.node:main',
        ],
    },
)
