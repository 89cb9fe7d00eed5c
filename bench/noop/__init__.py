"""Finlink with one RPC more, which does nothing: the ceiling of what its servers could answer."""
