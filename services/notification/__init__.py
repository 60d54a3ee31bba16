"""Tells people and systems what happened: mails to the buyer and to staff, signed webhooks to CRM systems.

owns       bookings (what a mail needs to know), moved_events, messages, surveys, webhook_endpoints,
           webhook_deliveries
publishes  nothing
consumes   BookingPlaced BookingConfirmed BookingExpired BookingCancelled TicketsCancelled EventRescheduled
           PaymentAttemptFailed PaymentFailed PaymentHeldForReview PaymentVoided DisputeOpened DisputeClosed
           RefundCompleted RefundFailed RefundDeclined RefundAwaitingApproval RefundSettledManually
           RefundCampaignStarted RefundCampaignFinished

    domain     which mails there are, statuses, transitions, retry schedules, refund cut-offs: pure; addresses: which are public
    service    one function for each event about a booking: the facts, the mail and the webhooks that follow from it
    moves      moved events, and the sweep that writes to their bookings; staff: what only staff are written to about
    webhooks   endpoints and deliveries; payloads: what a CRM is told; guard: where a webhook may go; crm: the call
    stories    what a mail may tell; letters: its text and page, words: what they say in each language, rules: why nothing goes back,
               notices: those to staff, shown: amounts and times; composer: the whole message
    outgoing   mails as rows; smtp: the call
    surveys    one question after the event and after a refund: begun, asked, answered; survey_rules: who and when, pure; survey_api:
               their routes; survey_watch: what is measured
    jobs       the sweeps that send mails and webhooks
"""
