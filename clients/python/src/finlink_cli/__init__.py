"""The command line `finlink`, for people and for pipes. It uses finlink_client, and nothing of the server.

Modules import gRPC and the contract's messages in the functions that call: help and completion are
there at once.
"""
