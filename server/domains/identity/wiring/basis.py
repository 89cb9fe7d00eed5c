"""The objects that ways to sign in share, each made when it is first asked for."""

from datetime import timedelta
from functools import cached_property

from server.domains.identity.credentials.accounts.store import AccountStore
from server.domains.identity.credentials.challenges.store import ChallengeStore
from server.domains.identity.credentials.lockout.addresses import AddressGuard
from server.domains.identity.credentials.lockout.devices import DeviceTokens
from server.domains.identity.credentials.lockout.known import KnownCallers
from server.domains.identity.credentials.lockout.service import Lockout, SecondFactorLockout
from server.domains.identity.credentials.lockout.store import LoginFailureStore
from server.domains.identity.credentials.notices import Notices
from server.domains.identity.credentials.passwords.hashing import PasswordHashing
from server.domains.identity.credentials.passwords.policy import PasswordPolicy
from server.domains.identity.credentials.passwords.scheme import PasswordScheme
from server.domains.identity.recovery.mails import Mails
from server.domains.identity.recovery.store import MailCountStore, TokenStore
from server.domains.identity.sessions.activity import ActivityCount
from server.domains.identity.sessions.refresh_tokens import RefreshTokens
from server.domains.identity.sessions.refreshing import SessionRefresher
from server.domains.identity.sessions.service import SessionService
from server.domains.identity.sessions.store import SessionStore
from server.domains.identity.sessions.use import SessionUse
from server.domains.identity.settings import IdentitySettings
from server.domains.identity.signin.completion import Completion
from server.domains.identity.signin.cookies import Cookies
from server.domains.identity.signin.notices import ReuseMails
from server.domains.identity.signin.opening import Opening
from server.domains.identity.signin.owners import SessionOwners
from server.domains.identity.signin.sign_ins import UserSignIns
from server.domains.identity.tokens.access_tokens import TokenForm
from server.domains.identity.tokens.key_rotation import KeyRotation
from server.domains.identity.tokens.revocations import Revocations, RevocationWriter
from server.domains.identity.tokens.service import AccessTokens
from server.domains.identity.tokens.session_revocations import SessionRevocations
from server.domains.identity.tokens.signing_keys import SharedSecret, SigningKeys, StoredKeys
from server.domains.identity.tokens.store import RevocationStore, SigningKeyStore
from server.edge.settings import EdgeSettings
from server.kernel import Kernel

# Keyed secrets.
REFRESH = "refresh tokens"
PEPPER = "password pepper"
DEVICES = "device tokens"
FAILURES = "names of failed logins"
MAIL_TOKENS = "tokens of mails"
CHALLENGES = "challenges of logins"
TOTP = "secrets of authenticator apps"
SMS_COUNTS = "counts of SMS"
SECRETS = (REFRESH, PEPPER, DEVICES, FAILURES, MAIL_TOKENS, CHALLENGES, TOTP, SMS_COUNTS)


