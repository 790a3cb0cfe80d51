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

"""
Load models: at configure, and at run time while the model in use goes on planning.

Setting the parameter of a new model fails at once if its file is missing or broken, if its card
has another format, or if it is for another robot. A thread then reads and compiles it, which takes
a second or more. Until the new model has made a first plan, the old one stays in use; if that
fails, the parameters go back to the old one.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from rclpy.lifecycle import LifecycleNode
from rclpy.parameter import Parameter
from safetensors import safe_open
from safetensors import SafetensorError

from df_planner.errors import CheckpointError
from df_planner.errors import ConfigError
from df_planner.errors import DeviceError
from df_planner.errors import DFPlannerError
from df_planner.nodes.planner.parameters import PlannerParameters
from df_planner.robots.kinds import ROBOTS
from df_planner.ros.worker import Outcome
from df_planner.ros.worker import Worker

if TYPE_CHECKING:
    from df_planner.model.checkpoint import ModelCard
    from df_planner.planning.planner import Planner

LONGEST_LOAD_S = 60.0
MODEL = ('checkpoint', 'device', 'backend')
# What the follower, the map and the plan in hand rely on.
SAME_ROBOT = ('dt_s', 'observation_names', 'observation_units', 'action_names', 'action_units',
              'action_limits', 'observation_to_map')


def load_planner(parameters: PlannerParameters) -> 'Planner':
    """
    Return the planner of the parameters, without a map, after a first plan.

    :raises CheckpointError: if the checkpoint is missing, broken, of another format or for another
        robot.
    :raises ConfigError: if there is no such device, the backend cannot run the model, or
        ``schedule_file`` does not fit it.
    :raises DeviceError: if the device fails, for example for lack of memory.
    """
    # Imported here: torch takes seconds, during which the node could not be seen or stopped.
    import torch

    from df_planner.model.checkpoint import load_card
    from df_planner.planning.planner import Planner
    card = load_card(parameters.checkpoint)
    if card.robot != parameters.robot:
        raise CheckpointError(
            f'{parameters.checkpoint}: is for a {card.robot or "robot of another kind"}, with '
            f'{", ".join(card.observation_names)}; parameter robot is {parameters.robot}, with '
            f'{", ".join(ROBOTS[parameters.robot].signals.observation_names)}: change one of them')
    if parameters.num_threads > 0:
        torch.set_num_threads(parameters.num_threads)
    try:
        planner = Planner.load(parameters.checkpoint, parameters.device,
                               settings=parameters.settings(), backend=parameters.backend)
        planner.warm_up()
    except RuntimeError as error:
        raise DeviceError(' '.join(str(error).split())[:300]) from error
    check_schedule_file(parameters, planner.card)
    planner.map = None  # the map comes from the topic
    return planner


def check_schedule_file(parameters: PlannerParameters, card: 'ModelCard') -> None:
    """Raise a ConfigError if ``schedule_file`` does not fit the model."""
    from df_planner.planning.schedules import matrix_for
    from df_planner.planning.tokens import tokens_of_steps
    most_tokens, steps = card.architecture.max_tokens, parameters.horizon_steps
    if steps:
        most_tokens = min(most_tokens, tokens_of_steps(steps, card.frame_stack))
    matrix_for(parameters.settings(), card.architecture.num_levels, most_tokens)


class ModelSwap:
    """
    Replace the model of a configured node.

    :param take: called in the executor's thread with a planner that is ready, and its parameters.
    :param report: called with the state of a swap in words, and the error or None.
    """

    def __init__(self, node: LifecycleNode, in_use: PlannerParameters, card: 'ModelCard',
                 take: Callable[['Planner', PlannerParameters], None],
                 report: Callable[[str, DFPlannerError | None], None]):
        self._node = node
        self._in_use = in_use
        self._card = card
        self._take = take
        self._report = report
        self._loading: PlannerParameters | None = None
        self._loader: Worker | None = None

    def check(self, parameters: PlannerParameters) -> None:
        """Raise a ConfigError if the model of the parameters cannot replace the one in use."""
        import torch

        from df_planner.model.checkpoint import find_checkpoint
        from df_planner.model.checkpoint import load_card
        if _model(parameters) == _model(self._in_use):
            return
        if parameters.device == 'cuda' and not torch.cuda.is_available():
            raise ConfigError('device cuda: there is no CUDA device; use cpu or auto')
        try:
            path = find_checkpoint(parameters.checkpoint)
            with safe_open(path, 'numpy'):  # checks the header and the length, not the weights
                card = load_card(parameters.checkpoint)
        except DFPlannerError as error:
            raise ConfigError(str(error)) from error
        except (OSError, SafetensorError) as error:
            raise ConfigError(f'{path}: not a readable .safetensors file: {error}') from error
        for name in SAME_ROBOT:
            new, old = getattr(card, name), getattr(self._card, name)
            if new != old:
                raise ConfigError(
                    f'{parameters.checkpoint} has {name} {new}, the model '
                    f'in use has {old}; clean up and configure to change the robot')

    def want(self, parameters: PlannerParameters) -> None:
        """Load the model of the parameters, unless it is in use or being loaded."""
        wanted = _model(parameters)
        if wanted == _model(self._loading or self._in_use):
            return
        self._cancel()
        if wanted == _model(self._in_use):
            self._report('', None)
            return
        if self._loader is None:
            self._loader = Worker(self._node)
        self._loading = parameters
        self._report(f'Loading {parameters.checkpoint}, planning with {self._in_use.checkpoint}',
                     None)
        self._loader.submit('load', lambda _: load_planner(parameters), self._finish)

    def close(self) -> None:
        """End the thread when it has loaded its model: the process must not end before."""
        self._cancel()
        if self._loader is not None:
            self._loader.close(timeout_s=LONGEST_LOAD_S)
            self._loader = None

    def _cancel(self) -> None:
        self._loading = None
        if self._loader is not None:
            self._loader.cancel('load')

    def _finish(self, outcome: Outcome) -> None:
        parameters, self._loading = self._loading, None
        if outcome.error is None:
            self._in_use, self._card = parameters, outcome.value.card
            self._take(outcome.value, parameters)
            return
        error = outcome.error
        if not isinstance(error, DFPlannerError):
            error = ConfigError(f'{parameters.checkpoint}: {error!r}')
        self._report(f'{parameters.checkpoint} refused, planning with '
                     f'{self._in_use.checkpoint}', error)
        self._node.set_parameters([Parameter(name, value=getattr(self._in_use, name))
                                   for name in MODEL])


def _model(parameters: PlannerParameters) -> tuple[str, ...]:
    return tuple(getattr(parameters, name) for name in MODEL)
