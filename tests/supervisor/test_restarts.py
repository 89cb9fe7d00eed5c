from server.supervisor.restarts import LONGEST_DELAY, STABLE, Restarts


def test_delays_double_up_to_the_longest() -> None:
    restarts = Restarts()
    # Far enough apart never to be five within the window.
    delays = [restarts.delay_after_crash(now=20.0 * i, ready_for=1) for i in range(9)]
    assert delays == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, LONGEST_DELAY, LONGEST_DELAY, LONGEST_DELAY]


def test_a_stable_life_starts_the_delays_over() -> None:
    restarts = Restarts()
    for now in (0, 20, 40):
        restarts.delay_after_crash(now=now, ready_for=1)
    assert restarts.delay_after_crash(now=200, ready_for=STABLE) == 0.1
    assert restarts.delay_after_crash(now=220, ready_for=1) == 0.2


def test_fifth_death_within_the_window_is_the_last() -> None:
    restarts = Restarts()
    assert [restarts.delay_after_crash(now=i, ready_for=0) is None for i in range(5)] == [
        False,
        False,
        False,
        False,
        True,
    ]


def test_a_death_a_minute_old_no_longer_counts() -> None:
    restarts = Restarts()
    for now in (0, 10, 20, 30):
        assert restarts.delay_after_crash(now=now, ready_for=0) is not None
    assert restarts.delay_after_crash(now=60, ready_for=0) is not None  # 0 is out of the window
    assert restarts.delay_after_crash(now=61, ready_for=0) is None  # 10, 20, 30, 60, 61
