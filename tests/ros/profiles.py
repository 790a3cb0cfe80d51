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

"""The QoS profiles of the graph, for probes."""

from df_planner.ros import topics
from df_planner.ros.qos import profile

STANDARD_QOS = profile(topics.STANDARD)
RECORDED_QOS = profile(topics.RECORDED)
RECORDING_QOS = profile(topics.RECORDING)
LATEST_QOS = profile(topics.LATEST)
LATCHED_QOS = profile(topics.LATCHED)
PLAN_QOS = profile(topics.PLANS)
TF_QOS = profile(topics.TRANSFORMS)
SENSOR_DATA_QOS = profile(topics.SENSOR_DATA)
