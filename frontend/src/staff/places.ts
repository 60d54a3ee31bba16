import type { ComponentType } from "react";
import { BookingPage } from "./bookings/BookingPage";
import { Bookings } from "./bookings/Bookings";
import { Deliveries } from "./crm/Deliveries";
import { Endpoints } from "./crm/Endpoints";
import { EditEventPage } from "./events/EditEventPage";
import { EventPage } from "./events/EventPage";
import { EventsPage } from "./events/EventsPage";
import { NewEventPage } from "./events/NewEventPage";
import { Mails } from "./mails/Mails";
import { Overview } from "./overview/Overview";
import { Parked } from "./parked/Parked";
import { ParkedPage } from "./parked/ParkedPage";
import { Disputes } from "./payments/Disputes";
import { PaymentPage } from "./payments/PaymentPage";
import { Payments } from "./payments/Payments";
import { Reviews } from "./payments/Reviews";
import { RefundPage } from "./refunds/RefundPage";
import { Refunds } from "./refunds/Refunds";
import type { Role } from "./session";
import { SurveyAnswers } from "./surveys/SurveyAnswers";

/** Every address below /staff. Those with a `label` stand in the navigation, for who has at least the `role`. */
export const PLACES: { path: string; Page: ComponentType; label?: string; role?: Role }[] = [
  { path: "/", Page: Overview, label: "Overview" },
  { path: "/events", Page: EventsPage, label: "Events" },
  { path: "/events/new", Page: NewEventPage },
  { path: "/events/:eventId", Page: EventPage },
  { path: "/events/:eventId/edit", Page: EditEventPage },
  { path: "/bookings", Page: Bookings, label: "Bookings" },
  { path: "/bookings/:bookingId", Page: BookingPage },
  { path: "/refunds", Page: Refunds, label: "Refunds" },
  { path: "/refunds/:refundId", Page: RefundPage },
  { path: "/payments", Page: Payments, label: "Payments" },
  { path: "/payments/:paymentId", Page: PaymentPage },
  { path: "/reviews", Page: Reviews, label: "Reviews" },
  { path: "/disputes", Page: Disputes, label: "Disputes" },
  { path: "/mails", Page: Mails, label: "Mails" },
  { path: "/surveys", Page: SurveyAnswers, label: "Survey answers" },
  { path: "/crm", Page: Endpoints, label: "CRM", role: "manager" },
  { path: "/crm/:endpointId", Page: Deliveries },
  { path: "/parked", Page: Parked, label: "Parked" },
  { path: "/parked/:service/:queue/:messageId", Page: ParkedPage },
];
