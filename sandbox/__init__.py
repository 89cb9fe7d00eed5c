"""Stand-ins for Zerodha and Fi Money that speak their wire protocols over invented data."""
