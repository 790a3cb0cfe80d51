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

"""The terms of a plan's reward: closed forms, finite differences, finite gradients everywhere."""

from functools import partial

import numpy as np
import pytest
import torch

from df_planner import Planner
from df_planner.data.frames import Frame
from df_planner.errors import GoalOccupied
from df_planner.errors import InvalidInput
from df_planner.maps.grid import GridMap
from df_planner.maps.route import Route
from df_planner.model.checkpoint import load_card
from df_planner.planning import rewards
from df_planner.planning.curves import interpolate
from df_planner.planning.settings import PlannerSettings
from df_planner.planning.tokens import TokenSpace
from df_planner.sim.maze import maze_map

TOKEN_S, FRAME_STACK = 0.1, 10
GOAL = np.array([3.0, 1.0])
ALL = torch.ones(2, 6, dtype=torch.bool)
SPACE = TokenSpace(load_card('point'), 'cpu')


def straight_to(goal):
    """Return what gives the metres straight to a goal."""
    return rewards.Goal(np.array(goal)).to_go(None, torch.zeros(0, dtype=torch.float64))


@pytest.fixture(scope='module')
def field():
    return rewards.DistanceField.of(maze_map('umaze'), dtype=torch.float64)


@pytest.fixture
def terms(field):
    """Return every term with what it needs to know, hard to satisfy so that it is in force."""
    return {
        'goal': partial(rewards.goal_distance, to_go=straight_to(GOAL)),
        'arrival': partial(rewards.arrival, to_go=straight_to(GOAL), tolerance_m=0.5,
                           token_s=TOKEN_S),
        'speed': partial(rewards.speed, limit_mps=0.5),
        'force': partial(rewards.force, limit=0.2),
        'clearance': partial(rewards.clearance, field=field, needed_m=0.6, token_s=TOKEN_S),
        'user': partial(rewards.user, sizes=(4, 2), reward=lambda states, actions, real: (
            states.sum((1, 2)) * actions.square().sum((1, 2, 3)))),
    }


NAMES = ('goal', 'arrival', 'speed', 'force', 'clearance', 'user')


