"""Takes the money for a booking, and gives it back. The only service that knows a payment provider, its keys and its webhooks.

Owns: payments, the attempts made at the provider, refunds and disputes as the provider sees them, the ledger, the account at the
    provider, what the provider's webhooks said, the declines, and the reviews of payments that a person must look at (`fraud` has the
    rules, `holds` looks at them, `reviews` decides).
Publishes (payment.events): PaymentAuthorized, PaymentSucceeded, PaymentAttemptFailed, PaymentFailed, PaymentHeldForReview, PaymentVoided,
    PaymentRefunded, PaymentRefundPending, PaymentRefundBlocked, PaymentRefundFailed, PaymentRefundRejected, PaymentRefundedOutside,
    DisputeOpened, DisputeClosed, BalanceRead.
Consumes: BookingPlaced, SeatsSecured, SeatsUnavailable, BookingExpired, BookingCancelled from booking, RefundApproved,
    RefundSettledManually from refund.
"""
