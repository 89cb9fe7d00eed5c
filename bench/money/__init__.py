"""`bench money`: a user with 100,000 transactions, among a million of others."""
