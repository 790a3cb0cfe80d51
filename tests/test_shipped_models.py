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

"""The shipped models do what they are shipped for."""

from pathlib import Path

import pytest

from df_planner.evaluation.episodes import Specification
from df_planner.evaluation.evaluate import evaluate
from df_planner.evaluation.protocol import sample_starts
from df_planner.model.checkpoint import load_card
from df_planner.sim.maze import load_maze
from df_planner.training.config import TrainConfig

CARDS = sorted((Path(__file__).parents[1] / 'checkpoints').glob('*.json'))


@pytest.mark.parametrize('maze', ['umaze', 'large'])
def test_the_shipped_model_drives_like_the_controller_of_its_data(tmp_path, maze):
    specification = Specification(maze, checkpoint='point')
    results = evaluate(specification, sample_starts(load_maze(maze), 2, seed=0), tmp_path)
    assert results['summary']['reached'] == 2
    assert results['summary']['wall_crossing_share']['max'] < 0.05
    score, baseline = (part['summary']['score']['mean'] for part in (results, results['baseline']))
    assert score > 0.8 * baseline


@pytest.mark.parametrize('path', CARDS, ids=lambda path: path.stem)
def test_a_card_holds_a_whole_training_configuration(path):
    card = load_card(path.stem)
    config = TrainConfig(**card.training_config)
    assert config.stored() == card.training_config
    assert (config.name, config.steps) == (card.name, card.training_steps)
