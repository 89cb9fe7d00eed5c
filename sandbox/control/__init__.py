"""What tests turn while the sandbox runs: its clock, its faults, its holds, and its log of calls."""
