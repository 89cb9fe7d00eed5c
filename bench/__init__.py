"""Finlink measured against the stacks a user would pick instead; see docs/benchmarks."""