class Basis:
    """The parts that ways to sign in share: tokens, sessions, accounts, passwords, counts."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._settings = kernel.settings.of(IdentitySettings)
        self._edge = kernel.settings.of(EdgeSettings)
        self._changes, self._users, self._clock = kernel.changes, kernel.users, kernel.clock
        self._outbox = kernel.outbox
        self.origin = self._settings.origin(self._edge.port)
        self.mails = Mails(self.origin)
        self.notices = Notices(self._outbox, self._clock)
        self.accounts = AccountStore(kernel.database)
        self.session_documents = SessionStore(kernel.database)
        self.challenges = ChallengeStore(kernel.database, self._secret(CHALLENGES))
        self.mail_tokens = TokenStore(kernel.database, self._secret(MAIL_TOKENS))
        self.mail_counts = MailCountStore(kernel.database, self._secret(MAIL_TOKENS))
        self.devices = DeviceTokens(self._secret(DEVICES))
        self.cookies = Cookies(secure=self.origin.startswith("https://"))

    def _secret(self, name: str) -> bytes:
        return self._kernel.secrets.of_domains[name]

    @cached_property
    def revoke(self) -> RevocationWriter:
        return revocation_writer(self._kernel)

    @cached_property
    def tokens(self) -> AccessTokens:
        return access_tokens(self._kernel)

    @cached_property
    def refresh_tokens(self) -> RefreshTokens:
        shared = self._settings.jwt_secret
        return RefreshTokens(
            self._secret(REFRESH), shared.get_secret_value().encode() if shared else None
        )

    @cached_property
    def sessions(self) -> SessionService:
        return SessionService(
            self._changes, self.session_documents, self.refresh_tokens, SessionOwners(self._users),
            SessionRevocations(self.revoke), self._settings, self._clock,
        )  # fmt: skip

    @cached_property
    def refresher(self) -> SessionRefresher:
        notices = ReuseMails(self._users, self.notices, self.mails)
        return SessionRefresher(
            self._changes, self.session_documents, self.refresh_tokens, self.sessions, notices,
            self._settings, self._clock,
        )  # fmt: skip

    @cached_property
    def use(self) -> SessionUse:
        return SessionUse(self.session_documents, self.accounts, self._clock)

    @cached_property
    def activity(self) -> ActivityCount:
        return ActivityCount(
            self.session_documents, self.accounts, self._kernel.leases, self._clock
        )

    @cached_property
    def hashing(self) -> PasswordHashing:
        return PasswordHashing(
            PasswordScheme({"1": self._secret(PEPPER)}, "1", self._settings.bcrypt_rounds),
            PasswordPolicy(self._settings.password_min_length),
            hashers=self._settings.password_hashers,
        )

    @cached_property
    def failures(self) -> LoginFailureStore:
        return LoginFailureStore(self._kernel.database, self._secret(FAILURES))

    @cached_property
    def addresses(self) -> AddressGuard:
        return AddressGuard(self.failures, self._changes, self._clock)

    @cached_property
    def lockout(self) -> Lockout:
        return Lockout(self.failures, self.addresses, self._changes, self._clock)

    @cached_property
    def known(self) -> KnownCallers:
        return KnownCallers(self._users, self.accounts, self.devices, self.addresses)

    @cached_property
    def second_factor_lockout(self) -> SecondFactorLockout:
        return SecondFactorLockout(self.failures, self._changes, self._clock)

    @cached_property
    def opening(self) -> Opening:
        return Opening(self.tokens, self.devices, self.use, self._clock)

    @cached_property
    def completion(self) -> Completion:
        return Completion(
            self._changes, self._users, self.accounts, self.sessions, self.challenges, self.opening,
            self._clock,
        )  # fmt: skip

    @cached_property
    def sign_ins(self) -> UserSignIns:
        origins = [self.origin, *self._edge.cors_origins]
        return UserSignIns(self.tokens, self.sessions, self.cookies, self.use, origins, self._clock)


def revocation_writer(kernel: Kernel) -> RevocationWriter:
    life = kernel.settings.of(IdentitySettings).token_life
    return RevocationWriter(
        RevocationStore(kernel.database), kernel.generations, life, kernel.clock
    )


def access_tokens(kernel: Kernel) -> AccessTokens:
    settings = kernel.settings.of(IdentitySettings)
    origin = settings.origin(kernel.settings.of(EdgeSettings).port)
    form = TokenForm(origin, settings.jwt_audience, settings.token_life)
    revocations = Revocations(RevocationStore(kernel.database), kernel.generations, kernel.clock)
    keys = _signing_keys(kernel, settings, revocations)
    return AccessTokens(form, keys, revocations, settings.algorithm, kernel.clock)


def _signing_keys(
    kernel: Kernel, settings: IdentitySettings, revocations: Revocations
) -> SigningKeys:
    algorithm = settings.algorithm
    if algorithm == "HS256" and settings.jwt_secret is not None:
        return SharedSecret(settings.jwt_secret.get_secret_value().encode())
    store = SigningKeyStore(kernel.database, kernel.ring)
    return StoredKeys(
        store,
        KeyRotation(store, revocation_writer(kernel), kernel.changes, algorithm, kernel.clock),
        kernel.clock,
        algorithm=algorithm,
        rotate_after=timedelta(days=settings.signing_key_days),
        token_life=settings.token_life,
        is_dropped=revocations.has_key,
    )
