"""Identity, wired."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from finlink.identity.v1 import (
    auth_service_pb2,
    auth_service_pb2_grpc,
    key_service_pb2,
    key_service_pb2_grpc,
    me_service_pb2,
    me_service_pb2_grpc,
    user_admin_service_pb2,
    user_admin_service_pb2_grpc,
)

from server.domains.identity.accounts import store as account_store
from server.domains.identity.accounts.new_passwords import NewPasswords
from server.domains.identity.accounts.store import AccountStore
from server.domains.identity.challenges import store as challenge_store
from server.domains.identity.challenges.store import ChallengeStore
from server.domains.identity.factors.code_limits import HourlyLimit
from server.domains.identity.factors.code_sending import CodeSending, SendingWay
from server.domains.identity.factors.notices import FactorNotices
from server.domains.identity.factors.reauthentication import Reauthentication
from server.domains.identity.factors.removal import FactorRemoval
from server.domains.identity.factors.service import FactorService
from server.domains.identity.factors.solutions import SecondFactors
from server.domains.identity.factors.totp import TotpSecrets
from server.domains.identity.lockout import store as lockout_store
from server.domains.identity.lockout.addresses import AddressGuard
from server.domains.identity.lockout.devices import DeviceTokens
from server.domains.identity.lockout.service import Lockout, SecondFactorLockout
from server.domains.identity.lockout.store import LoginFailureStore
from server.domains.identity.me.service import MeService
from server.domains.identity.me.servicer import MeServicer
from server.domains.identity.passwords.hashing import PasswordHashing
from server.domains.identity.passwords.policy import PasswordPolicy
from server.domains.identity.passwords.scheme import PasswordScheme
from server.domains.identity.recovery.mails import Mails
from server.domains.identity.recovery.model import MAILS_AN_HOUR
from server.domains.identity.recovery.reset import PasswordReset
from server.domains.identity.recovery.store import TokenStore
from server.domains.identity.recovery.verification import EmailVerification
from server.domains.identity.sessions import store as session_store
from server.domains.identity.sessions.refresh_tokens import RefreshTokens
from server.domains.identity.sessions.refreshing import SessionRefresher
from server.domains.identity.sessions.service import SessionService
from server.domains.identity.sessions.store import SessionStore
from server.domains.identity.settings import IdentitySettings
from server.domains.identity.signin import metrics
from server.domains.identity.signin.completion import Completion
from server.domains.identity.signin.cookies import Cookies
from server.domains.identity.signin.dependents import (
    AddressDependents,
    LoginDependents,
    RoleDependents,
)
from server.domains.identity.signin.login import PasswordLogin
from server.domains.identity.signin.notices import ReuseMails
from server.domains.identity.signin.opening import Opening
from server.domains.identity.signin.owners import SessionOwners
from server.domains.identity.signin.registration import Registration
from server.domains.identity.signin.second_factor import SecondFactorLogin
from server.domains.identity.signin.service import SignInService
from server.domains.identity.signin.servicer import AuthServicer
from server.domains.identity.signin.sign_ins import UserSignIns
from server.domains.identity.staff.service import StaffService
from server.domains.identity.staff.servicer import UserAdminServicer
from server.domains.identity.tokens import store as token_store
from server.domains.identity.tokens.access_tokens import TokenForm
from server.domains.identity.tokens.key_rotation import KeyRotation
from server.domains.identity.tokens.revocations import Revocations, RevocationWriter
from server.domains.identity.tokens.service import AccessTokens
from server.domains.identity.tokens.servicer import KeyServicer
from server.domains.identity.tokens.session_revocations import SessionRevocations
from server.domains.identity.tokens.signing_keys import SharedSecret, SigningKeys, StoredKeys
from server.domains.identity.tokens.store import RevocationStore, SigningKeyStore
from server.edge.settings import EdgeSettings
from server.kernel import Domain, Kernel, Parts

# Keyed secrets.
REFRESH = "refresh tokens"
PEPPER = "password pepper"
DEVICES = "device tokens"
FAILURES = "names of failed logins"
MAIL_TOKENS = "tokens of mails"
CHALLENGES = "challenges of logins"
TOTP = "secrets of authenticator apps"


def build(kernel: Kernel, _: Sequence[Parts]) -> Parts:
    settings = kernel.settings.of(IdentitySettings)
    edge = kernel.settings.of(EdgeSettings)
    secrets, changes, users, clock = (
        kernel.secrets.of_domains, kernel.changes, kernel.users, kernel.clock,
    )  # fmt: skip
    origin = settings.origin(edge.port)

    revoke, tokens = revocation_writer(kernel), access_tokens(kernel)
    jwt_secret = settings.jwt_secret.get_secret_value().encode() if settings.jwt_secret else None
    refresh_tokens = RefreshTokens(secrets[REFRESH], jwt_secret)
    session_documents = SessionStore(kernel.database)
    sessions = SessionService(
        changes, session_documents, refresh_tokens, SessionOwners(users), SessionRevocations(revoke),
        settings, clock,
    )  # fmt: skip
    mails = Mails(origin)
    refresher = SessionRefresher(
        changes, session_documents, refresh_tokens, sessions,
        ReuseMails(users, kernel.outbox, mails, clock), settings, clock,
    )  # fmt: skip

    accounts = AccountStore(kernel.database)
    hashing = PasswordHashing(
        PasswordScheme({"1": secrets[PEPPER]}, "1", settings.bcrypt_rounds),
        PasswordPolicy(settings.password_min_length),
        hashers=settings.password_hashers,
    )
    failures = LoginFailureStore(kernel.database, secrets[FAILURES])
    addresses = AddressGuard(failures, changes, clock)
    lockout = Lockout(failures, addresses, changes, clock)
    devices = DeviceTokens(secrets[DEVICES])
    opening = Opening(tokens, devices, clock)
    challenges = ChallengeStore(kernel.database, secrets[CHALLENGES])
    completion = Completion(
        changes, users, accounts, sessions, challenges, opening, clock
    )  # fmt: skip
    totp_secrets, notices = TotpSecrets(secrets[TOTP]), FactorNotices(kernel.outbox, clock)
    second_factor_lockout = SecondFactorLockout(failures, changes, clock)
    removal = FactorRemoval(users, accounts, challenges, second_factor_lockout, notices)
    second_factors = SecondFactors(
        changes, accounts, totp_secrets, second_factor_lockout, notices, clock
    )
    factors = FactorService(
        changes, users, accounts, totp_secrets, second_factors, removal, sessions, notices, clock
    )
    mail_tokens = TokenStore(kernel.database, secrets[MAIL_TOKENS])
    verification = EmailVerification(
        changes, users, accounts, mail_tokens, sessions, removal, kernel.outbox, mails, clock
    )
    reset = PasswordReset(
        changes,
        users,
        accounts,
        mail_tokens,
        hashing,
        sessions,
        lockout,
        removal,
        kernel.outbox,
        mails,
        clock,
    )
    registration = Registration(
        changes, users, accounts, hashing, verification, kernel.outbox, settings
    )
    login = PasswordLogin(
        users, accounts, hashing, lockout, devices, completion,
        needs_verified_email=settings.must_verify_email,
    )  # fmt: skip
    second_factor = SecondFactorLogin(users, accounts, challenges, second_factors, completion)
    hourly = HourlyLimit(challenges, MAILS_AN_HOUR, clock)
    codes = CodeSending(
        changes, users, accounts, challenges, kernel.outbox,
        {
            # The limits of SMS belong here; until there are any, a number gets as many codes as an address.
            "phone": SendingWay("sms", partial(challenges.subject, "phone"), hourly),
            "email": SendingWay("mail", mail_tokens.subject, hourly),
        },
        clock,
    )  # fmt: skip
    reauthentication = Reauthentication(
        changes, users, accounts, challenges, hashing, lockout, second_factors, sessions
    )
    me = MeService(
        changes,
        users,
        accounts,
        challenges,
        hashing,
        lockout,
        sessions,
        kernel.outbox,
        mails,
        clock,
    )
    staff = StaffService(
        changes, users, sessions, reset, lockout, second_factor_lockout, removal, notices
    )
    cookies = Cookies(secure=origin.startswith("https://"))
    sign_ins = UserSignIns(tokens, sessions, cookies, [origin, *edge.cors_origins], clock)
    auth = AuthServicer(
        registration, login, second_factor, SignInService(tokens, sessions, refresher, opening), verification,
        reset, codes, reauthentication, cookies, sign_ins.origins, addresses, devices,
    )  # fmt: skip
    metrics.show_zeros()

    def register(server: Any) -> None:
        auth_service_pb2_grpc.add_AuthServiceServicer_to_server(auth, server)
        me_service_pb2_grpc.add_MeServiceServicer_to_server(MeServicer(me, factors), server)
        user_admin_service_pb2_grpc.add_UserAdminServiceServicer_to_server(
            UserAdminServicer(staff), server
        )
        key_service_pb2_grpc.add_KeyServiceServicer_to_server(KeyServicer(tokens), server)

    return Parts(
        register=register,
        closed=[hashing.stop],
        dependents=[
            LoginDependents(
                accounts,
                sessions,
                revoke,
                mail_tokens,
                lockout,
                second_factor_lockout,
                kernel.outbox,
            ),
            RoleDependents(kernel.database, session_documents, revoke, clock),
            AddressDependents(mail_tokens, kernel.outbox, mails, clock),
        ],
        passwords=NewPasswords(accounts, hashing),
        sign_ins=sign_ins,
    )


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


DOMAIN = Domain(
    contract=[
        auth_service_pb2.DESCRIPTOR, me_service_pb2.DESCRIPTOR, key_service_pb2.DESCRIPTOR,
        user_admin_service_pb2.DESCRIPTOR,
    ],
    build=build,
    indexes=lambda _: {
        **account_store.INDEXES, **session_store.INDEXES, **token_store.INDEXES,
        **lockout_store.INDEXES, **challenge_store.INDEXES,
    },
    secrets=[REFRESH, PEPPER, DEVICES, FAILURES, MAIL_TOKENS, CHALLENGES, TOTP],
)  # fmt: skip
