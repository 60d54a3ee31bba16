"""How much the running stack takes: `python -m sandbox.bench`.

Everything goes through the gateway, as buyers come. A closed loop finds the capacity, an open loop at 60 % of it the latency, and a
rush of buyers what a sold-out sale does. A rate counts only when `boxoffice verify` finds no difference afterwards.
"""
