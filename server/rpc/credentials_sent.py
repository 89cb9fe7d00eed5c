"""The credentials of users as callers send them."""

import re

_BEARER = re.compile(r"[Bb]earer +([\x21-\x7e]+) *")


def bearer_token(authorization: str) -> str | None:
    """The access token of an `authorization` header; None if it is of another form."""
    form = _BEARER.fullmatch(authorization)
    return form[1] if form else None
