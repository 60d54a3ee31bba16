import { Said } from "./Known";
import { Page } from "./Page";

/** The place of something that its service does not know. */
export function Missing({ what, back }: { what: string; back: { to: string; label: string } }) {
  return (
    <Page title={what} back={back}>
      <Said>There is no {what.toLowerCase()} with this id. The address may be mistyped.</Said>
    </Page>
  );
}
