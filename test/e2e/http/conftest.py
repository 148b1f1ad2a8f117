# SPDX-License-Identifier: Apache-2.0
import pathlib
import sys

# The processes to test are those of the neighbours.
for neighbour in ["engine", "fairway"]:
    sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / neighbour))
