"""The bodies that the control API takes, and how it says what is wrong with one."""

from typing import Annotated, Literal, Self, TypeVar

from pydantic import (
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from sandbox.control.calls import EVERY_CALL, EVERY_LOGIN, PlatformAdapter

T = TypeVar("T")


class BadRequestError(Exception):
    """`field` is what the caller has to mend."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


# One name may come without its list.
Calls = Annotated[
    list[str],
    BeforeValidator(lambda given: [given] if isinstance(given, str) else given),
    Field(min_length=1),
]
# Whether the platform has done its part when a call gets stuck or lost.
Moment = Literal["arrival", "reply"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Rule(_Body):
    calls: Calls | None = None
    times: int | None = Field(default=None, ge=1)
    after: int = Field(default=0, ge=0)
    probability: float = Field(default=1.0, gt=0, le=1)


class SessionEnd(_Rule):
    kind: Literal["expired", "revoked"]

    @property
    def at_once(self) -> bool:
        """A rule that does not say at which calls ends what is open now, once."""
        return self.model_fields_set == {"kind"}


class WrongPassword(_Rule):
    kind: Literal["wrong_password"]


class Throttled(_Rule):
    kind: Literal["throttled"]
    retry_after: int | None = Field(default=None, ge=0)


class Unavailable(_Rule):
    kind: Literal["unavailable"]
    status: int = Field(default=503, ge=500, le=599)
    retry_after: int | None = Field(default=None, ge=0)


class NotJson(_Rule):
    kind: Literal["not_json"]
    status: int = Field(default=200, ge=200, le=599)


class Silence(_Rule):
    kind: Literal["hang", "drop"]
    at: Moment = "arrival"


class Partial(_Rule):
    kind: Literal["partial"]
    keep: float = Field(default=0.5, ge=0, lt=1)


class Reshaped(_Rule):
    kind: Literal["wrong_shape", "duplicate_rows"]


class Slow(_Rule):
    kind: Literal["slow"]
    ms: int = Field(ge=1, le=600_000)


Rule = (
    SessionEnd
    | WrongPassword
    | Throttled
    | Unavailable
    | NotJson
    | Silence
    | Partial
    | Reshaped
    | Slow
)
RULES: TypeAdapter[list[Rule]] = TypeAdapter(list[Annotated[Rule, Field(discriminator="kind")]])


class ClockBody(_Body):
    now: AwareDatetime | None = None
    frozen: bool = False
    advance_seconds: float | None = Field(default=None, allow_inf_nan=False)
    real: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = {"now", "advance_seconds", "real"} & self.model_fields_set
        if len(ways) != 1 or getattr(self, ways.copy().pop()) is None:
            raise ValueError("give one of now, advance_seconds and real")
        if self.frozen and self.now is None:
            raise ValueError("frozen goes with now")
        return self


class BreakpointBody(_Body):
    platform: str
    login: str = EVERY_LOGIN
    call: Calls | None = None
    at: Moment = "arrival"
    times: int | None = Field(default=None, ge=1)


class LimitsBody(_Body):
    per_second: int | None = Field(default=None, ge=0)
    concurrent_per_session: int | None = Field(default=None, ge=1)


class DataBody(_Body):
    without: list[str] = []


CLOCK = TypeAdapter(ClockBody)
BREAKPOINT = TypeAdapter(BreakpointBody)
LIMITS = TypeAdapter(dict[str, LimitsBody])
DATA = TypeAdapter(DataBody)


def parse(adapter: TypeAdapter[T], body: bytes) -> T:
    try:
        return adapter.validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadRequestError(_path(first), first["msg"]) from None


def check_calls(rule: Rule, platform: PlatformAdapter, place: str) -> frozenset[str] | None:
    """The calls a rule applies to; None stands for all."""
    if isinstance(rule, WrongPassword):
        if rule.calls is not None:
            raise BadRequestError(f"{place}.calls", "wrong_password is about logins only")
        return frozenset({platform.login_call})
    if isinstance(rule, Partial | Reshaped):
        return known_calls(rule.calls, platform, f"{place}.calls", platform.data_calls)
    return known_calls(rule.calls, platform, f"{place}.calls")


def known_calls(
    names: list[str] | None,
    platform: PlatformAdapter,
    field: str,
    allowed: frozenset[str] | None = None,
) -> frozenset[str] | None:
    """The calls meant by `names`: all data calls unless given; None stands for all there are."""
    if names is None:
        return platform.data_calls
    known = allowed or platform.calls | {EVERY_CALL}
    for name in names:
        if name not in known:
            raise BadRequestError(field, f"{name!r} is none of {', '.join(sorted(known))}")
    return None if EVERY_CALL in names else frozenset(names)


def _path(error: ErrorDetails) -> str:
    """Where in the body the error is, such as `[0].retry_after`."""
    place = list(error["loc"])
    if len(place) > 1 and isinstance(place[0], int):
        del place[1]  # pydantic names the kind of the rule here, which the body does not
    if error["type"].startswith("union_tag"):
        place.append("kind")
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return path.removeprefix(".") or "body"
