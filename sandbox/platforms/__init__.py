"""One package a platform, each with a manifest; `registry.py` has one line for each of them."""
