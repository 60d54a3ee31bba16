import { Alert } from "@mantine/core";
import { Problem } from "../../api/client";

/** Why something was not done, in the sentence of who refused it. */
export function Refusal({ error }: { error: unknown }) {
  if (!error) return null;
  return (
    <Alert color="red" role="alert" p="xs">
      {sentence(error)}
    </Alert>
  );
}

export function sentence(error: unknown): string {
  if (!(error instanceof Problem)) return "An error that we did not expect; reload the page to see what was done.";
  if (error.status === 0) return "Nobody answered. Try again: it is done once, however often it is asked for.";
  return error.message || `It was refused (${error.status}).`;
}
