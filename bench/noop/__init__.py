"""Finlink with one RPC more, which does nothing: the ceiling of its servers."""
