"""Refund decides what goes back to a buyer, and why.

Owns        its own copy of what was booked and paid, the refunds with the trace of each decision, the organisation's policies,
            where events were moved to, the campaigns of cancelled events, and what the provider's balance was when it was last read
Publishes   RefundApproved (payment then moves the money), RefundAwaitingApproval, RefundCompleted, RefundFailed, RefundDeclined,
            RefundSettledManually, RefundCampaignStarted, RefundCampaignFinished
Consumes    of booking: BookingPlaced, BookingConfirmed, BookingCancelled, TicketsCancelled, SeatsUnavailable, EventRescheduled,
            EventCancelled; of payment: PaymentSucceeded, PaymentRefunded, PaymentRefundPending, PaymentRefundFailed,
            PaymentRefundRejected, PaymentRefundBlocked, PaymentRefundedOutside, DisputeOpened, DisputeClosed, BalanceRead

    domain     statuses, transitions, and the decision; policy, shares, limits: the rules that it stands on; words, iban: pure too
    service    the facts of bookings, and the decision when tickets were given back or a booking is over
    cases      from what is written to what the domain decides; recording: from the decision to the refund and its event
    staff      what people do: ask, approve, decline, try again, settle by hand; policies: versions of named policies
    outcomes   what payment says became of a refund
    campaign   a cancelled event's bookings as items; campaign_run: refunds them at a pace; campaign_rules: what is shown of it, pure;
               campaign_reads, campaign_report, campaign_stream: progress, items, CSV
    lists      refunds as pages and as files; analytics, timeline: figures, and what happened to one of them
    reads      quotes and refunds; status, page: "where is my money"; watch: what has no outcome

It calls no provider and writes no balance: payment alone does.
"""
