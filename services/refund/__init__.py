"""Refund decides what goes back to a buyer, and why.

Owns        its own copy of what was booked and paid, and the refunds with the trace of each decision
Publishes   RefundApproved (payment then moves the money), RefundCompleted, RefundFailed, RefundDeclined
Consumes    BookingPlaced, BookingConfirmed, BookingCancelled, SeatsUnavailable, PaymentSucceeded, PaymentRefunded,
            PaymentRefundFailed, PaymentRefundRejected

It calls no provider and writes no balance: payment alone does.
"""
