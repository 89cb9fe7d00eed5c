"""Entity tags: the revision of a resource, which a change may name as the one that it is about."""

from server.core.errors import EtagMismatch


def check_etag(sent: str | None, current: str) -> None:
    """Raises EtagMismatch if the caller has sent the tag of another revision than the current one."""
    if sent is not None and sent != current:
        raise EtagMismatch(metadata={"etag": current})
