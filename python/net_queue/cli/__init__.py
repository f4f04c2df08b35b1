# SPDX-License-Identifier: Apache-2.0
"""The programs nq-test-api and nq-test-iops."""
