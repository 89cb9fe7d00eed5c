"""Scenarios of faults, races and deaths; helpers of theirs show what an assertion compared."""

import pytest

pytest.register_assert_rewrite(
    *(
        f"tests.chaos.model_{name}"
        for name in ("connections", "events", "facts", "reads", "steps", "syncs", "users", "views")
    ),
    "tests.chaos.caller",
)
