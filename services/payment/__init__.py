"""Takes the money for a booking, and gives it back. The only service that knows a payment provider, its keys and its webhooks.

Owns: payments, the attempts made at the provider, refunds and disputes as the provider sees them, the ledger, the account at the
    provider, and what the provider's webhooks said.
Publishes (payment.events): PaymentAuthorized, PaymentSucceeded, PaymentAttemptFailed, PaymentFailed, PaymentVoided, PaymentRefunded,
    PaymentRefundPending, PaymentRefundBlocked, PaymentRefundFailed, PaymentRefundRejected, PaymentRefundedOutside, DisputeOpened,
    DisputeClosed, BalanceRead.
Consumes: BookingPlaced, SeatsSecured, SeatsUnavailable, BookingExpired, BookingCancelled from booking, RefundApproved,
    RefundSettledManually from refund.
"""
