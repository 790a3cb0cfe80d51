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

"""Files of tests that train, drive or build for more than a second or two."""

LONG = {
    'test_backends', 'test_blocks', 'test_calibration', 'test_cost',
    'test_d4rl_package', 'test_diff_drive_generator', 'test_drive', 'test_engines', 'test_env',
    'test_evaluate', 'test_forecast', 'test_generator', 'test_grid_run', 'test_gymnasium_robotics',
    'test_import', 'test_inpainting', 'test_latency', 'test_long_log', 'test_map_place',
    'test_mapped', 'test_movers',
    'test_odometry_noise', 'test_packaging', 'test_planner', 'test_prefix', 'test_profile',
    'test_readme', 'test_reference_scores', 'test_report', 'test_rollout', 'test_shipped_models',
    'test_sliding', 'test_throughput', 'test_train', 'test_trained_models', 'test_training_kills',
    'test_training_log', 'test_training_processes', 'test_training_stages',
    'test_unseen_benchmark',
}
