"""Real workers under a load, recorded for the simulation to be held against.

    python -m tests.bench.recorded_runs cloud_ramp edge_fixed ...       # all that there are: without names
    python -m tests.bench.recorded_runs --compare                       # recordings and simulations side by side

Each writes the next tests/data/recorded_runs/NAME_<n>.json; tests/sedna_py/simulation/test_recorded_runs.py holds the simulation
against all of them.
"""
