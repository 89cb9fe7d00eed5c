"""The controls that tests use while the sandbox runs: its clock, its faults, its breakpoints, and its log of
calls."""
