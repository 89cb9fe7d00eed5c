"""Entity tags: the revision of a resource, which a change may name as the one that it is about."""

from server.core.errors import EtagMismatch


def revision_of(etag: str | None) -> str | None:
    """The part of an entity tag that is the resource's own revision.

    After a `-` comes the state of what is shown beside it, as the other leg of a transfer: a reply that has
    another one is another reply, but a change of the resource itself may go on.
    """
    return None if etag is None else etag.partition("-")[0]


def check_etag(sent: str | None, current: str) -> None:
    """Raises EtagMismatch if the caller has sent the tag of another revision than the current one."""
    if sent is not None and sent != current:
        raise EtagMismatch(metadata={"etag": current})
