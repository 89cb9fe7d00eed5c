from __future__ import annotations

from hypothesis import HealthCheck, settings

# Loaded machines make any deadline a lie, and what hypothesis found belongs in a test.
settings.register_profile(
    "finlink", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("finlink")