def random_tokens(seed=0):
    """Return (2, 6, 24) plausible tokens near the lower corridor of umaze."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(2, 6, 4 + 2 * FRAME_STACK, generator=generator, dtype=torch.float64)
    tokens[..., :2] = 0.3 * tokens[..., :2] + torch.tensor([2.5, 2.5])
    return tokens


@pytest.mark.parametrize('name', NAMES)
def test_gradients_agree_with_finite_differences(terms, name):
    tokens = random_tokens().requires_grad_()
    gradient, = torch.autograd.grad(terms[name](tokens, ALL).sum(), tokens)
    assert gradient.abs().max() > 1e-3, 'the term is in force'
    step, generator = 1e-6, torch.Generator().manual_seed(3)
    for _ in range(5):
        direction = torch.randn(tokens.shape, generator=generator, dtype=torch.float64)
        with torch.no_grad():
            difference = (terms[name](tokens + step * direction, ALL)
                          - terms[name](tokens - step * direction, ALL)).sum() / (2 * step)
        assert difference.item() == pytest.approx((gradient * direction).sum().item(), rel=1e-4)


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('place', [(3.0, 1.0), (2.0, 1.8), (0.0, 0.0), (-9.0, 40.0)])
def test_gradients_are_finite_at_special_points(terms, name, place):
    # At rest at the goal; inside a wall; in the outer wall; beyond the map.
    tokens = torch.zeros(2, 6, 24, dtype=torch.float64)
    tokens[..., :2] = torch.tensor(place)
    tokens.requires_grad_()
    reward = terms[name](tokens, ALL)
    gradient, = torch.autograd.grad(reward.sum(), tokens)
    assert reward.shape == (2,)
    assert torch.isfinite(reward).all() and torch.isfinite(gradient).all()


@pytest.mark.parametrize('name', NAMES[:-1])
def test_padding_and_other_plans_do_not_count(terms, name):
    tokens = random_tokens()
    real = torch.arange(6) < torch.tensor([6, 4])[:, None]
    reward = terms[name](tokens, real)
    alone = terms[name](tokens[1:, :4], real[1:, :4])
    assert reward[1].item() == pytest.approx(alone.item(), abs=1e-12)


def test_goal_distance_is_the_sum_over_future_real_tokens_in_metres():
    tokens = torch.zeros(2, 4, 4)
    tokens[:, :, 0] = torch.tensor([9.0, 3.0, 3.0, 7.0])
    real = torch.tensor([[True] * 4, [True, True, True, False]])
    reward = rewards.goal_distance(tokens, real, straight_to([0.0, 4.0]))
    assert reward.tolist() == pytest.approx([-(5.0 + 5.0 + 65.0**0.5), -10.0], abs=1e-3)


def test_arrival_counts_the_seconds_away_from_the_goal():
    tokens = torch.zeros(1, 5, 4)
    tokens[0, :, 0] = torch.tensor([0.0, 1.0, 0.5, 0.0, 0.0])
    reward = rewards.arrival(tokens, ALL[:1, :5], straight_to([0.0, 0.0]), 0.5, 0.1)
    assert reward.item() == pytest.approx(-0.1 * (0.8 + 0.5 + 0.0 + 0.0), rel=1e-4)


@pytest.mark.parametrize('padded', [24, 32])
def test_of_the_same_drive_the_one_that_arrives_first_is_ranked_first(padded):
    def straight(num_tokens, width):
        tokens = torch.zeros(1, width, 4)
        tokens[0, :num_tokens, 0] = torch.linspace(0.0, 3.0, num_tokens)
        return rewards.arrival(tokens, torch.arange(width)[None] < num_tokens,
                               straight_to([3.0, 0.0]), 0.5, 0.1).item()
    assert straight(24, padded) > straight(32, 32)


def test_the_metres_to_go_are_those_of_the_way_and_fall_along_it():
    grid, goal = maze_map('umaze'), np.array([1.0, 1.0])  # a wall lies between it and (3, 1)
    route = Route(grid, goal, 0.1)
    points = route.way(np.array([3.0, 1.0])).points
    for frame in (Frame(np.zeros(2), np.array([1.0, 0.0])),
                  Frame(np.array([3.0, 1.0]), np.array([0.6, 0.8]))):
        positions = torch.tensor(frame.points_in(points), requires_grad=True)
        to_go = rewards.Goal(frame.points_in(goal), route).to_go(
            grid.seen_from(frame.origin, frame.matrix), positions)
        left_m = to_go(positions)
        assert left_m[0] > 2.4 * np.linalg.norm(points[0] - goal) and left_m[-1] < 0.15
        assert np.diff(left_m.detach()).max() < 0.0
        assert (to_go(positions + 1e-9) - left_m).abs().max() < 1e-7
        downhill = -torch.autograd.grad(left_m.sum(), positions)[0].numpy()[2:-4:4]
        ahead = np.diff(positions.detach().numpy(), axis=0)[2:-3:4]
        cosine = (downhill * ahead).sum(-1) / np.prod(
            [np.linalg.norm(each, axis=-1) for each in (downhill, ahead)], axis=0)
        assert cosine.min() > 0.6


def test_speed_and_force_cost_only_what_exceeds_the_limit():
    tokens = torch.zeros(1, 3, 24)
    tokens[0, :, 2:4] = torch.tensor([[9.0, 9.0], [3.0, 4.0], [0.0, 1.0]])
    assert rewards.speed(tokens, ALL[:1, :3], 2.0).item() == pytest.approx(-3.0, abs=1e-3)
    tokens[0, 1, 4:6] = torch.tensor([-0.9, 0.4])  # one of the ten steps of this token
    assert rewards.force(tokens, ALL[:1, :3], 0.5).item() == pytest.approx(-0.04)


def test_the_field_equals_the_clearance_of_the_map(field):
    points = np.random.default_rng(0).uniform(-2.0, 6.0, (500, 2))
    assert np.allclose(field(torch.tensor(points)), maze_map('umaze').clearance(points))


def test_the_path_is_the_curve_that_the_checks_look_at():
    tokens = random_tokens()
    steps = interpolate(tokens[..., :4].numpy(), FRAME_STACK, TOKEN_S / FRAME_STACK)
    path = rewards.path(tokens, TOKEN_S, points=FRAME_STACK)
    assert np.allclose(path.flatten(1, 2), steps[:, 1:, :2])


def test_clearance_sees_a_block_between_two_tokens():
    occupied = np.zeros((30, 30), bool)
    occupied[14:17, 14:17] = True  # 0.3 m
    grid = GridMap(occupied, 0.1, np.zeros(2), np.eye(2))
    tokens = torch.zeros(1, 2, 4)
    tokens[0, :, 0], tokens[0, :, 1] = torch.tensor([1.2, 1.9]), 1.55
    tokens[0, :, 2] = 7.0
    assert grid.clearance(tokens[0, :, :2].numpy()).min() > 0.15
    field = rewards.DistanceField.of(grid)
    reward = rewards.clearance(tokens, ALL[:1, :2], field, 0.15, 0.1)
    path = rewards.path(tokens, 0.1)[0, 0].numpy()
    short = np.maximum(0.15 - grid.clearance(path), 0.0)
    assert short.max() > 0.15, 'a point lies inside the block'
    assert reward.item() == pytest.approx(-np.mean(short**2 / 0.15), rel=1e-4)


def guided(**settings):
    """Return guidance to a goal, and by a user's reward."""
    return rewards.build_guidance(
        SPACE, PlannerSettings(**settings), maze_map('umaze'), rewards.Goal(GOAL),
        lambda states, actions, real: states.sum((1, 2)))


