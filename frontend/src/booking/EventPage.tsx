import { Nothing } from "../layout/Nothing";

export function EventPage() {
  return <Nothing />;
}
