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

"""Seeding of gym <= 0.21, which fixes the random numbers behind D4RL's reference scores."""

import hashlib

import numpy as np


def legacy_random_state(seed: int) -> np.random.RandomState:
    """
    Return the generator that old gym gave to an environment or a space seeded with ``seed``.

    The seed is not used as it is but as the first eight bytes of the SHA-512 of its decimal
    digits, two little-endian words.
    """
    digest = hashlib.sha512(str(seed).encode('ascii')).digest()
    return np.random.RandomState(np.frombuffer(digest[:8], dtype='<u4'))
