"""A stand-in for Stripe on a laptop: the API version pinned by the SDK, its test cards, its webhooks, and faults on demand.

What it reproduces was read in Stripe's documentation and in the SDK's generated types; nothing was compared with Stripe itself.
See README.md beside this file.
"""
