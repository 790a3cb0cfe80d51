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

from df_planner.model.checkpoint import Architecture
from df_planner.model.checkpoint import FORMAT_VERSION
from df_planner.model.checkpoint import ModelCard
from df_planner.model.checkpoint import save_checkpoint
from df_planner.model.checkpoint import Statistics
from df_planner.robots.kinds import ROBOTS


FRAME_STACK = 10


def write_tiny_model(folder: Path, name: str = 'tiny', robot: str = 'point') -> Path:
    """
    Write the checkpoint of a kind of robot and return its path.

    Its plans are noise between start and goal: they pass with ``collision_check`` off only.
    """
    torch.manual_seed(0)
    signals = ROBOTS[robot].signals
    others = signals.observation_size - 4
    card = ModelCard(
        format_version=FORMAT_VERSION, name=name, description='untrained, for tests',
        architecture=Architecture(
            part_sizes=signals.part_sizes(FRAME_STACK), max_tokens=12, num_levels=1000, width=16,
            num_layers=1, num_heads=2),
        statistics=Statistics(
            state_mean=(0.0, 0.0, 0.0, 0.0, 1.0, 0.0)[:signals.observation_size],  # it looks ahead
            state_std=(1.0, 1.0, 2.0, 2.0, *[1.0] * others),
            action_mean=(0.0,) * signals.action_size, action_std=(0.6,) * signals.action_size,
            velocity_change=(1.5, 1.5), drift=(0.05, 0.05), max_speed=(5.0, 5.0)),
        frame_stack=FRAME_STACK, **signals.model_dump(exclude={'max_step_m'}),
        dataset_sha256='0' * 64, dataset_attributes={}, training_command='none',
        training_config={}, training_steps=0, training_hours=0.0, held_out_loss=None, seed=0,
        git_revision='none')
    return save_checkpoint(folder, card.architecture.build(), card)
