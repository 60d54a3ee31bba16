"""What every service stands on. `app.create_service` assembles all of it in one call.

settings, errors, problems   configuration, refusals, and how a client sees them
clock, ids                   the only sources of time and randomness
db                           Database, Transaction: one request or message is one transaction
outbox, relay                an event is a row first; the relay publishes it
topology, consumers, inbox   queues, retries and parking; each event has its effect once
due                          rows that fall due: the row is the job
idempotency                  the same Idempotency-Key, the same answer
auth, crypto, audit          who may, what is sealed, what was done
logs, metrics, tracing, request_id, health   what an operator sees
"""
