import { createBrowserRouter } from "react-router";
import { BookingPage } from "./booking/BookingPage";
import { EventPage } from "./booking/EventPage";
import { EventsPage } from "./booking/EventsPage";
import { Receipt } from "./booking/Receipt";
import { SurveyPage } from "./booking/SurveyPage";
import { Failure } from "./layout/Failure";
import { Nothing } from "./layout/Nothing";
import { Opening } from "./layout/Opening";
import { Shell } from "./layout/Shell";

export const router = createBrowserRouter([
  {
    element: <Shell />,
    ErrorBoundary: Failure,
    children: [
      { path: "/", element: <EventsPage /> },
      { path: "/events/:eventId", element: <EventPage /> },
      { path: "/bookings/:bookingId", element: <BookingPage /> },
      { path: "/bookings/:bookingId/receipt", element: <Receipt /> },
      { path: "/survey/:surveyId", element: <SurveyPage /> },
      { path: "*", element: <Nothing /> },
    ],
  },
  { path: "/staff/*", ErrorBoundary: Failure, HydrateFallback: Opening, lazy: () => import("./staff/Staff") },
]);
