"""Money, wired."""

from collections.abc import Sequence
from functools import partial

from finlink.money.v1 import rate_service_pb2, rate_service_pb2_grpc

from server.domains.money.rates import store as rate_store
from server.domains.money.rates.loading import LOOK_SECONDS, RateLoading
from server.domains.money.rates.service import RateService
from server.domains.money.rates.servicer import RateServicer
from server.domains.money.rates.store import RateStore
from server.domains.money.settings import MoneySettings
from server.kernel import Domain, Kernel, Parts
from server.storage.background import Background


def build(kernel: Kernel, _: Sequence[Parts]) -> Parts:
    settings = kernel.settings.of(MoneySettings)
    rate_table = RateStore(kernel.database)
    rates = RateService(kernel.changes, rate_table, kernel.users, kernel.clock)
    loading = RateLoading(
        kernel.changes, rate_table, kernel.leases, kernel.clock,
        settings.exchange_rates_file, settings.exchange_rates_url,
    )  # fmt: skip
    return Parts(
        register=partial(
            rate_service_pb2_grpc.add_RateServiceServicer_to_server, RateServicer(rates)
        ),
        background=[Background("load exchange rates", loading.load_due, LOOK_SECONDS)],
    )


DOMAIN = Domain(
    contract=[rate_service_pb2.DESCRIPTOR],
    build=build,
    indexes=lambda _: rate_store.INDEXES,
)
