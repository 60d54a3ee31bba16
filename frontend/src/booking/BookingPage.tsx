import { Nothing } from "../layout/Nothing";

export function BookingPage() {
  return <Nothing />;
}
