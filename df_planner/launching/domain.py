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

"""A ROS domain of its own for a run, which no other run on this machine shares."""

from functools import cache
import os
import socket

from df_planner.errors import ConfigError

_LOCKS: list[socket.socket] = []  # held until the process ends
LAST_DOMAIN = 101  # higher ones reach into the ephemeral ports of Linux
FIRST_LOCK_PORT = 32100  # a TCP port per domain, held by the process that has the domain


@cache
def own_domain() -> int:
    """
    Return the domain of this process, which no other process gets until this one ends.

    :raises ConfigError: if every domain is taken.
    """
    first = os.getpid() % LAST_DOMAIN
    for offset in range(LAST_DOMAIN):
        domain = 1 + (first + offset) % LAST_DOMAIN
        lock = socket.socket()
        try:
            lock.bind(('127.0.0.1', FIRST_LOCK_PORT + domain))
        except OSError:
            lock.close()
            continue
        _LOCKS.append(lock)
        return domain
    raise ConfigError('every ROS domain has a run already; end one, or set ROS_DOMAIN_ID')


def chosen_domain() -> str:
    """Return the ``ROS_DOMAIN_ID`` of the environment; without one, that of ``own_domain``."""
    return os.environ['ROS_DOMAIN_ID'] if 'ROS_DOMAIN_ID' in os.environ else str(own_domain())
