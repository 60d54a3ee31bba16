"""`boxoffice erase`: what is sealed about a customer is blanked in every service, kept events and given answers included.

Amounts, ids, the ledger and the audit chains stay: they are the legal minimum, and name nobody.

    parts   which columns of which tables, and what stands there afterwards
    run     finds the bookings, says what speaks against it, and blanks
"""
