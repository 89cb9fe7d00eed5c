"""The ways to sign in, and what users and staff do about them."""

from functools import cached_property

from server.delivery.settings import DeliverySettings
from server.domains.identity.credentials.factors.code_limits import HourlyLimit
from server.domains.identity.credentials.factors.code_sending import CodeSending
from server.domains.identity.credentials.factors.reauthentication import Reauthentication
from server.domains.identity.credentials.factors.removal import FactorRemoval
from server.domains.identity.credentials.factors.service import FactorService
from server.domains.identity.credentials.factors.solutions import SecondFactors
from server.domains.identity.credentials.factors.totp import TotpSecrets
from server.domains.identity.credentials.phones.change import PhoneChange
from server.domains.identity.credentials.phones.codes import PhoneCodes
from server.domains.identity.credentials.phones.limits import SmsLimits
from server.domains.identity.credentials.phones.owners import PhoneOwners
from server.domains.identity.credentials.phones.store import SmsCountStore
from server.domains.identity.external.client import ProviderClient
from server.domains.identity.external.links import ExternalLinks
from server.domains.identity.external.service import ExternalLogins
from server.domains.identity.management.auth.servicer import AuthServicer
from server.domains.identity.management.me.service import MeService
from server.domains.identity.management.staff.service import StaffService
from server.domains.identity.recovery.address import EmailChange
from server.domains.identity.recovery.model import MAILS_AN_HOUR
from server.domains.identity.recovery.reset import PasswordReset
from server.domains.identity.recovery.verification import EmailVerification
from server.domains.identity.signin.dependents import (
    AddressDependents,
    LoginDependents,
    RoleDependents,
)
from server.domains.identity.signin.former_owner import FormerOwnerLogin
from server.domains.identity.signin.login import PasswordLogin
from server.domains.identity.signin.phone_login import PhoneLogin
from server.domains.identity.signin.phone_registration import PhoneRegistration
from server.domains.identity.signin.registration import Registration
from server.domains.identity.signin.second_factor import SecondFactorLogin
from server.domains.identity.signin.service import SignInService
from server.domains.identity.wiring.basis import SMS_COUNTS, TOTP, Basis
from server.kernel import UserDependents


