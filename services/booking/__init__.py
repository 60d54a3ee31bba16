"""Sells the seats of events: holds them, secures them once money is authorized, confirms them once it is captured.

owns       events, ticket_types, bookings, booking_names, tickets, booking_refunds
publishes  BookingPlaced SeatsSecured SeatsUnavailable BookingConfirmed BookingExpired BookingCancelled TicketsCancelled
           EventRescheduled EventCancelled
consumes   PaymentAuthorized PaymentSucceeded PaymentFailed RefundCompleted RefundFailed RefundDeclined RefundSettledManually

    domain       statuses, transitions, which seats a status occupies; prices: what they cost; dates: when an event is: pure
    service      one function for each thing that can be done with a booking; settle: for each that happens to its money
    catalogue    one function for each thing that can be done with an event; ticket_types: with its prices and seats
    cancellation cancels an event and ends its bookings
    seats        the one statement that moves seats
    search       finds bookings although names and addresses rest sealed, and writes them as CSV; words: of which a name consists
    timeline     what happened to one booking; analytics: what was sold
    stream       tells a waiting page that its booking changed
"""