def test_guidance_has_the_terms_that_weigh_something():
    def names(**settings):
        return tuple(guided(**settings).terms)
    assert rewards.build_guidance(SPACE, PlannerSettings(guidance_scale=0.0), maze_map('umaze'),
                                  rewards.Goal(GOAL)) is None
    with pytest.raises(InvalidInput, match='set guidance_scale above 0'):
        names(guidance_scale=0.0)
    assert names() == ('clearance', 'user')
    weights = {f'guide_{name}': 1.0 for name in NAMES[:-1]}
    assert names(guidance_scale=1.0, **weights) == NAMES
    assert names(select_by='reward', guidance_scale=0.0, guide_clearance=0.0) == ('user',)


@pytest.mark.parametrize(('name', 'is_cheap'), [
    ('speed', True), ('force', True), ('goal', False), ('arrival', False)])
def test_a_second_term_steers_every_plan_only_if_it_says_so(name, is_cheap):
    guidance = rewards.build_guidance(SPACE, PlannerSettings(**{f'guide_{name}': 1.0}),
                                      maze_map('umaze'), rewards.Goal(GOAL))
    assert set(guidance.terms) == {'clearance', name}
    assert guidance.steers_every_plan is not is_cheap


def test_a_plan_is_steered_if_any_term_is_worth_it():
    guidance = rewards.build_guidance(
        SPACE, PlannerSettings(guide_speed=1.0, speed_limit_mps=2.0, guide_clearance=7.0),
        maze_map('umaze'), rewards.Goal(GOAL))
    tokens = torch.zeros(4, 24, SPACE.mean.shape[0])
    tokens[..., :2] = torch.tensor([3.0, 1.0])  # free of obstacles
    tokens[1, 5, 2] = 3.0  # too fast
    tokens[2, 5, :2] = torch.tensor([2.0, 1.5])  # a near miss
    tokens[3, :, :2] = torch.tensor([2.0, 1.0])  # all in a wall
    real = torch.ones(4, 24, dtype=torch.bool)
    clearance = guidance.terms['clearance'].reward(tokens, real).tolist()
    assert clearance[0] > -0.2 > clearance[2] > -2.0 > clearance[3]
    rows = guidance.worth_it((tokens - SPACE.mean) / SPACE.std, real)
    assert rows.tolist() == [False, True, True, False]