class Wiring(Basis):
    """The ways to sign in, and what users and staff do about them."""

    @cached_property
    def _totp_secrets(self) -> TotpSecrets:
        return TotpSecrets(self._secret(TOTP))

    @cached_property
    def _removal(self) -> FactorRemoval:
        return FactorRemoval(
            self._users, self.accounts, self.challenges, self.second_factor_lockout,
            self.notices,
        )  # fmt: skip

    @cached_property
    def _second_factors(self) -> SecondFactors:
        return SecondFactors(
            self._changes, self.accounts, self._totp_secrets, self.second_factor_lockout,
            self.notices, self._clock,
        )  # fmt: skip

    @cached_property
    def factors(self) -> FactorService:
        return FactorService(
            self._changes, self._users, self.accounts, self._totp_secrets, self._second_factors,
            self._removal, self.sessions, self.notices, self._clock,
        )  # fmt: skip

    @cached_property
    def verification(self) -> EmailVerification:
        return EmailVerification(
            self._changes, self._users, self.accounts, self.mail_tokens, self.mail_counts, self.sessions,
            self._removal, self._outbox, self.mails, self._clock,
        )  # fmt: skip

    @cached_property
    def reset(self) -> PasswordReset:
        return PasswordReset(
            self._changes, self._users, self.accounts, self.mail_tokens, self.mail_counts, self.hashing,
            self.sessions, self.lockout, self._removal, self._outbox, self.notices, self.mails,
            self._clock,
        )  # fmt: skip

    @cached_property
    def email_change(self) -> EmailChange:
        return EmailChange(
            self._changes, self._users, self.sessions, self.mail_tokens, self.mail_counts, self._outbox,
            self.mails,
            self._clock,
        )  # fmt: skip

    @cached_property
    def _registration(self) -> Registration:
        return Registration(
            self._changes, self._users, self.accounts, self.hashing, self.verification, self._outbox,
            self._settings,
        )  # fmt: skip

    @cached_property
    def _phone_owners(self) -> PhoneOwners:
        return PhoneOwners(self._users, self.accounts, self.notices, self._clock)

    @cached_property
    def _phone_codes(self) -> PhoneCodes:
        settings = self._kernel.settings.of(DeliverySettings)
        counts = SmsCountStore(self._kernel.database, self._secret(SMS_COUNTS))
        limits = SmsLimits(counts, self._clock, settings.sms_per_hour)
        countries = frozenset(settings.sms_countries)
        return PhoneCodes(
            self._changes, self.challenges, limits, self._outbox, countries, self._clock
        )

    @cached_property
    def phone_change(self) -> PhoneChange:
        return PhoneChange(
            self._changes, self._users, self._phone_owners, self._phone_codes, self._outbox,
            self.sessions,
        )  # fmt: skip

    @cached_property
    def _phone_registration(self) -> PhoneRegistration:
        return PhoneRegistration(
            self._users, self._phone_owners, self.challenges, self.completion,
            is_open=self._settings.registration == "open",
        )  # fmt: skip

    @cached_property
    def _phone_login(self) -> PhoneLogin:
        return PhoneLogin(
            self._changes, self.accounts, self._phone_owners, self._phone_codes, self.challenges,
            self._phone_registration, self.completion, self._clock,
        )  # fmt: skip

    @cached_property
    def _former_owner(self) -> FormerOwnerLogin:
        return FormerOwnerLogin(
            self.accounts, self._phone_owners, self.challenges, self._phone_registration,
            self.completion, self._clock,
        )  # fmt: skip

    @cached_property
    def _password_login(self) -> PasswordLogin:
        return PasswordLogin(
            self._users, self.accounts, self._phone_owners, self.hashing, self.lockout, self.known,
            self.completion, needs_verified_email=self._settings.must_verify_email,
        )  # fmt: skip

    @cached_property
    def links(self) -> ExternalLinks:
        return ExternalLinks(
            self._changes, self._users, self.accounts, self.sessions, self.verification, self._outbox,
            self.notices, self.mails, is_open=self._settings.registration == "open",
            providers=frozenset(self._settings.oidc_providers),
        )  # fmt: skip

    @cached_property
    def external(self) -> ExternalLogins:
        clients = [ProviderClient(each, self._clock) for each in self._settings.providers]
        return ExternalLogins(
            clients, self.challenges, self._changes, self._users, self.links, self.completion,
            self._clock,
        )  # fmt: skip

    @cached_property
    def _codes(self) -> CodeSending:
        hourly = HourlyLimit(self.challenges, MAILS_AN_HOUR, self._clock)
        return CodeSending(
            self._changes, self._users, self.accounts, self.challenges, self._outbox,
            self._phone_codes, self.mail_tokens.subject, hourly, self._clock,
        )  # fmt: skip

    @cached_property
    def _reauthentication(self) -> Reauthentication:
        return Reauthentication(
            self._changes, self._users, self.accounts, self.challenges, self.hashing, self.lockout,
            self._second_factors, self.sessions,
        )  # fmt: skip

    @cached_property
    def me(self) -> MeService:
        return MeService(
            self._changes, self._users, self.accounts, self.hashing, self.lockout, self.sessions,
            self.mail_tokens, self.notices, self.mails, self._clock,
        )  # fmt: skip

    @cached_property
    def staff(self) -> StaffService:
        return StaffService(
            self._changes, self._users, self.accounts, self.sessions, self.reset, self.lockout,
            self.second_factor_lockout, self._removal, self.notices,
        )  # fmt: skip

    @cached_property
    def auth(self) -> AuthServicer:
        second_factor = SecondFactorLogin(
            self._users, self.accounts, self.challenges, self._second_factors, self.completion
        )
        service = SignInService(self.tokens, self.sessions, self.refresher, self.opening)
        return AuthServicer(
            self._registration, self._password_login, self._phone_login, self._former_owner,
            second_factor, service, self.verification, self.reset, self._codes,
            self._reauthentication, self.cookies, self.sign_ins.origins, self.known, self.external,
        )  # fmt: skip

    @cached_property
    def dependents(self) -> tuple[UserDependents, ...]:
        logins = LoginDependents(
            self.accounts, self.sessions, self.revoke, self.mail_tokens, self.lockout,
            self.second_factor_lockout, self._outbox,
        )  # fmt: skip
        roles = RoleDependents(
            self._kernel.database, self.session_documents, self.revoke, self._clock
        )
        return (
            logins,
            roles,
            AddressDependents(self.mail_tokens, self.notices, self.mails),
        )
