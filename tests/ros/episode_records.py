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

"""Records of episodes, for the tests."""

from df_planner.evaluation.metrics import BATCH_FIELDS
from df_planner.evaluation.metrics import LATENCY_FIELDS


def without_latencies(record):
    """Return what a record has of any planner, on a machine of any speed."""
    left_out = (*LATENCY_FIELDS, *BATCH_FIELDS)
    return {key: value for key, value in record.items() if key not in left_out}
