import { Nothing } from "../layout/Nothing";

export function Component() {
  return <Nothing />;
}
