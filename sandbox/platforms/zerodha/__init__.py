"""Kite Connect v3 (Zerodha): REST over form bodies and JSON envelopes."""
