"""`boxoffice watch`: looks at a running Boxoffice from outside on a schedule, and shows what it found to Prometheus.

settings    when and where it looks: variables that begin with WATCH_
metrics     what it shows
verifying   runs `boxoffice verify`, in a process of its own
canary      books, pays, cancels and is refunded, as a customer would
expiry      when certificates and keys end
run         all of it, until it is told to stop
"""
