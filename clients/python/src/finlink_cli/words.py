"""The closed word lists of the contract. A test compares them with it: reading it would need gRPC."""

from __future__ import annotations

from enum import StrEnum


class Platform(StrEnum):
    FI_MONEY = "fi_money"
    ZERODHA = "zerodha"


class DataType(StrEnum):
    """What a connector may be allowed to fetch, and what its syncs do fetch."""

    TRANSACTIONS = "transactions"
    PORTFOLIO = "portfolio"
    PROFILE = "profile"
    TRADES = "trades"


class ConnectionStatus(StrEnum):
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    ERROR = "error"
    EXPIRED = "expired"


class UserStatus(StrEnum):
    ACTIVE = "active"
    INACTIVE = "inactive"
    SUSPENDED = "suspended"


class RiskTolerance(StrEnum):
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class ProfileField(StrEnum):
    """Fields of a profile that can be removed."""

    FIRST_NAME = "first-name"
    LAST_NAME = "last-name"
    DATE_OF_BIRTH = "date-of-birth"
    PHONE_NUMBER = "phone-number"
    CITY = "city"
    COUNTRY = "country"
    INCOME = "income"
    RISK_TOLERANCE = "risk-tolerance"


class Preference(StrEnum):
    """Preferences that have a default to go back to."""

    CURRENCY = "currency"
    LANGUAGE = "language"
    NOTIFICATIONS = "notifications"


class MetadataField(StrEnum):
    """Fields of a user's metadata that can be removed."""

    SOURCE = "source"
    REFERRAL_CODE = "referral-code"
    TAGS = "tags"
