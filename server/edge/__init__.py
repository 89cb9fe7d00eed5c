"""Envoy: its configuration, and the parts of it that the contract decides."""
