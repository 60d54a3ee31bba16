"""`boxoffice verify`: reads the four databases, the broker, the provider, the mailbox and the CRM, and tells every difference.

    report     a difference, and the table of what was checked
    records    what is read, as plain data
    reading    how databases are read: one snapshot each, merged booking by booking
    outside    how provider, broker, mailbox and CRM are read
    money      the ledger, and paid means ticket or money back
    provider   our payments and refunds against the provider's
    seats      counters against a recount
    messages   events published, consumed once, without gaps
    people     mails and CRM deliveries against what happened
    trust      audit chain, privileges, leaks, settings
    run        all of it, once or until it is settled
    selftest   plants corruptions and must find each

A check is a function from what was read to differences: no clock, no database. In live mode a difference is told only where a second
look finds it again, and what is on its way is given time.
"""
