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

"""Runs on one machine that must not hear each other."""

import subprocess
import sys

from df_planner.launching.domain import chosen_domain
from df_planner.launching.domain import FIRST_LOCK_PORT
from df_planner.launching.domain import LAST_DOMAIN
from df_planner.launching.domain import own_domain


def in_a_child(code):
    """Run code in another process and return what it prints."""
    return subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                          check=True).stdout


def test_a_process_keeps_its_domain_and_no_other_gets_it():
    mine = own_domain()
    assert own_domain() == mine and 1 <= mine <= LAST_DOMAIN
    other = int(in_a_child('import os; from df_planner.launching.domain import own_domain;'
                           f'os.getpid = lambda: {mine - 1}; print(own_domain())'))
    assert other != mine and 1 <= other <= LAST_DOMAIN


def test_what_is_set_is_kept(monkeypatch):
    monkeypatch.setenv('ROS_DOMAIN_ID', '7')
    assert chosen_domain() == '7'
    monkeypatch.delenv('ROS_DOMAIN_ID')
    assert chosen_domain() == str(own_domain())


def test_it_says_so_when_there_is_none_left():
    said = in_a_child(f"""
import os, socket
from df_planner.launching import domain
from df_planner.errors import ConfigError
lock, domain.LAST_DOMAIN = socket.socket(), 1
try:
    lock.bind(('127.0.0.1', {FIRST_LOCK_PORT} + 1))
except OSError:
    pass  # somebody has it
try:
    print(domain.own_domain())
except ConfigError as error:
    print(error)
""")
    assert 'set ROS_DOMAIN_ID' in said
