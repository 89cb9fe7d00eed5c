"""Whether a call with a cookie comes from a page that may make it, not from one that only has a visitor.

Browsers say where a call comes from, and pages cannot change what they say. The content type is no help:
Envoy writes its own, and takes a body of any.
"""

from collections.abc import Collection

from server.core.errors import CsrfRefused
from server.rpc.call import Call

_OWN = {"same-origin", "none"}  # `none`: the user has typed the address


def check_same_site(call: Call, origins: Collection[str]) -> None:
    """Raises CsrfRefused. `origins` are those of pages that may call, as browsers send them."""
    sent = call.metadata
    if sent.get("sec-fetch-site") in _OWN:
        return
    origin = sent.get("origin")
    if origin is not None:
        if origin not in origins:
            raise CsrfRefused
    elif "sec-fetch-site" in sent or "x-requested-with" not in sent:
        raise CsrfRefused  # a page of another site cannot set this header without being asked
