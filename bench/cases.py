"""The cases: their contestants, and their targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Figure = Literal["rate", "p99"]


@dataclass(frozen=True)
class Entrant:
    """A contestant of a case: a stack, and what is asked of it."""

    name: str
    stack: str
    path: str  # a path of wrk.lua, or a gRPC method
    caches_responses: bool = False  # so that a hot set is one that it has been asked for
    headers: tuple[str, ...] = ()  # of each request, as `name: value`


@dataclass(frozen=True)
class Case:
    """One kind of load, sent to each entrant in turn."""

    name: str
    title: str
    entrants: tuple[Entrant, ...]
    grpc: bool = False
    writes: bool = False  # one in a hundred, with staleness checked
    warm_up: float = 2.0  # seconds
    sweep: float = 0.0  # seconds before those, for contestants that cache


@dataclass(frozen=True)
class Row:
    """A ratio of Finlink over another entrant, and what it should be."""

    case: str
    over: str
    figure: Figure
    at_least: float | None  # of `p99`: at most; None where nothing is asked for
    aim: float | None
    title: str

    @property
    def less_is_better(self) -> bool:
        return self.figure == "p99"


def _rest(case: str, *stacks: str) -> tuple[Entrant, ...]:
    return tuple(Entrant(stack, stack, case, caches_responses=stack == FINLINK) for stack in stacks)


FINLINK = "finlink"
NOOP = "noop"
ONE_PROCESS = ("express-1", "fastapi-1")
TWO_WORKERS = ("express-2", "fastapi-2")
_GET_USER = "/finlink.users.v1.UserService/GetUser"

CASES: tuple[Case, ...] = (
    Case(
        "hot-user",
        "REST GET user, hot set (Zipf over 10,000), 1 % writes",
        (
            *_rest("hot-user", FINLINK),
            Entrant(NOOP, FINLINK, "noop"),
            *_rest("hot-user", *ONE_PROCESS, *TWO_WORKERS),
        ),
        writes=True,
        warm_up=4.0,
        sweep=14.0,
    ),
    Case(
        "uniform-user",
        "REST GET user, uniform over all users, cache cold",
        _rest("uniform-user", FINLINK, *ONE_PROCESS),
    ),
    Case(
        "post-user",
        "REST POST user; Finlink's with its audit entry, the others' without",
        _rest("post-user", FINLINK, *ONE_PROCESS),
    ),
    Case(
        "connectors",
        "REST GET connectors of a user, hot set",
        _rest("connectors", FINLINK, *ONE_PROCESS),
        warm_up=4.0,
        sweep=14.0,
    ),
    Case(
        "grpc-user",
        "gRPC GetUser, hot set",
        (
            Entrant(FINLINK, FINLINK, _GET_USER),
            Entrant(NOOP, FINLINK, "/bench.v1.NoopService/Noop"),
            Entrant("grpc-go", "grpc-go", _GET_USER),
        ),
        grpc=True,
    ),
)


def _over(case: str, others: tuple[str, ...], at_least: float, aim: float, title: str) -> list[Row]:
    return [Row(case, other, "rate", at_least, aim, f"{title} over {other}") for other in others]


ROWS: tuple[Row, ...] = (
    *_over("hot-user", (NOOP,), 0.80, 0.95, "GET user, hot:"),
    *_over("hot-user", ONE_PROCESS, 2.0, 3.0, "GET user, hot:"),
    *(
        Row("hot-user", other, "p99", 0.4, 0.25, f"GET user, hot: p99 over {other}")
        for other in ONE_PROCESS
    ),
    *_over("hot-user", TWO_WORKERS, 1.2, 1.6, "GET user, hot:"),
    *_over("uniform-user", ONE_PROCESS, 1.3, 2.0, "GET user, uniform:"),
    *_over("post-user", ONE_PROCESS, 1.0, 1.5, "POST user:"),
    *_over("connectors", ONE_PROCESS, 2.0, 2.5, "GET connectors of a user:"),
    *_over("grpc-user", (NOOP,), 0.85, 0.95, "gRPC GetUser, hot:"),
    # Nothing is asked of this one; it shows where the field's fastest stack stands.
    Row("grpc-user", "grpc-go", "rate", None, None, "gRPC GetUser, hot: over grpc-go"),
)


def named(names: list[str]) -> list[Case]:
    """The cases asked for, all of them for an empty list. Raises ValueError with an unknown name."""
    known = {case.name: case for case in CASES}
    for name in names:
        if name not in known:
            raise ValueError(f"no case {name}; there are {', '.join(known)}")
    return [case for case in CASES if not names or case.name in names]
