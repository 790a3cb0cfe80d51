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

"""A checkpoint that is written in no time: an untrained network with an honest card."""

from pathlib import Path

import torch

from df_planner.training.checkpoint import Architecture
from df_planner.training.checkpoint import FORMAT_VERSION
from df_planner.training.checkpoint import ModelCard
from df_planner.training.checkpoint import save_checkpoint
from df_planner.training.checkpoint import Statistics


def write_tiny_model(folder: Path, name: str = 'tiny', maze: str = 'umaze') -> Path:
    """
    Write the checkpoint and return its path.

    Its plans are noise between start and goal: they pass with ``collision_check`` off only.
    """
    torch.manual_seed(0)
    card = ModelCard(
        format_version=FORMAT_VERSION, name=name, description='untrained, for tests',
        architecture=Architecture(part_sizes=(2, 2, 20), max_tokens=12, num_levels=1000, width=16,
                                  num_layers=1, num_heads=2),
        statistics=Statistics(
            state_mean=(2.0, 2.0, 0.0, 0.0), state_std=(1.0, 1.0, 2.0, 2.0),
            action_mean=(0.0, 0.0), action_std=(0.6, 0.6), velocity_change=(1.5, 1.5),
            drift=(0.05, 0.05), max_speed=(5.0, 5.0)),
        frame_stack=10, dt_s=0.01,
        observation_names=('row', 'col', 'row velocity', 'col velocity'),
        observation_units=('m', 'm', 'm/s', 'm/s'), action_names=('row force', 'col force'),
        action_units=('100 N', '100 N'), maze=maze,
        observation_to_map=((0.0, 1.0), (-1.0, 0.0)), dataset_sha256='0' * 64,
        dataset_attributes={}, training_command='none', training_config={}, training_steps=0,
        training_hours=0.0, held_out_loss=None, seed=0, git_revision='none')
    return save_checkpoint(folder, card.build(), card)
