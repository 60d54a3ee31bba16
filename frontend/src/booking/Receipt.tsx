import { lazy, Suspense } from "react";
import { BookingWaiting } from "./BookingFrame";

const ReceiptPage = lazy(() => import("./ReceiptPage"));

/** The receipt, with its code loaded by those who want one. */
export function Receipt() {
  return (
    <Suspense fallback={<BookingWaiting />}>
      <ReceiptPage />
    </Suspense>
  );
}
