"""Moves what a stream has brought into the account that has taken the stream over."""

from msgspec.structs import replace

from server.domains.money.posting.model import SOURCE, Stream
from server.domains.money.posting.store import OriginStore
from server.domains.money.posting.takeovers import LONGEST, takeovers
from server.domains.money.transactions.model import Origin, Transaction
from server.domains.money.transactions.walks.store import TransactionWalks
from server.domains.money.transactions.work import Work

LIMIT = 200


class Moving:
    """Driver errors pass through."""

    def __init__(self, walks: TransactionWalks, origins: OriginStore) -> None:
        self._walks = walks
        self._origins = origins

    async def move_some(self, work: Work, stream: Stream) -> bool:
        """Move some rows; False once there are no more.

        A row takes over what the user has typed into the account, as rows do when they come.
        """
        change, source = work.change, Origin(SOURCE, stream.connector_id)
        before, account_id = stream.moves_from, stream.account_id
        if before is None or account_id is None:
            return False
        # Those that have moved are not there any more, so the first ones are the next; what the user
        # typed into the account that is left stays there, and is passed over.
        found: list[Transaction] = []
        after = None
        while len(found) < LIMIT:
            some = await self._walks.some(
                change.owner, after, LIMIT, change.box, change.resolved, change.session, before
            )
            found += [each for each in some if source in each.origins]
            if len(some) < LIMIT:
                break
            after = (some[-1].day, some[-1].id)
        found = found[:LIMIT]
        if not found:
            return False
        await work.load(each.id for each in found)
        known = await self._walks.between(
            change.owner, found[0].day - LONGEST, found[-1].day + LONGEST, change.box,
            change.resolved, change.session, [account_id],
        )  # fmt: skip
        work.adopt(known)
        taken = takeovers([(each.id, each.signed, each.day) for each in found], known, SOURCE)
        for each in found:
            one = work.get(each.id)
            typed = taken.get(each.id)
            other = work.other(one)
            if typed is None and (other is None or other.account_id != account_id):
                work.replace(
                    replace(one, account_id=account_id, rev=change.rev, updated_at=work.now)
                )
                continue
            if typed is None:  # the other leg is there: a transfer within one account is none
                work.replace(
                    replace(one.alone(), account_id=account_id, rev=change.rev, updated_at=work.now)
                )
                if other is not None:
                    work.replace(replace(other.alone(), rev=change.rev, updated_at=work.now))
                continue
            if other is not None:
                work.replace(replace(other.alone(), rev=change.rev, updated_at=work.now))
            work.bury(work.get(one.id))
            linked = replace(
                work.get(typed.id),
                origins=(*typed.origins, source),
                bank_text=one.bank_text or typed.bank_text,
                rev=change.rev,
                updated_at=work.now,
            )
            work.replace(linked)
            await self._origins.replace(change.owner, one.id, typed.id, change.session)
        return True
