"""Tells people and systems what happened: mails to the buyer, signed webhooks to CRM systems.

owns       bookings (what a mail needs to know), messages, webhook_endpoints, webhook_deliveries
publishes  nothing
consumes   BookingPlaced BookingConfirmed BookingExpired BookingCancelled PaymentAttemptFailed PaymentVoided
           RefundCompleted RefundFailed RefundDeclined

    domain     statuses, transitions, retry schedules, refund cut-offs, which addresses are public: pure
    service    one function for each event: the facts, the mail and the webhooks that follow from it
    webhooks   endpoints and deliveries; payloads: what a CRM is told; guard: where a webhook may go; crm: the call
    letters    a mail's words from facts; composer: the whole message; outgoing: mails as rows; smtp: the call
    jobs       the sweeps that send both
"""