START, TARGET = np.array([3.0, 1.0, 0.0, 0.0]), np.array([1.0, 1.0])


@pytest.fixture(scope='module')
def planner():
    torch.set_num_threads(1)
    return Planner.load('point', grid=maze_map('umaze'))


def slow(states, actions, real):
    """Return a reward for being slow."""
    return -(states[..., 2:].square().sum(-1) * real).sum(-1)


def test_a_users_reward_steers(planner):
    def energy(scale):
        planner.settings = PlannerSettings(
            guidance_scale=scale, guide_clearance=0.0, sampling_steps=8, route_std_m=0.3,
            collision_check=False)
        plan = planner.plan(START, TARGET, reward=slow if scale else None)
        return np.mean([np.square(c[:, 2:]).sum(1).mean() for c in plan.candidates])
    assert energy(0.3) < 0.95 * energy(0.0)


def test_candidates_can_be_ranked_by_reward(planner):
    planner.settings = PlannerSettings(select_by='reward', guidance_scale=0.0, num_samples=8)
    plan = planner.plan(START, TARGET, reward=slow)
    assert plan.valid and plan.reward == plan.candidate_rewards.max() < -1.0


def test_a_reward_without_guidance_and_a_way_point_in_a_wall_are_refused(planner):
    planner.settings = PlannerSettings(guidance_scale=0.0)
    with pytest.raises(InvalidInput, match='set guidance_scale above 0'):
        planner.plan(START, TARGET, reward=slow)
    planner.settings = PlannerSettings(guidance_scale=1.0)
    with pytest.raises(GoalOccupied):
        planner.plan(START, TARGET, waypoints=[(2.0, 1.0)])


class Watched:
    """A network that counts the plans whose gradient is asked for."""

    def __init__(self, network):
        self.part_sizes, self.max_tokens = network.part_sizes, network.max_tokens
        self.per_channel, self.steered, self._network = network.per_channel, 0, network

    def __call__(self, *arguments):
        return self._network(*arguments)

    def with_pullback(self, x, *more):
        self.steered += len(x)
        return self._network.with_pullback(x, *more)


@pytest.fixture
def steered(planner, monkeypatch):
    """Return what plans, and counts the candidates whose gradient is asked for."""
    network = planner.network

    def planned(**settings):
        watched = Watched(network)
        monkeypatch.setattr(planner, 'network', watched)
        planner.settings = PlannerSettings(collision_check=False, **settings)
        plans = [planner.plan(START, TARGET, seed=seed) for seed in range(2)]
        return watched.steered, np.concatenate([plan.states for plan in plans])
    return planned


def test_a_limit_that_no_plan_exceeds_costs_no_gradient(steered):
    none, states = steered(guidance_scale=0.0)
    with_limit, same = steered(guide_clearance=0.0, guide_speed=1.0, speed_limit_mps=50.0)
    with_goal, other = steered(guide_clearance=0.0, guide_goal=1e-3)
    assert none == with_limit == 0 < with_goal
    assert np.array_equal(states, same) and not np.array_equal(states, other)


def test_clearance_alone_steers_only_after_a_batch_without_a_valid_plan(steered):
    wide = {'clearance_margin_m': 0.3}
    none, states = steered(guidance_scale=0.0)
    first_batches, same = steered(**wide)
    with_limit, _ = steered(**wide, guide_speed=1.0, speed_limit_mps=50.0)
    all_batches, _ = steered(**wide, dynamics_tolerance=1e-3)
    assert none == first_batches == 0 < with_limit and all_batches > 0
    assert np.array_equal(states, same)
