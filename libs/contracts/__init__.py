"""The public language of Boxoffice: what one service may say to another.

Events evolve by addition only. A new field is optional with a default; a field is never renamed, retyped or removed. What cannot be
said that way is a new event type with a higher version in its name, published beside the old one until nobody consumes it.
`tests/contracts/snapshots` holds the JSON Schema of every event; a breaking difference fails the tests.

    money      Money, the one table of currencies and exponents
    event      Event, what every event has; Sealed, ciphertext in a field
    booking    what booking publishes
    payment    what payment publishes
    refund     what refund publishes
    catalogue  which service consumes which event: the source of the broker's topology
"""
